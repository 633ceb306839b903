import type { Value } from './codec.ts'
import {
  type Fields,
  type Message,
  many,
  manyNested,
  manyOf,
  message,
  one,
  oneNested,
  oneOf,
} from './codec.ts'

/**
 * ONNX's protobuf schema; numbers and names as in onnx.proto of IR version 14. It is whole because the codec refuses what
 * is not described: a tensor in a field that is passed over could not be checked before a runtime reads it.
 */

const StringEntry = message('StringStringEntryProto', { key: one(1, 'string'), value: one(2, 'string') })
const entries = (id: number) => manyOf(id, () => StringEntry)
const OperatorSet = message('OperatorSetIdProto', { domain: one(1, 'string'), version: one(2, 'size') })

const Segment = message('TensorProto.Segment', { begin: one(1, 'int64'), end: one(2, 'int64') })
export const Tensor = message('TensorProto', {
  dims: many(1, 'size'),
  dataType: one(2, 'int32'),
  segment: oneOf(3, () => Segment),
  floatData: many(4, 'float'),
  int32Data: many(5, 'int32'),
  stringData: many(6, 'bytes'),
  int64Data: many(7, 'int64'),
  name: one(8, 'string'),
  rawData: one(9, 'bytes'),
  doubleData: many(10, 'double'),
  uint64Data: many(11, 'uint64'),
  docString: one(12, 'string'),
  externalData: entries(13),
  dataLocation: one(14, 'int32'),
  metadataProps: entries(16),
})
const SparseTensor = message('SparseTensorProto', {
  values: oneOf(1, () => Tensor),
  indices: oneOf(2, () => Tensor),
  dims: many(3, 'size'),
})

const Dimension = message('TensorShapeProto.Dimension', {
  dimValue: one(1, 'size'),
  dimParam: one(2, 'string'),
  denotation: one(3, 'string'),
})
const TensorShape = message('TensorShapeProto', { dim: manyOf(1, () => Dimension) })
const TensorType = message('TypeProto.Tensor', {
  elemType: one(1, 'int32'),
  shape: oneOf(2, () => TensorShape),
})
const type = (id: number) => oneNested<TypeProto>(id, (): Message<Fields> => Type)
const Sequence = message('TypeProto.Sequence', { elemType: type(1) })
const Optional = message('TypeProto.Optional', { elemType: type(1) })
const MapOf = message('TypeProto.Map', { keyType: one(1, 'int32'), valueType: type(2) })
const Opaque = message('TypeProto.Opaque', { domain: one(1, 'string'), name: one(2, 'string') })
const Type = message('TypeProto', {
  tensorType: oneOf(1, () => TensorType),
  sequenceType: oneOf(4, () => Sequence),
  mapType: oneOf(5, () => MapOf),
  denotation: one(6, 'string'),
  opaqueType: oneOf(7, () => Opaque),
  sparseTensorType: oneOf(8, () => TensorType),
  optionalType: oneOf(9, () => Optional),
})
export const ValueInfo = message('ValueInfoProto', {
  name: one(1, 'string'),
  type: oneOf(2, () => Type),
  docString: one(3, 'string'),
  metadataProps: entries(4),
})

export const Attribute = message('AttributeProto', {
  name: one(1, 'string'),
  f: one(2, 'float'),
  i: one(3, 'int64'),
  s: one(4, 'bytes'),
  t: oneOf(5, () => Tensor),
  g: oneNested<GraphProto>(6, (): Message<Fields> => Graph),
  floats: many(7, 'float'),
  ints: many(8, 'int64'),
  strings: many(9, 'bytes'),
  tensors: manyOf(10, () => Tensor),
  graphs: manyNested<GraphProto>(11, (): Message<Fields> => Graph),
  docString: one(13, 'string'),
  tp: oneOf(14, () => Type),
  typeProtos: manyOf(15, () => Type),
  type: one(20, 'int32'),
  refAttrName: one(21, 'string'),
  sparseTensor: oneOf(22, () => SparseTensor),
  sparseTensors: manyOf(23, () => SparseTensor),
})

