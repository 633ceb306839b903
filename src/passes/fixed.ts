import { Input, SizeOf } from '../graph/leaf.ts'
import { match } from '../graph/match.ts'
import type { Node } from '../graph/node.ts'
import type { Tensor } from '../graph/tensor.ts'
import { DequantizeLinear } from '../ops/image-primitives.ts'
import { Slice } from '../ops/primitives.ts'
import { elements, type Readers } from './match.ts'

/** Nodes never change, so what is known of one stays true. */
const known = new WeakMap<Node, boolean>()

/** Whether a node's values can be computed once, before the model runs: it depends on parameters and constants alone. */
export function isFixed(node: Node): boolean {
  const before = known.get(node)
  if (before !== undefined) return before
  // A dequantized weight stays as its integers; folding would undo what it saves.
  const moves = node.op === Input || node.op === SizeOf || node.op.random || node.op.kept
  const fixed = !moves && !match(node, DequantizeLinear) && node.inputs.every(t => isFixed(t.node))
  known.set(node, fixed)
  return fixed
}

/** Copies of at most so many elements are no burden. */
const SMALL = 1024

/**
 * Whether a new tensor may take the place of a weight without making the model larger: nothing else reads what it is computed of. A
 * weight that is cut into pieces, as that of a joint projection, belongs to the readers of the pieces.
 */
export function isOwn(t: Tensor, readers: Readers): boolean {
  if (!isFixed(t.node)) return false
  if (readers(t) > 1) return elements(t.shape) <= SMALL
  return match(t.node, Slice) !== undefined || t.node.inputs.every(x => isOwn(x, readers))
}
