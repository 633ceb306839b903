export type { Normalization } from '../graph/normalization.ts'
export { assign, buffer } from './buffer.ts'
export * from './conv.ts'
export { type GradientOptions, gradient } from './gradient.ts'
export { type Layer, layer, type PatternLayer, type UnaryLayer } from './layer.ts'
export * from './layers.ts'
export type { Layout, Slot } from './layout.ts'
export {
  imageInput,
  type Model,
  type ModelOf,
  type ModelSpec,
  model,
  type PortSpec,
  type PortSpecs,
  type PortTensors,
  parameterCount,
} from './model.ts'
export { normalized } from './normalize.ts'
export type {
  AttentionLayer,
  BatchNorm2dLayer,
  Conv2dLayer,
  DropoutLayer,
  EmbeddingLayer,
  FeedForwardLayer,
  GroupNormLayer,
  LayerNormLayer,
  LinearLayer,
  PatchEmbedLayer,
} from './signatures.ts'
export { initialized, type TrainedModel, weightsOf } from './trained.ts'
export * from './transformer.ts'
