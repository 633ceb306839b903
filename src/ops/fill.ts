import type { DType } from '../graph/dtype.ts'
import { example, one } from '../graph/example.ts'
import { constant } from '../graph/leaf.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { typed, type UnaryFn } from '../graph/typed/signatures.ts'
import { fill } from './layout.ts'

/** Zeros of the dtype and shape of `x`. */
export const zerosLike: UnaryFn = typed((x: AnyTensor): AnyTensor => fill(0, x.dtype, x.shape), one)
/** Ones of the dtype and shape of `x`. */
export const onesLike: UnaryFn = typed((x: AnyTensor): AnyTensor => fill(1, x.dtype, x.shape), one)

/** `0, 1, …, n − 1`. */
export const arange = (n: number, dtype: DType): AnyTensor => constant([...Array(n).keys()], dtype, [n])
example(arange, t => [3, t().dtype])
