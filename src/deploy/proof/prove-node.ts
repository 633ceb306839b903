import { availableParallelism, cpus, release, type } from 'node:os'
import type { Dataset } from '../../data/dataset.ts'
import { type FileSource, pathOf } from '../../data/file-source-node.ts'
import { readBytes } from '../../data/files-node.ts'
import { exportOnnx } from '../../export/export.ts'
import { keysOf } from '../../graph/keys.ts'
import type { TrainedModel } from '../../nn/trained.ts'
import { defaultDevice, nodeRuntime } from '../../runtime/node.ts'
import { VERSION } from '../../version.ts'
import { trainingPredictor } from '../reference.ts'
import { loadFile } from './loaded.ts'
import { PROOF_DEVICES, placesOf } from './places-node.ts'
import type { Proof, ProofDevice, Thresholds } from './proof.ts'
import { type Against, type Place, type ProveSettings, prove } from './prove.ts'

/** Processor, system and versions, for readers of a proof. */
export const thisMachine = (): Proof['machine'] => ({
  processor: cpus()[0]?.model.trim() || 'unknown',
  cores: availableParallelism(),
  threads: `onnxruntime-node: the physical cores; onnxruntime-web in Node: ${Math.max(1, Math.min(4, availableParallelism() >> 1))}`,
  system: `${type()} ${release()} ${process.arch}`,
  node: process.versions.node,
  onnxgrad: VERSION,
})

/** A proof with where and when it was made. */
export async function proveHere(
  file: Parameters<typeof prove>[0],
  against: Against,
  data: Dataset,
  places: readonly Place[],
  settings: ProveSettings = {},
): Promise<Proof> {
  const proof = await prove(file, against, data, places, settings)
  return { ...proof, machine: thisMachine(), date: new Date().toISOString() }
}

/** Options of `proveFile`. */
export interface ProofOptions extends Partial<Thresholds> {
  /** What the file must agree with: a trained model, or another `.onnx` file. @default the file itself on the default device */
  readonly reference?: TrainedModel | Uint8Array | FileSource | undefined
  /** Examples, as arrays under the names of the file's inputs; with `label` accuracies are compared too. */
  readonly data: Dataset
  /** Where the file is run; `all` for what works on this machine. @default cpu and wasm */
  readonly devices?: readonly ProofDevice[] | 'all' | undefined
  /** Most examples on each device. @default all on cpu and cuda, 1,000 on WASM, 256 on WebGPU */
  readonly examples?: number | undefined
  /** Seconds that each file is timed for at each batch size on each device; 0 for none. @default 0.3 */
  readonly seconds?: number | undefined
}

const isTrained = (source: object): source is TrainedModel => 'model' in source && 'params' in source

async function fileOf(
  source: Uint8Array | FileSource,
): Promise<{ readonly bytes: Uint8Array; readonly name: string }> {
  if (source instanceof Uint8Array) return { bytes: source, name: 'the model' }
  const name = pathOf(source)
  return { bytes: await readBytes(name), name }
}

/** What is measured against, on the default device. */
async function againstOf(
  reference: NonNullable<ProofOptions['reference']>,
): Promise<Against & { close(): Promise<void> }> {
  const { device } = await defaultDevice()
  const runtime = await nodeRuntime(device)
  try {
    if (typeof reference === 'object' && isTrained(reference)) {
      const runner = trainingPredictor(runtime, reference)
      return {
        ...{ name: `the training graph of ${reference.model.name}`, runner, bytes: exportOnnx(reference) },
        close: () => runner.close().finally(() => runtime.close()),
      }
    }
    const { bytes, name } = await fileOf(reference)
    const { predictor } = await loadFile(runtime, bytes, name)
    return { name, runner: predictor, bytes, close: () => predictor.close().finally(() => runtime.close()) }
  } catch (error) {
    await runtime.close()
    throw error
  }
}

/**
 * Proves an `.onnx` file: its size, its answers and its speed on each runtime, against a reference. Load files of unknown origin with
 * the command line's `verify`, which limits their time and memory.
 * @returns the proof; `ok` is false, and `failures` say why with numbers, where a runtime or a threshold fails
 * @throws UserError when file, reference or data cannot be read
 */
export async function proveFile(
  source: Uint8Array | FileSource,
  { reference, data, devices, examples, seconds, ...thresholds }: ProofOptions,
): Promise<Proof> {
  const file = await fileOf(source)
  const against = await againstOf(reference ?? file.bytes)
  const usual = (await defaultDevice()).device
  const all = devices === 'all'
  const names = all ? keysOf(PROOF_DEVICES) : (devices ?? [usual, 'wasm'])
  try {
    const places = placesOf(names, { count: examples, optional: all })
    const own = reference === undefined ? { ...against, name: `its own numbers on ${usual}` } : against
    return await proveHere(file, own, data, places, {
      thresholds,
      ...(seconds === undefined ? {} : { seconds }),
    })
  } finally {
    await against.close()
  }
}
