import { attr } from '../graph/attributes.ts'
import { ShapeError } from '../graph/errors.ts'
import { fileOp, noGradient, sameDType } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import { type Dim, type Shape, show, UNKNOWN } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'

/** Ops whose results have a size that depends on what the elements are. */

const NonZero = fileOp('NonZero', {
  inputs: ['X'],
  infer: ([x]) => [{ dtype: 'int64', shape: [x.shape.length, UNKNOWN] }],
  vjp: noGradient('its output is an index'),
  samples: [sample(f32(3, 4), {})],
})

/** Indices (int64) of the elements that are not zero, `[rank, count]`. */
export const nonZero = (x: AnyTensor): AnyTensor => NonZero.apply([x])

const Range = fileOp('Range', {
  inputs: ['start', 'limit', 'delta'],
  outputs: ['output'],
  // The size, where it follows from those of other tensors.
  attrs: { size: attr.internal<Shape>({ default: [UNKNOWN] }) },
  infer: ([start, limit, delta], { size }) => {
    const scalars = [start, limit, delta]
    if (scalars.some(t => t.shape.length))
      throw new ShapeError(`range: takes scalars, not ${scalars.map(t => show(t.shape)).join(', ')}`)
    return [{ dtype: sameDType('range', [start, limit, delta]), shape: size }]
  },
  vjp: noGradient('its size depends on its inputs'),
  samples: [sample(f32().unit(), f32().positive(), f32().positive(), { size: [UNKNOWN] })],
})

/** `start, start + delta, …` before `limit`. @param size how many, where that is known */
export const range = (start: AnyTensor, limit: AnyTensor, delta: AnyTensor, size: Dim): AnyTensor =>
  Range.apply([start, limit, delta], { size: [size] })
