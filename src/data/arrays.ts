import { ARRAYS, type NdArray, sizeOfDims, type TypedArray } from '../graph/array.ts'
import { bindDim } from '../graph/bind.ts'
import type { DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { fromHalf, HALF_MAX, toHalf } from '../graph/half.ts'
import { type Dim, type Shape, show } from '../graph/shape.ts'

/** Numbers in arrays of arrays, as deep as the array has axes. */
export interface NestedArray extends ReadonlyArray<number | boolean | NestedArray> {}

/**
 * Values as users provide them: an array of numbers, nested or flat, in row-major order; a typed array of the expected element
 * type, for float16 a Float32Array, or a Uint16Array of its bits; either with its dims, `{ data, dims }`; or a number for a scalar.
 */
export type ArrayValue =
  | TypedArray
  | NestedArray
  | number
  | boolean
  | NdArray
  | { readonly data: NestedArray; readonly dims: readonly number[] }

/** What an array must be. */
export interface ArrayPort {
  /** Element type. */
  readonly dtype: DType
  /** With symbols for sizes that differ. */
  readonly shape: Shape
  /** Integers below this number … */
  readonly below?: number | undefined
  /** … or this one. */
  readonly ignore?: number | undefined
}

const isTyped = (value: unknown): value is TypedArray =>
  ArrayBuffer.isView(value) && !(value instanceof DataView)
const isNdArray = (value: object): value is NdArray => 'data' in value && 'dims' in value

/** Whether a value is one array, rather than a record of arrays or a data set. */
export const isArrayValue = (value: unknown): value is ArrayValue =>
  typeof value === 'number' ||
  typeof value === 'boolean' ||
  isTyped(value) ||
  Array.isArray(value) ||
  (typeof value === 'object' && value !== null && isNdArray(value))

/** Dims of a nested array. @throws UserError where rows differ in length */
function nestedDims(what: string, value: NestedArray): number[] {
  const dims: number[] = []
  for (let at: NestedArray | number | boolean | undefined = value; Array.isArray(at); at = at[0])
    dims.push(at.length)
  const check = (part: NestedArray | number | boolean, depth: number, place: string): void => {
    const expected = dims[depth]
    if (!Array.isArray(part)) {
      if (expected !== undefined)
        throw new UserError(`${what}${place} is ${String(part)}; expected an array of ${expected}`)
      return
    }
    if (part.length !== expected)
      throw new UserError(
        `${what}${place} has ${part.length} values, but the previous ones have ${expected ?? 'none'}`,
      )
    for (const [i, inner] of part.entries()) check(inner, depth + 1, `${place}[${i}]`)
  }
  check(value, 0, '')
  return dims
}

/** The dims of flat values for a shape with at most one unknown size. */
function flatDims(
  what: string,
  length: number,
  shape: Shape,
  known: Readonly<Record<string, Dim>>,
): number[] {
  const dims = shape.map(d => bindDim(d, known))
  const open = dims.filter(d => typeof d === 'string')
  const rest = dims.filter(d => typeof d === 'number').reduce((a, b) => a * b, 1)
  if (open.length > 1)
    throw new UserError(`${what}: the sizes ${open.join(' and ')} are not known; give it as { data, dims }`)
  const size = rest ? length / rest : 0
  if (open.length ? !Number.isInteger(size) : length !== rest)
    throw new UserError(
      `${what}: has ${length} values; ${show(shape)} needs ${open.length ? `a multiple of ${rest}` : rest}`,
    )
  return dims.map(d => (typeof d === 'number' ? d : size))
}

const LIMITS: Readonly<Partial<Record<DType, readonly [number, number]>>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-(2 ** 15), 2 ** 15 - 1],
  uint16: [0, 2 ** 16 - 1],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  uint64: [0, Number.MAX_SAFE_INTEGER],
  bool: [0, 1],
}

const describe = (value: unknown): string =>
  isTyped(value) ? value.constructor.name : Array.isArray(value) ? 'an array' : typeof value

/** Integer arrays that hold no value that int32 and int64 could not. */
const NARROW = [Uint8Array, Int8Array, Int32Array] as const

const flattened = (nested: readonly unknown[]): unknown[] => nested.flat(Number.POSITIVE_INFINITY)

/** Half precision: 16 bits each, as they are, or the nearest of numbers. @throws UserError for a number that it does not hold */
function halves(what: string, data: TypedArray | NestedArray): Uint16Array {
  if (data instanceof Uint16Array) return data
  // Of newer engines, which the declarations of this one do not have.
  if (describe(data) === 'Float16Array' && isTyped(data))
    return new Uint16Array(data.buffer, data.byteOffset, data.length)
  if (isTyped(data) && !(data instanceof Float32Array || data instanceof Float64Array))
    throw new UserError(
      `${what}: is ${describe(data)}; expected float16: give numbers, such as a Float32Array, or a Uint16Array of their 16 bits`,
    )
  const flat: ArrayLike<unknown> = isTyped(data) ? data : flattened(data)
  return Uint16Array.from(flat, (v, i) => {
    const number = typeof v === 'boolean' ? Number(v) : v
    const bits = typeof number === 'number' ? toHalf(number) : undefined
    if (bits === undefined) throw new UserError(`${what}: value ${i} is ${String(v)}, which is not float16`)
    if (Number.isFinite(number) && !Number.isFinite(fromHalf(bits)))
      throw new UserError(
        `${what}: value ${i} is ${String(v)}, but float16 ends at ${HALF_MAX}; scale it, or use a model with float32 inputs`,
      )
    return bits
  })
}

