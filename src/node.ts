import { type FileSource, pathOf } from './data/file-source-node.ts'
import { readBytes, writeAtomic } from './data/files-node.ts'
import { type Picture, readPicture } from './data/loaders-node.ts'
import { float16On, optimizeOn, quantizationAwareOn, quantizeDynamicOn, quantizeOn } from './deploy/api.ts'
import type { Float16Model, Float16Options } from './deploy/float16.ts'
import type { LayerOptions } from './deploy/quantize/layers.ts'
import type { CalibrationOptions, Quantized } from './deploy/quantize/quantize.ts'
import type { ExportOptions } from './export/export.ts'
import { readSafetensors } from './export/safetensors.ts'
import { readWeightsFile } from './export/weights.ts'
import { type Pretrained, startFrom } from './finetune/pretrained/start.ts'
import type { AnyTensor } from './graph/tensor.ts'
import { type LoadOptions, loadOnnx } from './import/load.ts'
import type { Model, ModelOf, PortSpecs } from './nn/model.ts'
import type { TrainedModel } from './nn/trained.ts'
import { type DeviceName, defaultDevice } from './runtime/node.ts'
import type { Runtime } from './runtime/session.ts'
import { workerRuntime } from './runtime/worker-node.ts'
import {
  type Closable,
  evaluateOn,
  imagePredictorOn,
  type PredictorOptions,
  predictorOn,
  type TrainOptions,
  trainerOn,
  trainOn,
} from './train/api.ts'
import type { EvaluateOptions } from './train/evaluate.ts'
import type { FitResult } from './train/fit-options.ts'
import type { ImagePredictor } from './train/image-predictor.ts'
import type { Evaluation } from './train/measured.ts'
import type { Predictor, PredictorSource } from './train/predictor.ts'
import { bytesToSave, type SaveSource } from './train/save.ts'
import type { Trainer } from './train/trainer.ts'
import type {
  MultiOptions,
  SingleOptions,
  SingleStep,
  StepSpecs,
  TrainerOptions,
} from './train/trainer-options.ts'

export { filesBeside } from './data/beside-node.ts'
export type { Env } from './data/cache-node.ts'
export type { FetchOptions } from './data/fetch-node.ts'
export type { FileSource } from './data/file-source-node.ts'
export { type ImagesOptions, loadImages as images } from './data/images-node.ts'
export {
  digits,
  type ImageFolderOptions,
  idxData,
  imageFolder,
  type Picture,
  readPicture,
} from './data/loaders-node.ts'
export { loadMnist as mnist, type MnistOptions } from './data/mnist-node.ts'
export type { FollowOptions } from './data/survey-node.ts'
export type { DownloadLimits } from './data/watchdog-node.ts'
export type {
  Agreement,
  ClassCount,
  Disagreement,
  FileFacts,
  Latency,
  OutputDifference,
  Proof,
  ProofDevice,
  ReferenceFacts,
  RuntimeProof,
  Thresholds,
  Timing,
} from './deploy/proof/proof.ts'
export { type ProofOptions, proveFile } from './deploy/proof/prove-node.ts'
// The core, plus everything that needs a device or files. `onnxgrad/web` has the same names for pages.
export * from './index.ts'
export type { ComparedRun } from './report/compare-node.ts'
export { proofPage } from './report/proof-node.ts'
export { EventWriter } from './report/tensorboard-node.ts'
export { type Comparison, compareRuns } from './runs/compare-node.ts'
export { type Definition, defineRun, type Own, type RunSpec } from './runs/definition.ts'
export {
  type Repeated,
  type RepeatedRun,
  type RepeatOptions,
  type RepeatResult,
  type RepeatSettings,
  repeatRun,
  resumeRepeats,
  type Spread,
} from './runs/repeat-node.ts'
export { type ReportSource, reportOfRun } from './runs/report-node.ts'
export {
  type ResumeSettings,
  type RunOptions,
  type RunSettings,
  type RunStart,
  resumeRun,
  trainRun,
} from './runs/run-node.ts'
export type { TrialResult } from './runs/search/result.ts'
export {
  resumeSearch,
  type SearchOptions,
  type SearchResult,
  type SearchSettings,
  type SearchStart,
  searchRuns,
  type Winner,
} from './runs/search/run-node.ts'
export { SETTINGS, type Settings } from './runs/settings.ts'
export type { RunResult, Summary, Watch } from './runs/train-node.ts'
export { devices } from './runtime/devices-node.ts'
export { type IsolatedOptions, isolatedRuntime } from './runtime/isolated-node.ts'
export { nodeRuntime } from './runtime/node.ts'
export type { GraphProfile } from './runtime/profile-node.ts'
export * as setting from './settings/index.ts'
export type {
  ChoiceSetting,
  NumberSetting,
  NumbersSetting,
  Range,
  Role,
  Schema,
  Setting,
  SettingAbout,
  SettingDetails,
  SettingField,
  SwitchSetting,
  TextSetting,
  Value,
  ValueOf,
  Values,
  ValuesOf,
} from './settings/setting.ts'

