export { assign, buffer } from './buffer.ts'
export * from './conv.ts'
export { gradient } from './gradient.ts'
export { type Layer, layer, type UnaryLayer } from './layer.ts'
export * from './layers.ts'
export {
  imageInput,
  type Model,
  type ModelOf,
  type ModelSpec,
  model,
  type Normalization,
  type PortSpec,
  type PortSpecs,
  type PortTensors,
  parameterCount,
} from './model.ts'
export { normalized } from './normalize.ts'
export { initialized, type TrainedModel, weightsOf } from './trained.ts'
export * from './transformer.ts'
