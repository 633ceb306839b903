import { isLeaf, usersOf } from '../graph/graph.ts'
import { isParameter } from '../graph/leaf.ts'
import type { Node } from '../graph/node.ts'
import type { Tensor } from '../graph/tensor.ts'
import { staticNodes } from '../passes/match.ts'
import { kindOf, unfitConstants } from './half-ops.ts'

/** The nodes of a graph that compute in half precision, of those that depend on its inputs. */
export interface HalfPlan {
  /** Those nodes. */
  readonly half: ReadonlySet<Node>
  /** Nodes that depend on parameters and constants alone, whose values have either precision. */
  readonly fixed: ReadonlySet<Node>
}

const isSingle = ({ dtype }: Tensor): boolean => dtype === 'float32'

/**
 * Chooses the precision of each node.
 * @param nodes each after its inputs @param wide nodes that must compute in single precision
 * @param halfInputs whether the graph's inputs are given in half precision
 */
export function planHalf(
  nodes: readonly Node[],
  wide: ReadonlySet<Node> = new Set(),
  halfInputs = false,
): HalfPlan {
  const fixed = staticNodes(nodes)
  const half = new Set<Node>()
  /** Nodes whose results what follows should read as they are. */
  const spreads = new Set<Node>()
  for (const node of nodes) {
    if (fixed.has(node)) continue
    if (isLeaf(node)) {
      if (!halfInputs) spreads.add(node)
      continue
    }
    const kind = kindOf(node)
    const touched = [...node.inputs, ...node.outputs].some(isSingle)
    const follows = kind === 'elementwise' || kind === 'movement'
    const read = node.inputs.filter(isSingle)
    const single =
      !touched ||
      wide.has(node) ||
      (follows && read.some(t => spreads.has(t.node))) ||
      ((follows || kind === 'half') && unfitConstants(node).length > 0)
    if (!single && (follows || kind === 'half')) half.add(node)
    else if (kind !== 'contained') spreads.add(node)
  }
  widenBefore(nodes, half, fixed)
  return { half, fixed }
}

/**
 * What is computed element by element for nodes in single precision alone stays in single precision: squares for a mean, which half
 * precision may not hold, and scores for a softmax. Nodes with weights are left, so that their weights are in half precision.
 */
function widenBefore(nodes: readonly Node[], half: Set<Node>, fixed: ReadonlySet<Node>): void {
  const users = usersOf(nodes)
  for (const node of [...nodes].reverse()) {
    if (!half.has(node) || kindOf(node) !== 'elementwise') continue
    const readers = node.outputs.flatMap(t => users.get(t) ?? [])
    const weighted = node.inputs.some(t => isParameter(t) && isSingle(t))
    if (readers.length && !weighted && readers.every(user => !half.has(user) && !fixed.has(user)))
      half.delete(node)
  }
}
