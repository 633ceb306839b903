import { attr } from '../graph/attributes.ts'
import { type FloatType, isFloat } from '../graph/dtype.ts'
import { ShapeError } from '../graph/errors.ts'
import { example } from '../graph/example.ts'
import { match } from '../graph/match.ts'
import type { Node } from '../graph/node.ts'
import { marker } from '../graph/op.ts'
import { sameShape, show } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { cast, div, maximum, mul } from '../ops/elementwise.ts'
import { vjp } from '../ops/grad.ts'
import { mean, sum } from '../ops/reduce.ts'

/** Stands in for a divisor of 0, where nothing counts and the sum is 0 too. */
const NOTHING = 1e-30

/**
 * What is averaged: `elements`, all elements of one tensor; `weights`, the sum of a first tensor over the sum of a second;
 * `examples`, a scalar weighted by the number of examples in its batch.
 */
export type AverageKind = 'elements' | 'weights' | 'examples'

/** Σ numerator / max(Σ denominator, tiny). */
export const quotient = (numerator: AnyTensor, denominator: AnyTensor): AnyTensor =>
  div(numerator, maximum(denominator, NOTHING))

const batchValue = (
  [numerator, denominator]: readonly [AnyTensor, AnyTensor?],
  by: AverageKind,
): AnyTensor => {
  if (denominator) return quotient(sum(numerator), sum(denominator))
  return by === 'examples' ? numerator : mean(numerator)
}

/**
 * A place where a sum is divided by a count. The step compiler finds these places: it divides once, by the count over all
 * micro-batches, ranks or batches of an evaluation, so that the quotient is that of the whole. In a graph of its own it is
 * the quotient of the batch.
 */
export const Average = marker('Average', {
  inputs: ['numerator', 'denominator?'],
  attrs: { by: attr.internal<AverageKind>() },
  infer: ([numerator]) => [{ dtype: numerator.dtype, shape: [] }],
  vjp: ({ x: [numerator, denominator], dy, attrs: { by } }) =>
    denominator
      ? vjp(batchValue([numerator, denominator], by), dy, [numerator, denominator])
      : vjp(batchValue([numerator], by), dy, [numerator]),
  resolve: (inputs, { by }) => [batchValue(inputs, by)],
})

export interface AverageNode {
  readonly by: AverageKind
  readonly numerator: AnyTensor
  readonly denominator: AnyTensor | undefined
}

/** An average taken apart; undefined for a node that is none. */
export const averageOf = (node: Node): AverageNode | undefined => {
  const found = match(node, Average)
  if (!found) return undefined
  const [numerator, denominator] = found.inputs
  return { by: found.attrs.by, numerator, denominator }
}

const float = (what: string, t: AnyTensor): AnyTensor => {
  if (t.dtype === 'float16' || !isFloat(t.dtype))
    throw new ShapeError(`${what}: takes float32 or float64, not ${t.dtype}; cast it`)
  return t
}

/**
 * The mean of all elements, as a scalar; with weights, such as a mask, Σ w v / Σ w. Losses and metrics are built from it: with
 * uneven batches, micro-batches and masks it is still the mean over all elements, not a mean of means.
 * @param weights of the shape of `values`, any dtype (bool counts as 0 and 1); if all are 0, the average is 0
 * @throws ShapeError when the shapes differ, or values are not float32 or float64
 */
export function average<D extends FloatType>(values: Tensor<D>, weights?: Tensor): Tensor<D, []> {
  const v = float('average', values)
  if (!weights) return Average.apply([v], { by: 'elements' })
  if (!sameShape(weights.shape, v.shape))
    throw new ShapeError(
      `average: weights ${show(weights.shape)} differ from the values ${show(v.shape)}; both must have the same shape`,
    )
  const w = cast(weights, v.dtype)
  return Average.apply([mul(v, w), w], { by: 'weights' })
}
example(average, t => [t(4, 3)])

/**
 * Σ numerator / Σ denominator over all elements, as a scalar, such as intersection over union. Both sums run over the
 * whole data set before the division. 0 if the denominator is 0.
 */
export function ratio<D extends FloatType>(numerator: Tensor<D>, denominator: Tensor<D>): Tensor<D, []> {
  const sums = [float('ratio', numerator), float('ratio', denominator)] as const
  return Average.apply(sums, { by: 'weights' })
}

example(ratio, t => [t(4, 3), t(4, 3)])

/** A scalar weighted by the number of examples in its batch: the form of a loss that is not built from averages. */
export const perExample = (value: AnyTensor): AnyTensor => Average.apply([value], { by: 'examples' })
