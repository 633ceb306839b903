import type { DType } from '../graph/dtype.ts'
import { constant } from '../graph/leaf.ts'
import type { Shape } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { typed, type UnaryFn } from '../graph/typed/signatures.ts'
import { expand } from './layout.ts'

/** A tensor filled with `value`, of a shape that may hold symbols. */
export const fill = (value: number, dtype: DType, shape: Shape): AnyTensor => {
  const known = shape.every((d): d is number => typeof d === 'number' && d >= 0)
  return known ? constant(value, dtype, shape) : expand(constant(value, dtype, []), shape)
}

/** Zeros of the dtype and shape of `x`. */
export const zerosLike: UnaryFn = typed((x: AnyTensor): AnyTensor => fill(0, x.dtype, x.shape))
/** Ones of the dtype and shape of `x`. */
export const onesLike: UnaryFn = typed((x: AnyTensor): AnyTensor => fill(1, x.dtype, x.shape))

/** `0, 1, …, n − 1`. */
export const arange = (n: number, dtype: DType): AnyTensor =>
  constant(
    Array.from({ length: n }, (_, i) => i),
    dtype,
    [n],
  )
