import type { DType } from './dtype.ts'

/** Elements as JavaScript holds them: float16 as its 16 bits, bool as bytes of 0 and 1. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | Int32Array
  | BigInt64Array

/** Values with their dims, in row-major order. */
export interface NdArray {
  readonly data: TypedArray
  readonly dims: readonly number[]
}

/** The array type that holds elements of a dtype. */
export const ARRAYS = {
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
} as const satisfies Record<DType, unknown>

/** What an array holds, for messages; of bytes, which may also stand for bools, `uint8`. */
export const elementsOf = (data: TypedArray): string =>
  Object.entries(ARRAYS).find(([, type]) => data instanceof type)?.[0] ?? data.constructor.name

/** Zeros of a dtype. */
export const emptyArray = (dtype: DType, size: number): TypedArray => new ARRAYS[dtype](size)

/** An array over memory that is given. @param offset in bytes */
export const arrayOver = (
  dtype: DType,
  memory: ArrayBufferLike,
  offset: number,
  length: number,
): TypedArray => new ARRAYS[dtype](memory as ArrayBuffer, offset, length)

export const sizeOfDims = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1)
