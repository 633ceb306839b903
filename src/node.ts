import { readBytes, writeAtomic } from './data/files-node.ts'
import type { ExportOptions } from './export/export.ts'
import { type LoadOptions, loadOnnx } from './export/load.ts'
import { readWeightsFile } from './export/weights.ts'
import type { AnyTensor } from './graph/tensor.ts'
import type { ModelOf, PortSpecs } from './nn/model.ts'
import { defaultDevice } from './runtime/node.ts'
import { workerRuntime } from './runtime/worker-node.ts'
import { bindApi } from './train/api.ts'
import { bytesToSave, type SaveSource } from './train/save.ts'

export { filesBeside } from './data/beside-node.ts'
export { loadImages as images } from './data/images-node.ts'
export { loadMnist as mnist } from './data/mnist-node.ts'
// The core, and what needs a device or files. `onnxgrad/web` has the same names for pages.
export * from './index.ts'
export { reportOfRun } from './report/run-report-node.ts'
export { EventWriter } from './report/tensorboard-node.ts'
export { type IsolatedOptions, isolatedRuntime } from './runtime/isolated-node.ts'
export { type DefaultDevice, defaultDevice, nodeRuntime, wasmRuntime } from './runtime/node.ts'
export { workerRuntime } from './runtime/worker-node.ts'

export interface DeviceOptions {
  /** `cpu`, `webgpu`, `cuda` or `wasm`. @default `cpu`; `wasm` without onnxruntime-node, with a warning on the console */
  readonly device?: string | undefined
}

/**
 * Trains, evaluates and predicts on onnxruntime-node, in a thread of their own: timers and other work are not blocked.
 */
export const { train, trainer, predictor, evaluate } = bindApi<DeviceOptions>(async ({ device }) =>
  workerRuntime(device ?? (await usualDevice())),
)

async function usualDevice(): Promise<string> {
  const { device, notice } = await defaultDevice()
  if (notice) console.warn(`onnxgrad: ${notice}`)
  return device
}

/**
 * Loads an `.onnx` file as a model like any other, which starts at the file's weights.
 * @throws UserError when the file cannot be read, or has an operator that onnxgrad does not support
 */
export async function load<const I extends PortSpecs = PortSpecs>(
  path: string,
  options: LoadOptions<I> = {},
): Promise<ModelOf<I, Readonly<Record<string, AnyTensor>>, object>> {
  return loadOnnx(await readBytes(path), path, options)
}

/** Weights of a `.safetensors` file by name, for the option `weights`. @throws UserError when it cannot be read */
export const loadWeights = async (path: string): Promise<Readonly<Record<string, Float32Array>>> =>
  readWeightsFile(await readBytes(path), path)

/**
 * Writes a file, under a temporary name first: a model as `.onnx`, its weights as `.safetensors`, or the whole state of a
 * trainer as `.safetensors`, which the option `resume` reads.
 * @throws UserError when the file cannot be written, or its name ends in neither
 */
export async function save(source: SaveSource, path: string, options: ExportOptions = {}): Promise<void> {
  await writeAtomic(path, await bytesToSave(source, path, options))
}
