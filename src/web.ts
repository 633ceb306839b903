import type { DataSource } from './data/dataset.ts'
import { type Picture, readPicture } from './data/image-web.ts'
import { type ImageShape, type Preprocessing, preprocessingOf } from './data/preprocess.ts'
import { readOnnx } from './export/read.ts'
import { UserError } from './graph/errors.ts'
import type { Model } from './nn/model.ts'
import { type WebOptions, webRuntime } from './runtime/web.ts'
import { argmaxAt, logSumExpAt } from './train/evaluate.ts'
import { fit } from './train/fit.ts'
import type { FitOptions, FitResult } from './train/fit-options.ts'
import { filePredictor, modelInput } from './train/predictor.ts'
import { type TrainedModel, toOnnx, trainedModel } from './train/trained.ts'

// What users' own pages import. All of it works in a page and in a worker; training belongs in a worker, because the
// thread that trains on wasm does nothing else meanwhile.

export { type AugmentOptions, augmentation } from './data/augment.ts'
export type { DataSource, Dataset, ImageSource } from './data/dataset.ts'
export { digits } from './data/digits-web.ts'
export { type Fingerprint, type Fingerprints, fingerprints } from './data/fingerprint.ts'
export { imageFolder, type LabelledFile, type PlacedFile } from './data/folder-web.ts'
export { idxData } from './data/idx-web.ts'
export { type Picture, readPicture } from './data/image-web.ts'
export type { ImageShape, Preprocessing } from './data/preprocess.ts'
export { UserError } from './graph/errors.ts'
export {
  type WebDevice,
  type WebDeviceName,
  type WebOptions,
  type WebRuntime,
  webDevices,
  webRuntime,
} from './runtime/web.ts'
export { DivergenceError } from './train/divergence.ts'
export type { FitOptions, FitResult } from './train/fit-options.ts'
export type { ParameterGroup } from './train/groups.ts'
export { adagrad, adam, adamW, lion, rmsprop, sgd } from './train/optimizer.ts'
export type { EpochResult, Progress, Reached } from './train/progress.ts'
export { constant, cosine, oneCycle, stepDecay, withWarmup } from './train/schedule.ts'
export { type OnnxOptions, type TrainedModel, toOnnx as exportOnnx } from './train/trained.ts'

export interface TrainOptions extends Omit<FitOptions, 'threads'>, WebOptions {
  /** Training and test set, such as `digits(url)`, `idxData(files)` or `imageFolder(files, shape)`. */
  readonly data: DataSource | Promise<DataSource>
}

export interface Run extends FitResult {
  readonly model: TrainedModel
}

/**
 * Trains a model on onnxruntime-web. Between steps the thread takes messages, so that an AbortSignal can stop it.
 * @throws UserError when data and model do not fit or the device is missing; DivergenceError when the loss is no number
 */
export async function train(model: Model, options: TrainOptions): Promise<Run> {
  const { data, device, threads, wasmPaths, onLost, ...fitting } = options
  const source = await data
  const runtime = await webRuntime({ device, threads, wasmPaths, onLost })
  try {
    const result = await fit(model, runtime, source, fitting)
    return { ...result, model: trainedModel(model, source, result) }
  } finally {
    await runtime.close()
  }
}

/** What a model says of one image. */
export interface Prediction {
  /** Index of the most probable class, and its name. */
  readonly label: number
  readonly name: string
  /** By class. */
  readonly probabilities: Float32Array
  readonly logits: Float32Array
}

/** A model that is loaded and ready to answer. */
export interface ImagePredictor {
  readonly classes: readonly string[]
  readonly shape: ImageShape
  readonly preprocessing: Preprocessing
  /**
   * @param image a picture, which is prepared as the model's training pictures were, or pixels in [0, 1], `[channels, height, width]`
   * @throws UserError when it is no picture, or another number of pixels
   */
  predict(image: Picture | Float32Array): Promise<Prediction>
  close(): Promise<void>
}

export interface PredictorOptions extends WebOptions {
  /**
   * Takes a file with loops, which may never end and which nothing in their thread can stop: for files that you trust, or in
   * a worker that the page can terminate. @default false
   */
  readonly loops?: boolean
}

/**
 * Loads a trained model, or the bytes of an `.onnx` file, for many images. A file from elsewhere may take any time and
 * memory: a page that must not stop over one does this in a worker, and terminates that.
 * @throws UserError when it is not a model of images, is dangerous to load or cannot be loaded
 */
export async function openPredictor(
  model: TrainedModel | Uint8Array,
  options: PredictorOptions = {},
): Promise<ImagePredictor> {
  const bytes = model instanceof Uint8Array ? model : toOnnx(model)
  const info = readOnnx(bytes, 'the model')
  if (info.loops && !options.loops)
    throw new UserError(
      'the model has loops, which may never end; give loops: true if you trust it, or in a worker that can be terminated',
    )
  const input = modelInput(info, 'the model')
  if (input.name !== 'image') throw new UserError(`the model reads ${input.name}, not images`)
  const shape = input.shape as unknown as ImageShape
  const preprocessing = preprocessingOf(info, input.shape, 'the model')
  const runtime = await webRuntime(options)
  const predictor = await filePredictor(runtime, bytes, shape).catch(async (error: unknown) => {
    await runtime.close()
    throw error
  })
  const classes = info.classes ?? []
  return {
    classes,
    shape,
    preprocessing,
    async predict(image) {
      const pixels = image instanceof Float32Array ? image : await pixelsOf(image, shape, preprocessing)
      const size = shape.reduce((a, b) => a * b, 1)
      if (pixels.length !== size)
        throw new UserError(
          `the image has ${pixels.length} values, the model takes ${shape.join(' × ')} = ${size}`,
        )
      const logits = await predictor.predict({ input: pixels, count: 1 })
      const all = logSumExpAt(logits, 0, logits.length)
      const label = argmaxAt(logits, 0, logits.length)
      return {
        label,
        name: classes[label] ?? String(label),
        probabilities: logits.map(z => Math.exp(z - all)),
        logits,
      }
    },
    async close() {
      await predictor.close()
      await runtime.close()
    },
  }
}

const pixelsOf = async (
  picture: Picture,
  shape: ImageShape,
  preprocessing: Preprocessing,
): Promise<Float32Array> => {
  const name = picture instanceof Blob && 'name' in picture ? String(picture.name) : 'the image'
  return Float32Array.from(await readPicture(picture, name, shape, preprocessing), v => v / 255)
}

/** What a model says of one image; for many, `openPredictor` loads the model once. */
export async function predict(
  model: TrainedModel | Uint8Array,
  image: Picture | Float32Array,
  options: PredictorOptions = {},
): Promise<Prediction> {
  const predictor = await openPredictor(model, options)
  try {
    return await predictor.predict(image)
  } finally {
    await predictor.close()
  }
}

/** Lets the user save bytes as a file; in a page, not in a worker. */
export function download(bytes: Uint8Array, name: string): void {
  const url = URL.createObjectURL(new Blob([bytes as BlobPart], { type: 'application/octet-stream' }))
  const link = Object.assign(document.createElement('a'), { href: url, download: name })
  link.click()
  // The browser reads the address after this turn.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
