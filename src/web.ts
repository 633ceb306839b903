import { fetchBytes } from './data/fetch-web.ts'
import { type ExportOptions, exportOnnx } from './export/export.ts'
import { type LoadOptions, loadOnnx } from './export/load.ts'
import { type FileInfo, readOnnx } from './export/read.ts'
import { readWeightsFile } from './export/weights.ts'
import { UserError } from './graph/errors.ts'
import type { AnyTensor } from './graph/tensor.ts'
import type { ModelOf, PortSpecs } from './nn/model.ts'
import { type WebOptions, webRuntime } from './runtime/web.ts'
import { bindApi, type Closable, opened } from './train/api.ts'
import { type ImagePredictor, openImagePredictor } from './train/image-predictor-web.ts'
import type { Predictor, PredictorSource } from './train/predictor.ts'
import { bytesToSave, type SaveSource } from './train/save.ts'

// What users' own pages import. All of it works in a page and in a worker. Train in a worker: training on wasm blocks its
// thread.

export type { ImageSource } from './data/dataset.ts'
export { digits } from './data/digits-web.ts'
export { type Fingerprint, type Fingerprints, fingerprints } from './data/fingerprint.ts'
export { imageFolder, type LabelledFile, type PlacedFile } from './data/folder-web.ts'
export { idxData } from './data/idx-web.ts'
export { type Picture, readPicture } from './data/image-web.ts'
export type { ImageShape, Preprocessing } from './data/preprocess.ts'
// The core, and what needs a device or the network. `onnxgrad/node` has the same names for Node.
export * from './index.ts'
export {
  type WebDevice,
  type WebDeviceName,
  type WebOptions,
  type WebRuntime,
  webDevices,
  webRuntime,
} from './runtime/web.ts'
export type { ImagePredictor, Prediction } from './train/image-predictor-web.ts'

const api = bindApi<WebOptions>(webRuntime)

/** Trains and evaluates on onnxruntime-web. Between steps the thread handles messages, so that an AbortSignal can stop it. */
export const { train, trainer, evaluate } = api

export interface PredictorOptions extends WebOptions {
  /**
   * Accepts a file with loops, which may never end and cannot be stopped from their own thread: for files that you trust,
   * or in a worker that the page can terminate. @default false
   */
  readonly loops?: boolean
}

const NAME = 'the model'

/** @throws UserError when a file has loops, unless `loops` allows them */
function infoOf(bytes: Uint8Array, { loops }: PredictorOptions): FileInfo {
  const info = readOnnx(bytes, NAME)
  if (!info.loops || loops) return info
  throw new UserError(
    `${NAME} has loops, which may never end; set loops: true if you trust it, or if you run it in a worker that can be terminated`,
  )
}

/**
 * Loads a trained model, a model at its initial weights, or the bytes of an `.onnx` file, for many inputs. A file from an
 * unknown source may take any amount of time and memory: load it in a worker, which the page can terminate.
 * @throws UserError when it is dangerous to load, or cannot be loaded
 */
export async function predictor(
  source: PredictorSource,
  options: PredictorOptions = {},
): Promise<Predictor & Closable> {
  if (source instanceof Uint8Array) infoOf(source, options)
  return api.predictor(source, options)
}

/**
 * Loads a classifier of images, for many pictures: files, canvases, or pixels.
 * @throws UserError when it is not a model of images, is dangerous to load or cannot be loaded
 */
export async function imagePredictor(
  source: PredictorSource,
  options: PredictorOptions = {},
): Promise<ImagePredictor & Closable> {
  const info = infoOf(source instanceof Uint8Array ? source : exportOnnx(source), options)
  return opened(webRuntime, options, runtime => openImagePredictor(runtime, info, NAME))
}

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
 * Loads an `.onnx` file as a model like any other, which starts at the file's weights.
 * @throws UserError when the file cannot be read, or has an operator that onnxgrad does not support
 */
export async function load<const I extends PortSpecs = PortSpecs>(
  source: FileSource,
  options: LoadOptions<I> = {},
): Promise<ModelOf<I, Readonly<Record<string, AnyTensor>>, object>> {
  return loadOnnx(await bytesOf(source), nameOf(source), options)
}

/** Weights of a `.safetensors` file by name, for the option `weights`. @throws UserError when it cannot be read */
export const loadWeights = async (source: FileSource): Promise<Readonly<Record<string, Float32Array>>> =>
  readWeightsFile(await bytesOf(source), nameOf(source))

/**
 * Lets the user save a file: a model as `.onnx`, its weights as `.safetensors`, or the whole state of a trainer as
 * `.safetensors`, which the option `resume` reads.
 * @throws UserError in a worker, or when the name ends in neither
 */
export async function save(source: SaveSource, name: string, options: ExportOptions = {}): Promise<void> {
  download(await bytesToSave(source, name, options), name)
}

/** Lets the user save bytes as a file. @throws UserError in a worker */
export function download(bytes: Uint8Array, name: string): void {
  if (!('document' in globalThis))
    throw new UserError(`${name}: only a page can save files; post the bytes to the page`)
  const url = URL.createObjectURL(new Blob([bytes as BlobPart], { type: 'application/octet-stream' }))
  const link = Object.assign(document.createElement('a'), { href: url, download: name })
  link.click()
  // The browser reads the address after this turn.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
