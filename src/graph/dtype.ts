/** Element types of a tensor, named as in numpy and ONNX. */
export type DType =
  | 'float16'
  | 'float32'
  | 'float64'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'bool'
/** Dtypes of real numbers. */
export type FloatType = 'float16' | 'float32' | 'float64'
/** Dtypes of integers. */
export type IntType = 'int32' | 'int64'

/** Bytes of one element. */
export const BYTES: Readonly<Record<DType, number>> = {
  float16: 2,
  float32: 4,
  float64: 8,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  bool: 1,
}

export const FLOATS: readonly FloatType[] = ['float16', 'float32', 'float64']

/** Integers that stand for real numbers in quantized models; int64 holds indices and sizes. */
export const QUANTIZED: readonly DType[] = ['int8', 'uint8', 'int32']

export const isFloat = (dtype: DType): dtype is FloatType => dtype.startsWith('float')
