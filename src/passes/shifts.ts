import { type Graph, nodesOf, rewrite, usersOf } from '../graph/graph.ts'
import { filledWith } from '../graph/leaf.ts'
import { lookup } from '../graph/present.ts'
import { type Dim, equalShape, type Shape } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { add, mul, where } from '../ops/elementwise.ts'
import { reshape, transpose } from '../ops/layout.ts'
import { matmul } from '../ops/matmul.ts'
import { Add, MatMul, Mul, Reshape, Softmax, Transpose, Where } from '../ops/primitives.ts'
import { elements, groups, match, onlyOutput, pairs, scalar } from './match.ts'

/**
 * Biases move on to where they cost less, or vanish. Softmax does not see what is added alike to a whole row: in
 * q (k + b)ᵀ = q kᵀ + q bᵀ the last term is such, so attention needs no bias on its keys. Its rows sum to 1, so
 * P (v + b) = P v + b, and the next layer takes the bias in: (x + b) W = x W + b W.
 */
export function moveShifts(graph: Graph): Graph {
  const users = usersOf(nodesOf(graph))
  const moved = new Map<Tensor, Shifted>()
  return rewrite(graph, (node, inputs) => {
    const soft = match(node, Softmax, inputs)
    if (soft) {
      const parts = split(soft.inputs[0])
      return parts?.shift.shape.at(soft.attrs.axis) === 1
        ? [Softmax.apply([parts.base], soft.attrs)]
        : undefined
    }
    const product = match(node, MatMul, inputs)
    const [x, w] = product?.inputs ?? []
    if (x && w?.shape.length === 2) {
      const parts = split(x)
      if (!parts || parts.shift.shape.slice(0, -1).some((d: Dim) => d !== 1)) return undefined
      const next = {
        base: matmul(parts.base, w),
        shift: matmul(reshape(parts.shift, w.shape.slice(0, 1)), w),
      }
      moved.set(onlyOutput(node), next)
      return [add(next.base, next.shift)]
    }
    // What was moved joins a bias that is added next.
    const at = match(node, Add) ? node.inputs.findIndex(t => moved.has(t)) : -1
    const [sum, bias]: (Tensor | undefined)[] = [node.inputs[at], inputs[1 - at]]
    const parts = sum && moved.get(sum)
    if (!parts || bias?.shape.length !== 1 || lookup(users, sum).length > 1) return undefined
    return [add(parts.base, add(parts.shift, bias))]
  })
}

/** A tensor as `base + shift`, of one rank. The shift has a dim of 1 along each axis where it is the same for all. */
interface Shifted {
  readonly base: AnyTensor
  readonly shift: AnyTensor
}

function split(t: AnyTensor): Shifted | undefined {
  for (const [base, c] of pairs(t.node, Add)) {
    if (!equalShape(base.shape, t.shape) || elements(c.shape) >= elements(t.shape)) continue
    return { base, shift: reshape(c, [...t.shape.slice(c.shape.length).map(() => 1), ...c.shape]) }
  }
  for (const [x, c] of pairs(t.node, Mul)) {
    const factor = scalar(c)
    if (factor === undefined) continue
    const inner = split(x)
    if (inner) return { base: mul(inner.base, factor), shift: mul(inner.shift, factor) }
  }
  const turning = match(t.node, Transpose)
  if (turning) {
    const { perm } = turning.attrs
    return through(turning.inputs[0], x => transpose(x, perm))
  }
  const view = match(t.node, Reshape)
  if (view) {
    const inner = split(view.inputs[0])
    const shape = inner && reshapedShift(inner, t.shape)
    return shape && { base: reshape(inner.base, t.shape), shift: reshape(inner.shift, shape) }
  }
  // −∞ hides a score whatever is added to it.
  const choice = match(t.node, Where)
  if (choice) {
    const [condition, x, hidden] = choice.inputs
    const inner = filledWith(hidden) === Number.NEGATIVE_INFINITY ? split(x) : undefined
    return inner && { ...inner, base: where(condition, inner.base, hidden) }
  }
  const product = match(t.node, MatMul)
  return product && splitProduct(product.inputs)
}

const through = (t: AnyTensor, f: (t: AnyTensor) => AnyTensor): Shifted | undefined => {
  const inner = split(t)
  return inner && { base: f(inner.base), shift: f(inner.shift) }
}

/** A (b + s): rows of a softmax sum to 1, so that s stays what it is; elsewhere it shifts each row by itself. */
function splitProduct([a, b]: readonly [AnyTensor, AnyTensor]): Shifted | undefined {
  const inner = a.shape.length === b.shape.length ? split(b) : undefined
  if (!inner) return undefined
  const base = matmul(a, inner.base)
  const soft = match(a.node, Softmax)
  const averages = soft && [-1, a.shape.length - 1].includes(soft.attrs.axis)
  if (averages && inner.shift.shape.at(-2) === 1) return { base, shift: inner.shift }
  return inner.shift.shape.at(-1) === 1 && inner.shift.shape.at(-2) !== 1
    ? { base, shift: matmul(a, inner.shift) }
    : undefined
}

/** Dims of a shift whose base gets the shape `to`; undefined where an axis along which it varies is torn. */
function reshapedShift({ base, shift }: Shifted, to: Shape): Shape | undefined {
  const shape: (number | string)[] = []
  for (const { from, to: ends } of groups(base.shape, to)) {
    const [before, after] = [base.shape.slice(...from), to.slice(...ends)]
    const own = shift.shape.slice(...from)
    if (own.every((d: Dim) => d === 1)) shape.push(...after.map(() => 1))
    else if (equalShape(own, before)) shape.push(...after)
    else return undefined
  }
  return shape.length === to.length ? shape : undefined
}
