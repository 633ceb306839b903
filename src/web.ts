import { blobOf } from './data/blob-web.ts'
import { fetchBytes } from './data/fetch-web.ts'
import { type Picture, readPicture } from './data/image-web.ts'
import { float16On, optimizeOn, quantizationAwareOn, quantizeDynamicOn, quantizeOn } from './deploy/api.ts'
import type { Float16Model, Float16Options } from './deploy/float16.ts'
import type { LayerOptions } from './deploy/quantize/layers.ts'
import type { CalibrationOptions, Quantized } from './deploy/quantize/quantize.ts'
import type { ExportOptions } from './export/export.ts'
import { readSafetensors } from './export/safetensors.ts'
import { readWeightsFile } from './export/weights.ts'
import { type Pretrained, startFrom } from './finetune/pretrained/start.ts'
import { UserError } from './graph/errors.ts'
import type { AnyTensor } from './graph/tensor.ts'
import { type LoadOptions, loadOnnx } from './import/load.ts'
import type { Model, ModelOf, PortSpecs } from './nn/model.ts'
import type { TrainedModel } from './nn/trained.ts'
import { type WebOptions, webRuntime } from './runtime/web.ts'
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

// What users' own pages import. All of it works in a page and in a worker. Train in a worker: training on wasm blocks its
// thread.

export { digits } from './data/digits-web.ts'
export {
  type ImageFolderOptions,
  imageFolder,
  type LabelledFile,
  type PlacedFile,
} from './data/folder-web.ts'
export { idxData } from './data/idx-web.ts'
export { type Picture, readPicture } from './data/image-web.ts'
// The core, and what needs a device or the network. `onnxgrad/node` has the same names for Node.
export * from './index.ts'
export {
  type WebDeviceName,
  type WebOptions as DeviceOptions,
  type WebRuntime,
  webDevices as devices,
  webRuntime as openRuntime,
} from './runtime/web.ts'
export type { WasmFiles, WasmPaths } from './runtime/web-urls.ts'

/**
 * Trains a model for some epochs, evaluates it after each, and keeps the best one. Between steps the thread handles messages, so that
 * an AbortSignal can stop it.
 * @throws UserError before the first step when model, task, data and settings do not match
 * @throws DivergenceError when a loss or gradient is not finite
 */
export function train<K extends string, M extends Model>(
  model: M,
  options: TrainOptions<K> & WebOptions,
): Promise<FitResult<M>> {
  return trainOn(webRuntime, model, options)
}

/**
 * Opens a trainer for your own training loop: `step(batch)` updates the parameters once. It takes one task, or several named tasks
 * that share one state. Close it after use, or declare it with `await using`.
 * @throws UserError when model, task and settings do not match
 */
export function trainer<K extends string, M extends Model>(
  model: M,
  options: SingleOptions<K> & WebOptions,
): Promise<Trainer<SingleStep<K>, M> & Closable>
export function trainer<S extends StepSpecs, M extends Model>(
  model: M,
  options: MultiOptions<S> & WebOptions,
): Promise<Trainer<S, M> & Closable>
export function trainer(model: Model, options: TrainerOptions & WebOptions): Promise<Trainer & Closable> {
  return trainerOn(webRuntime, model, options)
}

/**
 * Loads a trained model, a model at its initial weights, or the bytes of an `.onnx` file, for many inputs. Close it after use. Load a
 * file from an unknown source in a worker, which the page can terminate: it may take any amount of time and memory.
 * @throws UserError when the file is dangerous to load, or cannot be loaded
 */
export function predictor<M extends Model>(
  source: PredictorSource<M>,
  options: PredictorOptions & WebOptions = {},
): Promise<Predictor<M> & Closable> {
  return predictorOn(webRuntime, source, options)
}

/**
 * Loads a classifier of images, for many pictures: files, canvases, or pixels. Close it after use.
 * @throws UserError when it is not a model of images, is dangerous to load, or cannot be loaded
 */
export function imagePredictor(
  source: PredictorSource,
  options: PredictorOptions & WebOptions = {},
): Promise<ImagePredictor<Picture> & Closable> {
  return imagePredictorOn(webRuntime, readPicture, source, options)
}

/**
 * Loss and metrics of a model over a whole data set; every example counts once.
 * @throws UserError when model, task and data do not match
 */
export function evaluate(
  source: TrainedModel | Model,
  options: EvaluateOptions & WebOptions,
): Promise<Evaluation> {
  return evaluateOn(webRuntime, source, options)
}

/**
 * A model that gives the same outputs, up to rounding, in less time: batch norms and other scales and shifts become part of the weights
 * next to them, and what depends on weights alone is computed once, now. It is for inference, not for training.
 */
