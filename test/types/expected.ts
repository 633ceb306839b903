import type { DType } from '../../src/graph/dtype.ts'
import { input } from '../../src/graph/leaf.ts'
import type { Shape } from '../../src/graph/shape.ts'
import type { AnyTensor, Tensor } from '../../src/graph/tensor.ts'

/** `true` only for identical types: `any`, `readonly` and optional members count. */
export type Eq<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** A shape as written in this file: -1 stands for a dim that the compiler does not know. */
type Written<S> = { -readonly [I in keyof S]: S[I] extends -1 ? number : S[I] }

export interface Case {
  readonly x: Tensor
  readonly dtype: DType
  readonly shape: Shape
}

/** A tensor whose type must say exactly this; a call with a wrong expectation lacks an argument. */
export const is = <T extends DType, U, D extends DType, const S extends Shape>(
  x: Tensor<T, U>,
  dtype: D,
  shape: S,
  ..._: Eq<[T, U], [D, Written<S>]> extends true ? [] : [actual: [T, U]]
): Case => ({ x: x as AnyTensor, dtype, shape })

export const f32 = <const S extends Shape>(...shape: S) => input('x', 'float32', shape)
export const i64 = <const S extends Shape>(...shape: S) => input('i', 'int64', shape)