/** Elements in the array type of a dtype; the same array where it is of that type. @throws UserError for another type */
function elements(what: string, data: TypedArray | NestedArray, dtype: DType): TypedArray {
  if (dtype === 'float16') return halves(what, data)
  const Wanted = ARRAYS[dtype]
  if (isTyped(data)) {
    if (data instanceof Wanted) return data
    const widens = (dtype === 'int32' || dtype === 'int64') && NARROW.some(type => data instanceof type)
    if (!widens)
      throw new UserError(
        `${what}: is ${describe(data)}; expected ${dtype} (${Wanted.name}): convert it${dtype.startsWith('float') ? `, such as with ${Wanted.name}.from` : ''}`,
      )
  }
  const flat: ArrayLike<unknown> = isTyped(data) ? data : flattened(data)
  const limits = LIMITS[dtype]
  const checked = Array.from(flat, (v, i) => {
    const number = typeof v === 'boolean' ? Number(v) : v
    if (
      typeof number !== 'number' ||
      (limits && !(Number.isInteger(number) && number >= limits[0] && number <= limits[1]))
    )
      throw new UserError(`${what}: value ${i} is ${String(v)}, which is not ${dtype}`)
    return number
  })
  if (dtype === 'int64') return BigInt64Array.from(checked, BigInt)
  return dtype === 'uint64'
    ? BigUint64Array.from(checked, BigInt)
    : (Wanted as typeof Float32Array).from(checked)
}

/**
 * A user's array with its dims, in the element type that is wanted.
 * @param what its name in error messages @param known sizes of symbols that are known already
 * @throws UserError when elements, dims or number of values do not fit
 */
export function toNdArray(
  what: string,
  value: ArrayValue,
  { dtype, shape }: ArrayPort,
  known: Readonly<Record<string, Dim>> = {},
): NdArray {
  if (typeof value === 'number' || typeof value === 'boolean')
    return { data: elements(what, [value], dtype), dims: [] }
  if (isTyped(value)) {
    const data = elements(what, value, dtype)
    return { data, dims: flatDims(what, data.length, shape, known) }
  }
  if (Array.isArray(value)) {
    const nested: NestedArray = value
    const data = elements(what, nested, dtype)
    const dims = nested.some(Array.isArray) || shape.length < 2 ? nestedDims(what, nested) : undefined
    return { data, dims: dims ?? flatDims(what, data.length, shape, known) }
  }
  const { data: given, dims } = value as NdArray
  if (!Array.isArray(dims) && !ArrayBuffer.isView(dims))
    throw new UserError(`${what}: dims are ${String(dims)}; give the size of each axis`)
  const data = elements(what, given, dtype)
  if (data.length !== sizeOfDims([...dims]))
    throw new UserError(
      `${what}: has ${data.length} values, but its dims [${[...dims].join()}] need ${sizeOfDims([...dims])}`,
    )
  return { data, dims: [...dims] }
}

/**
 * @param place where the array begins, such as its first example
 * @throws UserError for a value that is not finite, or not a label that the port takes, with its place
 */
export function checkValues(
  what: string,
  { data, dims }: NdArray,
  { dtype, below, ignore }: ArrayPort,
  first = 0,
): void {
  const at = (i: number): string => {
    const per = data.length / (dims[0] || 1)
    const example = dims.length ? ` of example ${first + Math.floor(i / per)}` : ''
    return `value ${i % per}${per === 1 ? '' : ''}${example}`
  }
  if (dtype === 'float32' || dtype === 'float64') {
    const values = data as Float32Array
    const i = values.findIndex(v => !Number.isFinite(v))
    if (i >= 0) throw new UserError(`${what}: ${at(i)} is ${values[i]}; it must be a finite number`)
  } else if (below !== undefined) {
    const values = data as Int32Array
    const i = values.findIndex(v => !((v >= 0 && v < below) || v === ignore))
    if (i >= 0)
      throw new UserError(
        `${what}: ${at(i)} is ${values[i]}; it must be 0 … ${below - 1}${ignore === undefined ? '' : ` or ${ignore}`}`,
      )
  }
}

/** An array as it is, whatever its element type; numbers that have none become float64. A bare array has one axis. */
export function asNdArray(what: string, value: ArrayValue): NdArray {
  if (isTyped(value)) return { data: value, dims: [value.length] }
  if (typeof value === 'object' && 'data' in value && isTyped(value.data))
    return { data: value.data, dims: value.dims }
  return toNdArray(what, value, { dtype: 'float64', shape: ['batch'] })
}
