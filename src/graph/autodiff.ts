import { type Shape, show, unify } from './dim.ts'
import { type DType, isFloat, QUANTIZED } from './dtype.ts'
import { UserError } from './errors.ts'
import { postorder } from './graph.ts'
import type { Node } from './node.ts'
import { nth } from './present.ts'
import { withScope } from './scope.ts'
import type { AnyTensor, Tensor } from './tensor.ts'

/** The few ops that reverse mode uses. */
export interface Algebra {
  readonly add: (a: AnyTensor, b: AnyTensor) => AnyTensor
  /** @param dtype that of `x` where it is left out */
  readonly zerosLike: (x: AnyTensor, dtype?: DType) => AnyTensor
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
      throw new UserError(`${node.op.type} has no gradient: ${node.op.vjp.none}${place(node)}`)
    const first = dys[0] ?? algebra.zerosLike(nth(node.outputs, 0), dys.find(g => g)?.dtype)
    const { vjp } = node.op
    // Nodes of a gradient belong to the layer of the node whose gradient it is.
    withScope(node.scope, () => {
      const given = vjp({ x: node.inputs, y: node.outputs, dy: first, dys, attrs: node.attrs })
      checkGradients(node, given)
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

const place = ({ scope }: Node): string => scope && ` (in ${scope})`

/** Whether a gradient of shape `from` can be summed down to an input of shape `to`. */
function sumsTo(from: Shape, to: Shape): boolean {
  const lead = from.length - to.length
  return lead >= 0 && to.every((d, i) => d === 1 || unify(d, nth(from, i + lead)) !== undefined)
}

/** Whether a gradient has the dtype of its tensor; that of integers which stand for real numbers is a float. */
const fitsDType = (gradient: DType, tensor: DType): boolean =>
  gradient === tensor || (isFloat(gradient) && QUANTIZED.includes(tensor))

/** Throws unless a rule has given each input a gradient of its dtype, and of a shape that its own was broadcast to. */
function checkGradients(node: Node, given: readonly (AnyTensor | null)[]): void {
  const { op, inputs } = node
  const wrong = (message: string) => new UserError(`${op.type}: its gradient rule ${message}${place(node)}`)
  if (given.length !== inputs.length)
    throw wrong(
      `returns ${given.length} gradients for ${inputs.length} inputs; return null for an input that has none`,
    )
  for (const [i, t] of inputs.entries()) {
    const g = given[i]
    if (g === null) continue
    const which = `input ${i} (${op.inputs[i]?.replace('?', '') ?? nth(op.inputs, op.inputs.length - 1)})`
    if (!g) throw wrong(`returns no gradient for ${which}; return null if it has none`)
    if (!fitsDType(g.dtype, t.dtype))
      throw wrong(`returns a gradient of ${g.dtype} for ${which} of ${t.dtype}; cast it`)
    if (!sumsTo(g.shape, t.shape))
      throw wrong(`returns a gradient of ${show(g.shape)} for ${which} of ${show(t.shape)}`)
  }
}
