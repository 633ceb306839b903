import type { DType } from './dtype.ts'

/** The array type that holds elements of each dtype: float16 as its 16 bits, bool as bytes of 0 and 1. */
export interface ArrayTypes {
  /** Bits of IEEE half precision. */
  readonly float16: Uint16Array
  /** Single precision. */
  readonly float32: Float32Array
  /** Double precision. */
  readonly float64: Float64Array
  /** Signed bytes. */
  readonly int8: Int8Array
  /** Unsigned bytes. */
  readonly uint8: Uint8Array
  /** 16-bit integers. */
  readonly int16: Int16Array
  /** Unsigned 16-bit integers. */
  readonly uint16: Uint16Array
  /** 32-bit integers. */
  readonly int32: Int32Array
  /** Unsigned 32-bit integers. */
  readonly uint32: Uint32Array
  /** 64-bit integers. */
  readonly int64: BigInt64Array
  /** Unsigned 64-bit integers. */
  readonly uint64: BigUint64Array
  /** 0 and 1. */
  readonly bool: Uint8Array
}

/** Elements as JavaScript holds them. */
export type TypedArray = ArrayTypes[DType]

/** Values of one dtype with their dims. */
export interface NdArray<D extends DType = DType> {
  /** The elements in row-major order. */
  readonly data: ArrayTypes[D]
  /** Sizes of the axes; empty for a scalar. */
  readonly dims: readonly number[]
}

/** The array type that holds elements of a dtype. */
export const ARRAYS = {
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const satisfies Record<DType, unknown>

/** What an array holds, for messages; of bytes, which may also stand for bools, `uint8`, of 16 bits `float16`. */
export const elementsOf = (data: TypedArray): string =>
  Object.entries(ARRAYS).find(([, type]) => data instanceof type)?.[0] ?? data.constructor.name

/** Zeros of a dtype. */
export const emptyArray = (dtype: DType, size: number): TypedArray => new ARRAYS[dtype](size)

/** Zeros in an array of the same type as another. */
export function emptyLike(data: TypedArray, size: number): TypedArray {
  const type = Object.values(ARRAYS).find(known => data instanceof known)
  if (type) return new type(size)
  throw new Error(`internal: ${data.constructor.name} holds no dtype`)
}

/** An array over memory that is given. @param offset in bytes */
export const arrayOver = (
  dtype: DType,
  memory: ArrayBufferLike,
  offset: number,
  length: number,
): TypedArray => new ARRAYS[dtype](memory as ArrayBuffer, offset, length)

/**
 * Copies elements into an array of the same element type.
 * The one cast for what two arrays of one dtype have in common, which the compiler does not see through the union.
 */
export const copyElements = (target: TypedArray, source: TypedArray, offset = 0): void =>
  (target as Float32Array).set(source as Float32Array, offset)

export const sizeOfDims = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1)
