import { UserError } from './errors.ts'
import { postorder } from './graph.ts'
import { withScope } from './scope.ts'
import type { AnyTensor, Tensor } from './tensor.ts'

/** The few ops that reverse mode itself needs. */
export interface Algebra {
  readonly add: (a: AnyTensor, b: AnyTensor) => AnyTensor
  readonly zerosLike: (x: AnyTensor) => AnyTensor
  /** Sums a gradient down to the shape of the input that was broadcast. */
  readonly sumTo: (dy: AnyTensor, like: AnyTensor) => AnyTensor
}

/**
 * Reverse mode, graph → graph: gradients of `y` (seeded with `dy`) with respect to each of `wrt`, zeros where `y` does not depend on one.
 * Rules see one node each; accumulation, broadcasting and dead paths are handled here.
 * @throws UserError when a path to `wrt` leads through an op without a gradient
 */
export function reverse(algebra: Algebra, y: Tensor, dy: Tensor, wrt: readonly Tensor[]): Tensor[] {
  const order = postorder([y])
  const wanted = new Set(wrt)
  const active = new Set<Tensor>(wanted)
  for (const node of order)
    if (node.inputs.some(t => active.has(t))) for (const out of node.outputs) active.add(out)

  const grads = new Map<Tensor, Tensor>([[y, dy]])
  for (const node of order.reverse()) {
    if (!node.inputs.some(t => active.has(t))) continue
    const dys = node.outputs.map(t => grads.get(t))
    if (dys.every(g => g === undefined)) continue
    if ('none' in node.op.vjp)
      throw new UserError(
        `${node.op.type} has no gradient: ${node.op.vjp.none}${node.scope && ` (in ${node.scope})`}`,
      )
    const first = dys[0] ?? algebra.zerosLike(node.outputs[0]!)
    const { vjp } = node.op
    // Nodes of a gradient belong to the layer of the node whose gradient it is.
    withScope(node.scope, () => {
      const given = vjp({ x: node.inputs, y: node.outputs, dy: first, dys, attrs: node.attrs })
      node.inputs.forEach((t, i) => {
        const g = given[i]
        if (!g || !active.has(t)) return
        const shaped = algebra.sumTo(g, t)
        const before = grads.get(t)
        grads.set(t, before ? algebra.add(before, shaped) : shaped)
      })
    })
  }
  return wrt.map(t => grads.get(t) ?? algebra.zerosLike(t))
}