/** Where models run, and how. */
export interface DeviceOptions {
  /** `cpu`, `webgpu`, `cuda` or `wasm`. @default `cpu`; `wasm` without onnxruntime-node, with a warning on the console */
  readonly device?: DeviceName | undefined
  /** Threads of one op. @default the physical cores */
  readonly threads?: number | undefined
}

/**
 * A runtime on a device, for `Trainer` and `openPredictor`. Models run in a separate thread and do not block the event loop. Close
 * it after use.
 * @throws UserError when the device is not available, saying how to get it
 */
export async function openRuntime({ device }: DeviceOptions = {}): Promise<Runtime> {
  return workerRuntime(device ?? (await usualDevice()))
}

async function usualDevice(): Promise<DeviceName> {
  const { device, notice } = await defaultDevice()
  if (notice) console.warn(`onnxgrad: ${notice}`)
  return device
}

/**
 * Trains a model for some epochs, evaluates it after each, and keeps the best one. Training runs in a separate thread and does not
 * block the event loop.
 * @throws UserError before the first step when model, task, data and settings do not match
 * @throws DivergenceError when a loss or gradient is not finite
 */
export function train<K extends string, M extends Model>(
  model: M,
  options: TrainOptions<K> & DeviceOptions,
): Promise<FitResult<M>> {
  return trainOn(openRuntime, model, options)
}

/**
 * Opens a trainer for your own training loop: `step(batch)` updates the parameters once. It takes one task, or several named tasks
 * that share one state. Close it after use, or declare it with `await using`.
 * @throws UserError when model, task and settings do not match
 */
export function trainer<K extends string, M extends Model>(
  model: M,
  options: SingleOptions<K> & DeviceOptions,
): Promise<Trainer<SingleStep<K>, M> & Closable>
export function trainer<S extends StepSpecs, M extends Model>(
  model: M,
  options: MultiOptions<S> & DeviceOptions,
): Promise<Trainer<S, M> & Closable>
export function trainer(model: Model, options: TrainerOptions & DeviceOptions): Promise<Trainer & Closable> {
  return trainerOn(openRuntime, model, options)
}

/**
 * Loads a trained model, a model at its initial weights, or the bytes of an `.onnx` file, for many inputs. Close it after use. Load a
 * file from an unknown source with `isolatedRuntime` instead: it may take any amount of time and memory.
 * @throws UserError when the file is dangerous to load, or cannot be loaded
 */
export function predictor<M extends Model>(
  source: PredictorSource<M>,
  options: PredictorOptions & DeviceOptions = {},
): Promise<Predictor<M> & Closable> {
  return predictorOn(openRuntime, source, options)
}

/**
 * Loads a classifier of images, for many pictures: files, or pixels. Close it after use.
 * @throws UserError when it is not a model of images, is dangerous to load, or cannot be loaded
 */
export function imagePredictor(
  source: PredictorSource,
  options: PredictorOptions & DeviceOptions = {},
): Promise<ImagePredictor<Picture> & Closable> {
  return imagePredictorOn(openRuntime, readPicture, source, options)
}

/**
 * Loss and metrics of a model over a whole data set; every example counts once.
 * @throws UserError when model, task and data do not match
 */