export const optimizeForInference = (
  source: TrainedModel | Model,
  options: WebOptions = {},
): Promise<TrainedModel> => optimizeOn(webRuntime, source, options)

/**
 * A model in half precision: weights are float16, so that a file is half as large, and most operators compute in float16. Norms, softmax
 * and sums compute in float32. With `data`, examples like those that the model will see, layers whose values float16 does not hold stay
 * in float32, too.
 * @throws UserError when the examples do not fit the model
 */
export const toFloat16 = (
  source: TrainedModel | Model,
  options: Float16Options & WebOptions = {},
): Promise<Float16Model> => float16On(webRuntime, source, options)

/**
 * A model of 8-bit integers, a quarter of the size, for runtimes with integer kernels: int8 weights with a scale for each output, and
 * uint8 activations whose ranges are calibrated on `data`. Layers that prove sensitive when measured stay float32. A model that
 * {@link quantizationAware} made and `train` trained needs no data.
 * @throws UserError when the model has no linear layer or convolution, or the data do not fit it
 */
export const quantize = (
  source: TrainedModel | Model,
  options: CalibrationOptions & WebOptions,
): Promise<Quantized> => quantizeOn(webRuntime, source, options)

/**
 * A model of 8-bit weights without calibration: linear layers multiply integers, with a range of the activations that is computed at
 * each run; convolutions multiply float32.
 * @throws UserError when the model has no linear layer or convolution
 */
export const quantizeDynamic = (
  source: TrainedModel | Model,
  options: LayerOptions & WebOptions = {},
): Promise<TrainedModel> => quantizeDynamicOn(webRuntime, source, options)

/**
 * A model for quantization-aware training, where `quantize` alone loses too much: it starts at the trained weights and rounds as the int8
 * file will. Train it for an epoch or two with a small learning rate, such as `adamW({ lr: 1e-5 })`, then pass the result to
 * {@link quantize}.
 * @throws UserError as {@link quantize} does
 */
export const quantizationAware = (
  source: TrainedModel | Model,
  options: CalibrationOptions & WebOptions,
): Promise<Model> => quantizationAwareOn(webRuntime, source, options)

/** A file of the page's user, or the address of one. */
export type FileSource = string | URL | Blob

const nameOf = (source: FileSource): string =>
  source instanceof Blob ? ('name' in source ? String(source.name) : 'the file') : String(source)

const bytesOf = async (source: FileSource): Promise<Uint8Array> =>
  source instanceof Blob
    ? new Uint8Array(
        await source.arrayBuffer().catch(() => {
          throw new UserError(`${nameOf(source)}: the browser cannot read it; choose it again`)
        }),
      )
    : fetchBytes(source)

/**
 * Loads an `.onnx` file as a model like any other, initialized with the file's weights.
 * @throws UserError when the file cannot be read, or has an operator that onnxgrad does not support
 */
export async function load<const I extends PortSpecs = PortSpecs>(
  source: FileSource,
  options: LoadOptions<I> = {},
): Promise<ModelOf<I, Readonly<Record<string, AnyTensor>>, object>> {
  return loadOnnx(await bytesOf(source), nameOf(source), options)
}

/** Weights of a `.safetensors` file, by name, for the `weights` option. @throws UserError when it cannot be read */
export async function loadWeights(source: FileSource): Promise<Readonly<Record<string, Float32Array>>> {
  return readWeightsFile(await bytesOf(source), nameOf(source))
}

/**
 * A model that starts from a `.safetensors` file of timm, torchvision, transformers or onnxgrad, and what became of each of its
 * weights: {@link startFrom}.
 * @throws UserError when the file cannot be read, none of its names is the model's, or another shape does not fit
 */
export async function loadPretrained<M extends Model>(model: M, source: FileSource): Promise<Pretrained<M>> {
  return startFrom(model, readSafetensors(await bytesOf(source), nameOf(source)).tensors)
}

/**
 * Lets the user save a file: a model as `.onnx`, its weights as `.safetensors`, or the whole state of a trainer as `.safetensors`,
 * which the `resume` option reads.
 * @throws UserError in a worker, or when the name ends in neither
 */
export async function save(source: SaveSource, path: string, options: ExportOptions = {}): Promise<void> {
  download(await bytesToSave(source, path, options), path)
}

/** Lets the user save bytes as a file. @throws UserError in a worker */
export function download(bytes: Uint8Array, name: string): void {
  if (!('document' in globalThis))
    throw new UserError(`${name}: only a page can save files; post the bytes to the page`)
  const url = URL.createObjectURL(blobOf(bytes, 'application/octet-stream'))
  const link = Object.assign(document.createElement('a'), { href: url, download: name })
  link.click()
  // The browser reads the address after this turn.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
