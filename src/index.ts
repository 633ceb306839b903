/** onnxgrad's core: graphs, ops, models, tasks, training on a given runtime, export. Imports nothing of Node. */
export type { ArrayPort, ArrayValue, NestedArray } from './data/arrays.ts'
export { type Augmentation, type AugmentOptions, augmentation } from './data/augment.ts'
export type { SkipBad } from './data/class-plan.ts'
export type {
  ArrayDataset,
  BatchedDataset,
  BatchOptions,
  DataSource,
  Dataset,
  DatasetInfo,
  Feature,
  ImageDataset,
  ImageSource,
  Labels,
  UserBatch,
} from './data/dataset.ts'
export { imageSource, subset } from './data/dataset.ts'
export type { Ink } from './data/digit.ts'
export { type Fingerprint, type Fingerprints, fingerprints } from './data/fingerprint.ts'
export { type HeldOut, heldOut, type Validated, withValidation } from './data/held-out.ts'
export { type PadOptions, pad, type Sequences } from './data/pad.ts'
export type { ImageShape, Preprocessing, PreprocessingKind } from './data/preprocess.ts'
export type { BatchStream, DataInput, SourceInput, SplitInput } from './data/source.ts'
export type { ExampleOptions } from './deploy/calibration.ts'
export type { Float16Model, Float16Options, KeptFloat32 } from './deploy/float16.ts'
export type { Deviation } from './deploy/quantize/deviation.ts'
export type { LayerOptions } from './deploy/quantize/layers.ts'
export type {
  CalibrationOptions,
  Quantization,
  Quantized,
} from './deploy/quantize/quantize.ts'
export type { CalibrationMethod } from './deploy/quantize/ranges.ts'
export type { Admitted } from './export/admit.ts'
export { type ExportOptions, exportOnnx } from './export/export.ts'
export type { External } from './export/external.ts'
export { type FileInfo, type ReadOptions, readOnnx } from './export/read.ts'
export {
  readSafetensors,
  type SafeTensor,
  type SafeTensors,
  writeSafetensors,
} from './export/safetensors.ts'
export { readWeightsFile, writeWeightsFile } from './export/weights.ts'
export * from './finetune/index.ts'
export type { ArrayTypes, NdArray, TypedArray } from './graph/array.ts'
// The parts of a custom op; test it with onnxgrad/testing.
export {
  type Attr,
  type AttrForm,
  type Attrs,
  attr,
  type DimsRule,
  type FormOptions,
  type OnnxNode,
  type TensorType,
} from './graph/attributes.ts'
export type { Bindings } from './graph/bind.ts'
export type { DType, FloatType, IntType } from './graph/dtype.ts'
export { ShapeError, UserError } from './graph/errors.ts'
export type { Graph, Tensors } from './graph/graph.ts'
export type { Init } from './graph/init.ts'
export type { Int64 } from './graph/int64.ts'
export { constant, input, type Parameter, parameter } from './graph/leaf.ts'
export type { Each, Given, Names } from './graph/names.ts'
export type {
  Along,
  Node,
  NoGradient,
  Op,
  OpArguments,
  OpRewriting,
  OpRule,
  OpSpec,
  Signature,
  Vjp,
  VjpArgs,
} from './graph/node.ts'
export { elementwise, noGradient, op, sameDType } from './graph/op.ts'
export { print } from './graph/print.ts'
export { type Rng, rng } from './graph/random.ts'
export type { Attributes, Domain, Sample, SampleInput } from './graph/sample.ts'
export type { Dim, Shape } from './graph/shape.ts'
export { type SummaryRow, summarize } from './graph/summary.ts'
export type { AnyTensor, Tensor } from './graph/tensor.ts'
export type { FileNode } from './import/file-node.ts'
export { type Imported, type ImportOptions, importOnnx, type KeptNode } from './import/import.ts'
export { type LoadOptions, loadOnnx } from './import/load.ts'
export { imports } from './import/own.ts'
export * from './nn/index.ts'
export * as ops from './ops/index.ts'
export type { Grouping, ParameterGroup } from './optim/groups.ts'
export { type LayerDecayOptions, layerDecay } from './optim/layer-decay.ts'
export {
  type AdagradOptions,
  type AdamOptions,
  adagrad,
  adam,
  adamW,
  type GroupOptions,
  type LionOptions,
  lion,
  type Optimizer,
  type RMSpropOptions,
  rmsprop,
  type SGDOptions,
  sgd,
  type Update,
  type Updated,
} from './optim/optimizer.ts'
export { allBut, type NamePattern } from './optim/patterns.ts'
export { constantRate, cosine, oneCycle, type Schedule, stepDecay, withWarmup } from './optim/schedule.ts'
export type { Device, DeviceInfo, DeviceName } from './runtime/device.ts'
export type {
  Feeds,
  Held,
  HeldTensors,
  OrtTensor,
  OrtTensors,
  Runtime,
  Session,
  SessionSettings,
} from './runtime/session.ts'
export * from './tasks/index.ts'
export type { Closable, PredictorOptions, TrainOptions } from './train/api.ts'
export { type Checkpoint, type CheckpointFile, readCheckpoint, writeCheckpoint } from './train/checkpoint.ts'
export { DivergenceError } from './train/divergence.ts'
export type { EpochSums } from './train/epoch.ts'
export type { EvaluateOptions } from './train/evaluate.ts'
export type { Ports } from './train/examples.ts'
export { type CacheableOptions, cacheable } from './train/features/cacheable.ts'
export type { FitOptions, FitResult, RunningFit, StopSignal } from './train/fit-options.ts'
export type { ImagePredictor, Prediction } from './train/image-predictor.ts'
export type { Evaluation, Measured } from './train/measured.ts'
export type { InputArrays, OutputArrays } from './train/model-arrays.ts'
export { openPredictor, type Predictor, type PredictorSource } from './train/predictor.ts'
export type { Best, EpochResult, Progress, RunState } from './train/progress.ts'
export type { SaveSource } from './train/save.ts'
export type { TrainState } from './train/state.ts'
export { type BatchInput, type StepResult, Trainer } from './train/trainer.ts'
export type {
  MetricsOf,
  MultiOptions,
  SingleOptions,
  SingleStep,
  StepSpec,
  StepSpecs,
  TrainerOptions,
  TrainerSettings,
} from './train/trainer-options.ts'