export function evaluate(
  source: TrainedModel | Model,
  options: EvaluateOptions & DeviceOptions,
): Promise<Evaluation> {
  return evaluateOn(openRuntime, source, options)
}

/**
 * A model that gives the same outputs, up to rounding, in less time: batch norms and other scales and shifts become part of the weights
 * next to them, and what depends on weights alone is computed once, now. It is for inference, not for training.
 */
export const optimizeForInference = (
  source: TrainedModel | Model,
  options: DeviceOptions = {},
): Promise<TrainedModel> => optimizeOn(openRuntime, source, options)

/**
 * A model in half precision: weights are float16, so that a file is half as large, and most operators compute in float16. Norms, softmax
 * and sums compute in float32. With `data`, examples like those that the model will see, layers whose values float16 does not hold stay
 * in float32, too.
 * @throws UserError when the examples do not fit the model
 */
export const toFloat16 = (
  source: TrainedModel | Model,
  options: Float16Options & DeviceOptions = {},
): Promise<Float16Model> => float16On(openRuntime, source, options)

/**
 * A model of 8-bit integers, a quarter of the size, for runtimes with integer kernels: int8 weights with a scale for each output, and
 * uint8 activations whose ranges are calibrated on `data`. Layers that prove sensitive when measured stay float32. A model that
 * {@link quantizationAware} made and `train` trained needs no data.
 * @throws UserError when the model has no linear layer or convolution, or the data do not fit it
 */
export const quantize = (
  source: TrainedModel | Model,
  options: CalibrationOptions & DeviceOptions,
): Promise<Quantized> => quantizeOn(openRuntime, source, options)

/**
 * A model of 8-bit weights without calibration: linear layers multiply integers, with a range of the activations that is computed at
 * each run; convolutions multiply float32.
 * @throws UserError when the model has no linear layer or convolution
 */
export const quantizeDynamic = (
  source: TrainedModel | Model,
  options: LayerOptions & DeviceOptions = {},
): Promise<TrainedModel> => quantizeDynamicOn(openRuntime, source, options)

/**
 * A model for quantization-aware training, where `quantize` alone loses too much: it starts at the trained weights and rounds as the int8
 * file will. Train it for an epoch or two with a small learning rate, such as `adamW({ lr: 1e-5 })`, then pass the result to
 * {@link quantize}.
 * @throws UserError as {@link quantize} does
 */
export const quantizationAware = (
  source: TrainedModel | Model,
  options: CalibrationOptions & DeviceOptions,
): Promise<Model> => quantizationAwareOn(openRuntime, source, options)

/**
 * Loads an `.onnx` file as a model like any other, initialized with the file's weights.
 * @throws UserError when the file cannot be read, or has an operator that onnxgrad does not support
 */
export async function load<const I extends PortSpecs = PortSpecs>(
  source: FileSource,
  options: LoadOptions<I> = {},
): Promise<ModelOf<I, Readonly<Record<string, AnyTensor>>, object>> {
  const path = pathOf(source)
  return loadOnnx(await readBytes(path), path, options)
}

/** Weights of a `.safetensors` file, by name, for the `weights` option. @throws UserError when it cannot be read */
export async function loadWeights(source: FileSource): Promise<Readonly<Record<string, Float32Array>>> {
  const path = pathOf(source)
  return readWeightsFile(await readBytes(path), path)
}

/**
 * A model that starts from a `.safetensors` file of timm, torchvision, transformers or onnxgrad, and what became of each of its
 * weights: {@link startFrom}.
 * @throws UserError when the file cannot be read, none of its names is the model's, or another shape does not fit
 */
export async function loadPretrained<M extends Model>(model: M, source: FileSource): Promise<Pretrained<M>> {
  const path = pathOf(source)
  return startFrom(model, readSafetensors(await readBytes(path), path).tensors)
}

/**
 * Writes a file, under a temporary name first: a model as `.onnx`, its weights as `.safetensors`, or the whole state of a trainer
 * as `.safetensors`, which the `resume` option reads.
 * @throws UserError when the file cannot be written, or its name has neither extension
 */
export async function save(source: SaveSource, path: string, options: ExportOptions = {}): Promise<void> {
  await writeAtomic(path, await bytesToSave(source, path, options))
}
