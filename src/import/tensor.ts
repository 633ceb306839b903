import type { TensorProto } from '../export/onnx-proto.ts'
import { DATA_TYPE, dtypeOf, readTensor } from '../export/tensor-data.ts'
import type { TypedArray } from '../graph/array.ts'
import type { DType } from '../graph/dtype.ts'
import { fromBfloat, halfValues } from '../graph/half.ts'
import { exact, type Int64 } from '../graph/int64.ts'
import { Constant, constant, constantOf } from '../graph/leaf.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { type Known, MOST, type Value } from './value.ts'

/** ONNX TensorProto.DataType of bfloat16, the upper half of a float32's bits. */
const BFLOAT16 = 16

/**
 * The dtype that an element type of a file becomes; undefined for one that is not supported. Half precision becomes float32, which
 * training needs and which holds all of its values.
 */
export const importedType = (code: number | undefined): DType | undefined =>
  code === BFLOAT16 || code === DATA_TYPE.float16 ? 'float32' : dtypeOf(code)

/** Elements of a tensor of a file, those of half precision as float32. @throws UserError as readTensor does */
export function readElements(proto: TensorProto): {
  dtype: DType
  dims: readonly number[]
  data: TypedArray
} {
  const brain = proto.dataType === BFLOAT16
  const { dtype, dims, data } = readTensor(brain ? { ...proto, dataType: DATA_TYPE.float16 } : proto)
  if (!(data instanceof Uint16Array) || dtype !== 'float16') return { dtype, dims, data }
  return { dtype: 'float32', dims, data: brain ? fromBfloat(data) : halfValues(data) }
}

/** A fixed tensor of the file. */
export function tensorValue(proto: TensorProto): Value {
  const { dtype, dims, data } = readElements(proto)
  return constantValue(data, dtype, dims)
}

/** A fixed tensor by its elements. */
export function constantValue(values: ArrayLike<Int64>, dtype: DType, dims: readonly number[]): Value {
  let made: AnyTensor | undefined
  const tensor = () => {
    // A node may read it a thousand times.
    made ??= constant(values, dtype, dims)
    return made
  }
  return values.length > MOST ? { tensor } : { tensor, known: knownOf(values, dtype, dims) }
}

/** The number of a constant of one element; undefined for any other tensor. */
export const constantNumber = ({ node, shape }: AnyTensor): Int64 | undefined =>
  node.op === Constant && shape.every((d: unknown) => d === 1) ? constantOf(node)[0] : undefined

/** The elements of a small tensor. */
export const knownOf = (values: ArrayLike<Int64>, dtype: DType, shape: readonly number[]): Known => ({
  dtype,
  shape,
  values: Array.from(values, v => (typeof v === 'bigint' ? exact(v) : v)),
})
