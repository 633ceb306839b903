import type { DataSource } from './data/dataset.ts'
import { writeAtomic } from './data/files-node.ts'
import type { Model } from './nn/model.ts'
import { defaultDevice } from './runtime/node.ts'
import { workerRuntime } from './runtime/worker-node.ts'
import { fit } from './train/fit.ts'
import type { FitOptions, FitResult } from './train/fit-options.ts'
import { type OnnxOptions, type TrainedModel, toOnnx, trainedModel } from './train/trained.ts'

export { type AugmentOptions, augmentation } from './data/augment.ts'
export type { Batch, BatchOptions } from './data/batches.ts'
export { filesBeside } from './data/beside-node.ts'
export {
  type BatchedDataset,
  type DataSource,
  type Dataset,
  type ImageDataset,
  type ImageSource,
  imageSource,
} from './data/dataset.ts'
export { type Fingerprint, type Fingerprints, fingerprints } from './data/fingerprint.ts'
export { heldOut, withValidation } from './data/held-out.ts'
export { loadImages as images } from './data/images-node.ts'
export { loadMnist as mnist } from './data/mnist-node.ts'
export type { Preprocessing } from './data/preprocess.ts'
export { reportOfRun } from './report/run-report-node.ts'
export { EventWriter } from './report/tensorboard-node.ts'
export { type IsolatedOptions, isolatedRuntime } from './runtime/isolated-node.ts'
export { type DefaultDevice, defaultDevice, nodeRuntime, wasmRuntime } from './runtime/node.ts'
export { workerRuntime } from './runtime/worker-node.ts'
export { DivergenceError } from './train/divergence.ts'
export type { FitOptions, FitResult } from './train/fit-options.ts'
export type { ParameterGroup } from './train/groups.ts'
export { adagrad, adam, adamW, lion, rmsprop, sgd } from './train/optimizer.ts'
export type { EpochResult, Progress, Reached } from './train/progress.ts'
export { constant, cosine, oneCycle, stepDecay, withWarmup } from './train/schedule.ts'
export type { OnnxOptions, TrainedModel } from './train/trained.ts'

export interface TrainOptions extends FitOptions {
  /** Training and test set, such as `mnist()`, or `images({ data, shape })`. */
  readonly data: DataSource | Promise<DataSource>
  /** `cpu`, `webgpu`, `cuda` or `wasm`. @default `cpu`; without onnxruntime-node `wasm`, with a warning on the console */
  readonly device?: string
}

export interface Run extends FitResult {
  readonly model: TrainedModel
}

/**
 * Trains a model in a thread of its own: timers and other work continue meanwhile.
 * @throws UserError when data and model do not fit or the device is missing; DivergenceError when the loss is no number
 */
export async function train(model: Model, { data, device, ...options }: TrainOptions): Promise<Run> {
  const source = await data
  const runtime = await workerRuntime(device ?? (await usualDevice()))
  try {
    const result = await fit(model, runtime, source, options)
    return { ...result, model: trainedModel(model, source, result) }
  } finally {
    await runtime.close()
  }
}

async function usualDevice(): Promise<string> {
  const { device, notice } = await defaultDevice()
  if (notice) console.warn(`onnxgrad: ${notice}`)
  return device
}

/** Writes a trained model as an `.onnx` file. @throws UserError when it cannot be written */
export const exportOnnx = (trained: TrainedModel, path: string, options: OnnxOptions = {}): Promise<void> =>
  writeAtomic(path, toOnnx(trained, options))
