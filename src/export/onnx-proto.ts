import { type Message, many, manyOf, message, one, oneOf, type Value } from './codec.ts'

/** The part of ONNX's protobuf schema that onnxgrad reads and writes; numbers and names as in onnx.proto. */

const StringEntry = message({ key: one(1, 'string'), value: one(2, 'string') })
const OperatorSet = message({ domain: one(1, 'string'), version: one(2, 'int64') })

export const Tensor = message({
  dims: many(1, 'int64'),
  dataType: one(2, 'int32'),
  floatData: many(4, 'float'),
  int32Data: many(5, 'int32'),
  int64Data: many(7, 'int64'),
  name: one(8, 'string'),
  rawData: one(9, 'bytes'),
  doubleData: many(10, 'double'),
  externalData: manyOf(13, () => StringEntry),
  dataLocation: one(14, 'int32'),
})

export const Attribute = message({
  name: one(1, 'string'),
  f: one(2, 'float'),
  i: one(3, 'int64'),
  s: one(4, 'bytes'),
  t: oneOf(5, () => Tensor),
  /** The bytes of a graph: Graph is described with this message, so this one does not go by Graph's name. */
  g: one(6, 'bytes'),
  floats: many(7, 'float'),
  ints: many(8, 'int64'),
  type: one(20, 'int32'),
})

export const Node = message({
  input: many(1, 'string'),
  output: many(2, 'string'),
  name: one(3, 'string'),
  opType: one(4, 'string'),
  attribute: manyOf(5, () => Attribute),
  domain: one(7, 'string'),
})

const Dimension = message({ dimValue: one(1, 'int64'), dimParam: one(2, 'string') })
const TensorShape = message({ dim: manyOf(1, () => Dimension) })
const TensorType = message({ elemType: one(1, 'int32'), shape: oneOf(2, () => TensorShape) })
const Type = message({ tensorType: oneOf(1, () => TensorType) })
export const ValueInfo = message({
  name: one(1, 'string'),
  type: oneOf(2, () => Type),
  docString: one(3, 'string'),
})

export const Graph = message({
  node: manyOf(1, () => Node),
  name: one(2, 'string'),
  initializer: manyOf(5, () => Tensor),
  docString: one(10, 'string'),
  input: manyOf(11, () => ValueInfo),
  output: manyOf(12, () => ValueInfo),
  valueInfo: manyOf(13, () => ValueInfo),
})

export const Model = message({
  irVersion: one(1, 'int64'),
  producerName: one(2, 'string'),
  producerVersion: one(3, 'string'),
  docString: one(6, 'string'),
  graph: oneOf(7, () => Graph),
  opsetImport: manyOf(8, () => OperatorSet),
  metadataProps: manyOf(14, () => StringEntry),
})

export type ModelProto = Value<typeof Model>
export type GraphProto = Value<typeof Graph>
export type NodeProto = Value<typeof Node>
export type TensorProto = Value<typeof Tensor>
export type AttributeProto = Value<typeof Attribute>
export type ValueInfoProto = Value<typeof ValueInfo>
export type { Message }
