import type { DType } from '../graph/dtype.ts'
import { exact, type Int64 } from '../graph/int64.ts'
import { constant } from '../graph/leaf.ts'
import { MOST, type Value } from './import-value.ts'
import type { TensorProto } from './onnx-proto.ts'
import { readTensor } from './tensor-data.ts'

/** Value of IEEE half precision bits. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const mantissa = bits & 0x3ff
  if (exponent === 0x1f) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return exponent ? sign * (1 + mantissa / 1024) * 2 ** (exponent - 15) : sign * mantissa * 2 ** -24
}

/** A fixed tensor of the file. */
export function tensorValue(proto: TensorProto): Value {
  const { dtype, dims, data } = readTensor(proto)
  const values = data instanceof Uint16Array ? Float64Array.from(data, fromHalf) : data
  return constantValue(values, dtype, dims)
}

/** A fixed tensor by its elements. */
export function constantValue(values: ArrayLike<Int64>, dtype: DType, dims: readonly number[]): Value {
  const tensor = () => constant(values, dtype, dims)
  const whole = dtype === 'int32' || dtype === 'int64' || dtype === 'bool'
  if (!whole || dims.length > 1 || values.length > MOST) return { tensor }
  const known = Array.from(values, v => exact(BigInt(v)))
  return { tensor, known: { dtype, scalar: !dims.length, values: known } }
}
