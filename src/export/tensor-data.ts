import { emptyArray, type TypedArray } from '../graph/array.ts'
import type { DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { toHalf } from '../graph/half.ts'
import { type Int64, toInt64 } from '../graph/int64.ts'
import { keysOf } from '../graph/keys.ts'
import { nth } from '../graph/present.ts'
import { isExternal, whyOutside } from './external.ts'
import type { TensorProto } from './onnx-proto.ts'
import { elementCount } from './tensor-size.ts'

/** ONNX TensorProto.DataType numbers. */
export const DATA_TYPE: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
}

/** DataType numbers of floats, bfloat16 (16) among them. */
export const FLOAT_TYPES: ReadonlySet<number> = new Set([
  DATA_TYPE.float16,
  DATA_TYPE.float32,
  DATA_TYPE.float64,
  16,
])

export const dtypeOf = (dataType: number | undefined): DType | undefined =>
  keysOf(DATA_TYPE).find(d => DATA_TYPE[d] === dataType)

/** Numbers as elements of a dtype; one value fills the array. @throws UserError for one that int64 or uint64 cannot hold */
export function toTyped(values: ArrayLike<Int64>, dtype: DType, size: number): TypedArray {
  if (dtype === 'float32' && values instanceof Float32Array && values.length === size) return values
  const out = emptyArray(dtype, size)
  const at = (i: number) => nth(values, values.length === 1 ? 0 : i)
  if (out instanceof BigInt64Array) for (let i = 0; i < size; i++) out[i] = toInt64(at(i))
  else if (out instanceof BigUint64Array) for (let i = 0; i < size; i++) out[i] = toInt64(at(i), 'uint64')
  else if (dtype === 'float16') for (let i = 0; i < size; i++) out[i] = toHalf(Number(at(i)))
  else if (values.length === 1) out.fill(Number(at(0)))
  else out.set(values as ArrayLike<number>)
  return out
}

const bytesOf = (a: TypedArray): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength)

export const tensorProto = (
  name: string,
  dtype: DType,
  dims: readonly number[],
  data: TypedArray,
): TensorProto => ({ dims: [...dims], dataType: DATA_TYPE[dtype], name, rawData: bytesOf(data) })

/** The field that holds elements of a type, where `rawData` does not. */
const elementsOf = (t: TensorProto, dtype: DType): readonly Int64[] => {
  if (dtype === 'float32') return t.floatData ?? []
  if (dtype === 'float64') return t.doubleData ?? []
  if (dtype === 'uint32' || dtype === 'uint64') return t.uint64Data ?? []
  return (dtype === 'int64' ? t.int64Data : t.int32Data) ?? []
}

/**
 * Elements of a tensor in a file.
 * @throws UserError, without the tensor's name, for external data, unknown types, and data that does not fill its dims
 */
export function readTensor(t: TensorProto): { dtype: DType; dims: number[]; data: TypedArray } {
  const dims = t.dims ?? []
  const dtype = dtypeOf(t.dataType)
  if (!dtype) throw new UserError(`has element type ${t.dataType}, which is not supported`)
  if (isExternal(t)) throw new UserError(whyOutside(t))
  const size = elementCount(dims)
  const wrong = (got: number) =>
    new UserError(`has ${got} elements, but its dims [${dims.join()}] need ${size}: the file is damaged`)
  if (t.rawData) {
    const itemBytes = emptyArray(dtype, 0).BYTES_PER_ELEMENT
    // Checked before anything of that size is allocated.
    if (t.rawData.length !== size * itemBytes) throw wrong(t.rawData.length / itemBytes)
    const data = emptyArray(dtype, size)
    bytesOf(data).set(t.rawData)
    return { dtype, dims, data }
  }
  const values = elementsOf(t, dtype)
  if (values.length !== size) throw wrong(values.length)
  return {
    dtype,
    dims,
    data: dtype === 'float16' ? Uint16Array.from(values, Number) : toTyped(values, dtype, size),
  }
}
