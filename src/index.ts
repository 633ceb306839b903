/** onnxgrad's core: graphs, ops, models, tasks, training on a runtime that is given, export. Imports nothing of Node. */
export type { ArrayValue } from './data/arrays.ts'
export { type AugmentOptions, augmentation } from './data/augment.ts'
export type {
  ArrayDataset,
  BatchedDataset,
  BatchOptions,
  DataSource,
  Dataset,
  ImageDataset,
  UserBatch,
} from './data/dataset.ts'
export { imageSource } from './data/dataset.ts'
export { heldOut, withValidation } from './data/held-out.ts'
export { type PadOptions, pad } from './data/pad.ts'
export type { BatchStream, DataInput, SourceInput, SplitInput } from './data/source.ts'
export { type ExportOptions, exportOnnx } from './export/export.ts'
export { importOnnx } from './export/import.ts'
export { type LoadOptions, loadOnnx } from './export/load.ts'
export { readOnnx } from './export/read.ts'
export { readSafetensors, writeSafetensors } from './export/safetensors.ts'
export { readWeightsFile, writeWeightsFile } from './export/weights.ts'
export type { NdArray, TypedArray } from './graph/array.ts'
// What an op of your own is made of; test it with onnxgrad/testing.
export { type AttrForm, attr, type FormOptions, type OnnxNode, type TensorType } from './graph/attributes.ts'
export type { DType } from './graph/dtype.ts'
export { ShapeError, UserError } from './graph/errors.ts'
export type { Graph, Tensors } from './graph/graph.ts'
export { constant, input, parameter } from './graph/leaf.ts'
export type { Each, Given, Names } from './graph/names.ts'
export type { NoGradient, Op, OpSpec, Vjp, VjpArgs } from './graph/node.ts'
export { elementwise, type Import, imports, noGradient, op, sameDType } from './graph/op.ts'
export { print } from './graph/print.ts'
export { type Rng, rng } from './graph/random.ts'
export type { Dim, Shape } from './graph/shape.ts'
export { summarize } from './graph/summary.ts'
export type { Tensor } from './graph/tensor.ts'
export * from './nn/index.ts'
export * as ops from './ops/index.ts'
export type { ParameterGroup } from './optim/groups.ts'
export { adagrad, adam, adamW, lion, type Optimizer, rmsprop, sgd } from './optim/optimizer.ts'
export type { NamePattern } from './optim/patterns.ts'
export { constantRate, cosine, oneCycle, type Schedule, stepDecay, withWarmup } from './optim/schedule.ts'
export * from './tasks/index.ts'
export type { Closable } from './train/api.ts'
export { DivergenceError } from './train/divergence.ts'
export type { FitOptions, FitResult, RunningFit } from './train/fit-options.ts'
export type { Evaluation } from './train/forward.ts'
export { openPredictor, type Predictor, type PredictorSource } from './train/predictor.ts'
export type { Best, EpochResult, Measured, Progress, RunState } from './train/progress.ts'
export type { TrainState } from './train/state.ts'
export { type StepResult, Trainer } from './train/trainer.ts'
export type { MultiOptions, SingleOptions, StepSpec } from './train/trainer-options.ts'
