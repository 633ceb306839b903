import { isLeaf, postorder } from '../graph/graph.ts'
import { Constant, constant, constantOf } from '../graph/leaf.ts'
import { makeNode, type Node } from '../graph/node.ts'
import { nth, zip } from '../graph/present.ts'
import { withScope } from '../graph/scope.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { cast } from '../ops/elementwise.ts'
import { kindOf } from './half-ops.ts'
import type { HalfPlan } from './half-plan.ts'

/** A tensor in the precision that it is computed in and, once somebody reads it so, in the other. */
interface Both {
  single?: AnyTensor
  half?: AnyTensor
}

/**
 * What `roots` compute, with the nodes of a plan in half precision. A tensor is converted once for all that read it so, and never
 * forth and back.
 * @param leaves inputs in half precision, by those that they replace @param io the precision of the results
 */
export function inHalf(
  roots: readonly Tensor[],
  { half, fixed }: HalfPlan,
  leaves: ReadonlyMap<Tensor, AnyTensor>,
  io: 'float32' | 'float16',
): Tensor[] {
  const made = new Map<Tensor, Both>()
  const bothOf = (t: Tensor): Both => {
    const known = made.get(t)
    if (known) return known
    const own: Both = { single: t }
    made.set(t, own)
    return own
  }
  const single = (t: Tensor): AnyTensor => {
    const both = bothOf(t)
    both.single ??= within(t, () => cast(both.half ?? t, 'float32'))
    return both.single
  }
  const halved = (t: Tensor): AnyTensor => {
    if (t.dtype !== 'float32') return single(t)
    const both = bothOf(t)
    both.half ??= within(t, () => narrowed(t, both.single ?? t))
    return both.half
  }
  /** A tensor in half precision: a constant as one of that dtype, a weight that is only moved as one that moves in it. */
  const narrowed = (t: Tensor, own: AnyTensor): AnyTensor => {
    const { node } = t
    if (node.op === Constant) return constant(constantOf(node), 'float16', own.shape)
    const moved = fixed.has(node) && !isLeaf(node) && kindOf(node) === 'movement'
    if (!moved || !node.inputs.some(i => i.dtype === 'float32')) return cast(own, 'float16')
    return nth(makeNode(node.op, node.inputs.map(halved), node.attrs).outputs, t.index)
  }

  for (const node of postorder(roots)) {
    if (isLeaf(node)) {
      for (const t of node.outputs) {
        const given = leaves.get(t)
        made.set(t, given ? { half: given } : { single: t })
      }
      continue
    }
    const narrow = half.has(node)
    const inputs = node.inputs.map(narrow ? halved : single)
    const outputs = withScope(node.scope, () => again(node, inputs, narrow))
    for (const [t, next] of zip(node.outputs, outputs))
      made.set(t, next.dtype === 'float16' && t.dtype === 'float32' ? { half: next } : { single: next })
  }
  return roots.map(t => (io === 'float16' ? halved(t) : single(t)))
}

/** A node for other inputs; one that casts to single precision casts to half. */
function again(node: Node, inputs: readonly Tensor[], narrow: boolean): readonly Tensor[] {
  const { op, attrs } = node
  const to = narrow && op.type === 'Cast' && attrs.to === 'float32' ? { ...attrs, to: 'float16' } : attrs
  const same = to === attrs && zip(node.inputs, inputs).every(([a, b]) => a === b)
  return same ? node.outputs : makeNode(op, inputs, to).outputs
}

const within = <T>(t: Tensor, make: () => T): T => withScope(t.node.scope, make)
