import { METADATA } from '../../export/export.ts'
import type { NodeProto, TensorProto } from '../../export/onnx-proto.ts'
import { leastRuntime } from '../../export/opsets.ts'
import type { FileInfo } from '../../export/read.ts'
import { DATA_TYPE } from '../../export/tensor-data.ts'
import type { FileFacts } from './proof.ts'

/** Names and bits of ONNX's element types, by TensorProto.DataType. */
const TYPES: Readonly<Record<number, readonly [name: string, bits: number]>> = {
  1: ['float32', 32],
  2: ['uint8', 8],
  3: ['int8', 8],
  4: ['uint16', 16],
  5: ['int16', 16],
  6: ['int32', 32],
  7: ['int64', 64],
  9: ['bool', 8],
  10: ['float16', 16],
  11: ['float64', 64],
  12: ['uint32', 32],
  13: ['uint64', 64],
  16: ['bfloat16', 16],
  17: ['float8e4m3fn', 8],
  18: ['float8e4m3fnuz', 8],
  19: ['float8e5m2', 8],
  20: ['float8e5m2fnuz', 8],
  21: ['uint4', 4],
  22: ['int4', 4],
  23: ['float4e2m1', 4],
}

/** Element types that weights are rounded to. The integers hold indices and sizes, too; those of 32 bits and more do not count. */
const ROUNDED = /^(float16|bfloat16|float8|float4|u?int4|u?int8)/

const ROUNDING = new Set([
  'QuantizeLinear',
  'DynamicQuantizeLinear',
  'MatMulNBits',
  'QLinearConv',
  'QLinearMatMul',
])

const isHalf = (type: number | undefined): boolean => type === DATA_TYPE.float16

const isHalfCast = ({ opType, attribute = [] }: NodeProto): boolean =>
  opType === 'Cast' && attribute.some(({ name, i }) => name === 'to' && isHalf(Number(i)))

const bytesOf = ({ dims = [], dataType = 0 }: TensorProto): number =>
  Math.ceil((dims.reduce((a, b) => a * b, 1) * (TYPES[dataType]?.[1] ?? 0)) / 8)

const constantsOf = (nodes: readonly NodeProto[]): TensorProto[] =>
  nodes.flatMap(({ opType, attribute = [] }) =>
    opType === 'Constant' ? attribute.flatMap(({ t }) => (t ? [t] : [])) : [],
  )

/** What a file holds, in numbers. */
export function fileFacts(
  name: string,
  { proto, bytes, opset, metadata }: FileInfo,
  size = bytes.length,
): FileFacts {
  const { initializer = [], node = [] } = proto.graph ?? {}
  const sums = new Map<string, number>()
  for (const tensor of [...initializer, ...constantsOf(node)]) {
    const type = TYPES[tensor.dataType ?? 0]?.[0] ?? `type ${tensor.dataType}`
    sums.set(type, (sums.get(type) ?? 0) + bytesOf(tensor))
  }
  const weights = Object.fromEntries([...sums].sort(([, a], [, b]) => b - a))
  const held = Object.keys(weights).filter(type => ROUNDED.test(type))
  const rounded = new Set(held.filter(type => !(type === 'uint8' && held.includes('int8'))))
  // Weights may be float32 where what is computed is not.
  const ports = [...(proto.graph?.input ?? []), ...(proto.graph?.output ?? [])]
  if (node.some(isHalfCast) || ports.some(({ type }) => isHalf(type?.tensorType?.elemType)))
    rounded.add('float16')
  if (!rounded.size && node.some(({ opType = '' }) => ROUNDING.has(opType))) rounded.add('int8')
  const form = [...rounded].join(' + ') || 'float32'
  const least = metadata[METADATA.runtime] ?? leastRuntime(opset)
  return {
    ...{ name, bytes: size, weights, form, lossy: form !== 'float32', opset },
    ...(least ? { onnxruntime: least } : {}),
  }
}
