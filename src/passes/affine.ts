import { constant } from '../graph/leaf.ts'
import type { Node } from '../graph/node.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import batchNorm from '../ops/batch-norm.ts'
import { add, div, mul, neg, reciprocal, sqrt, sub } from '../ops/elementwise.ts'
import { expand, reshape } from '../ops/layout.ts'
import { Add, Div, Mul, Sub } from '../ops/primitives.ts'
import { isFixed } from './fixed.ts'
import { match, onlyOutput, pairs } from './match.ts'

const { BatchNormalization } = batchNorm

/** x · scale + shift: vectors `[n]` of one axis of x, or `[1]` for all of them; what is left out is 1 or 0. */
export interface Affine {
  readonly scale?: AnyTensor | undefined
  readonly shift?: AnyTensor | undefined
}

/** A tensor that broadcasts against `x` along one axis alone, as a vector. */
function vectorOf(t: AnyTensor, x: AnyTensor, axis: number): AnyTensor | undefined {
  const at = axis - x.shape.length + t.shape.length
  const sizes: readonly (number | string)[] = t.shape
  if (!isFixed(t.node) || sizes.length > x.shape.length) return undefined
  // Anything else makes the result larger than x.
  if (sizes.some((d, i) => d !== 1 && (i !== at || d !== x.shape[axis]))) return undefined
  return reshape(t, [sizes[at] ?? 1])
}

/** A vector of {@link Affine} as it broadcasts against a tensor. */
export const shaped = (v: AnyTensor, rank: number, axis: number): AnyTensor =>
  reshape(v, [v.shape[0], ...Array.from({ length: rank - axis - 1 }, () => 1)])

/** A vector of {@link Affine} with all of its elements. */
export const whole = (v: AnyTensor, size: number): AnyTensor => (v.shape[0] === size ? v : expand(v, [size]))

/** What a batch norm with running statistics does to the channels. */
function normOf(node: Node): Affine | undefined {
  const [, weight, bias, mean, variance] = match(node, BatchNormalization)?.inputs ?? []
  if (!weight || !bias || !mean || !variance) return undefined
  if (![weight, bias, mean, variance].every(t => isFixed(t.node))) return undefined
  const { epsilon } = node.attrs
  const scale = div(weight, sqrt(add(variance, Number(epsilon))))
  return { scale, shift: sub(bias, mul(mean, scale)) }
}

/** What a node does to the elements of `x` along an axis, where that is an affine map that is known before the model runs. */
export function affineOf(node: Node, x: Tensor, axis: number): Affine | undefined {
  const y = onlyOutput(node)
  const input: AnyTensor = x
  // Other floats lack kernels, and integers round.
  if (y.dtype !== 'float32') return undefined
  const vector = (t: AnyTensor) => vectorOf(t, input, axis)
  for (const [a, b] of pairs(node, Add)) if (a === x) return mapOf({ shift: vector(b) })
  for (const [a, b] of pairs(node, Mul)) if (a === x) return mapOf({ scale: vector(b) })
  const [a, b] = match(node, Sub)?.inputs ?? []
  if (a === x && b) {
    const t = vector(b)
    return t && { shift: neg(t) }
  }
  if (b === x && a) {
    const t = vector(a)
    return t && { scale: constant(-1, t.dtype, [1]), shift: t }
  }
  const quotient = match(node, Div)?.inputs
  if (quotient?.[0] === x) {
    const t = vector(quotient[1])
    return t && { scale: reciprocal(t) }
  }
  return axis === 1 && node.inputs[0] === x ? normOf(node) : undefined
}

const mapOf = (map: Affine): Affine | undefined => (map.scale || map.shift ? map : undefined)