const Group = message('IntIntListEntryProto', { key: one(1, 'int64'), value: many(2, 'int64') })
const SimpleShardedDim = message('SimpleShardedDimProto', {
  dimValue: one(1, 'int64'),
  dimParam: one(2, 'string'),
  numShards: one(3, 'int64'),
})
const ShardedDim = message('ShardedDimProto', {
  axis: one(1, 'int64'),
  simpleSharding: manyOf(2, () => SimpleShardedDim),
})
const ShardingSpec = message('ShardingSpecProto', {
  tensorName: one(1, 'string'),
  device: many(2, 'int64'),
  indexToDeviceGroupMap: manyOf(3, () => Group),
  shardedDim: manyOf(4, () => ShardedDim),
})
const NodeDevice = message('NodeDeviceConfigurationProto', {
  configurationId: one(1, 'string'),
  shardingSpec: manyOf(2, () => ShardingSpec),
  pipelineStage: one(3, 'int32'),
})
export const Node = message('NodeProto', {
  input: many(1, 'string'),
  output: many(2, 'string'),
  name: one(3, 'string'),
  opType: one(4, 'string'),
  attribute: manyOf(5, () => Attribute),
  docString: one(6, 'string'),
  domain: one(7, 'string'),
  overload: one(8, 'string'),
  metadataProps: entries(9),
  deviceConfigurations: manyOf(10, () => NodeDevice),
})

const Annotation = message('TensorAnnotation', {
  tensorName: one(1, 'string'),
  quantParameterTensorNames: entries(2),
})
export const Graph = message('GraphProto', {
  node: manyOf(1, () => Node),
  name: one(2, 'string'),
  initializer: manyOf(5, () => Tensor),
  docString: one(10, 'string'),
  input: manyOf(11, () => ValueInfo),
  output: manyOf(12, () => ValueInfo),
  valueInfo: manyOf(13, () => ValueInfo),
  quantizationAnnotation: manyOf(14, () => Annotation),
  sparseInitializer: manyOf(15, () => SparseTensor),
  metadataProps: entries(16),
})

const TrainingInfo = message('TrainingInfoProto', {
  initialization: oneOf(1, () => Graph),
  algorithm: oneOf(2, () => Graph),
  initializationBinding: entries(3),
  updateBinding: entries(4),
})
const FunctionMessage = message('FunctionProto', {
  name: one(1, 'string'),
  input: many(4, 'string'),
  output: many(5, 'string'),
  attribute: many(6, 'string'),
  node: manyOf(7, () => Node),
  docString: one(8, 'string'),
  opsetImport: manyOf(9, () => OperatorSet),
  domain: one(10, 'string'),
  attributeProto: manyOf(11, () => Attribute),
  valueInfo: manyOf(12, () => ValueInfo),
  overload: one(13, 'string'),
  metadataProps: entries(14),
})
const DeviceConfiguration = message('DeviceConfigurationProto', {
  name: one(1, 'string'),
  numDevices: one(2, 'int32'),
  device: many(3, 'string'),
})
export const Model = message('ModelProto', {
  irVersion: one(1, 'size'),
  producerName: one(2, 'string'),
  producerVersion: one(3, 'string'),
  domain: one(4, 'string'),
  modelVersion: one(5, 'int64'),
  docString: one(6, 'string'),
  graph: oneOf(7, () => Graph),
  opsetImport: manyOf(8, () => OperatorSet),
  metadataProps: entries(14),
  trainingInfo: manyOf(20, () => TrainingInfo),
  functions: manyOf(25, () => FunctionMessage),
  configuration: manyOf(26, () => DeviceConfiguration),
})

export interface TypeProto extends Value<typeof Type> {}
export interface GraphProto extends Value<typeof Graph> {}
export type ModelProto = Value<typeof Model>
export type FunctionProto = Value<typeof FunctionMessage>
export type NodeProto = Value<typeof Node>
export type TensorProto = Value<typeof Tensor>
export type SparseTensorProto = Value<typeof SparseTensor>
export type AttributeProto = Value<typeof Attribute>
export type ValueInfoProto = Value<typeof ValueInfo>
export type { Message }
