import { dirname } from 'node:path'
import { buildModel } from '../../models/index.ts'
import { loadFile } from '../deploy/proof/loaded.ts'
import type { Against } from '../deploy/proof/prove.ts'
import { fileFacts } from '../deploy/proof/weights.ts'
import { trainingPredictor } from '../deploy/reference.ts'
import { rebuilt } from '../deploy/verify-file.ts'
import { exportOnnx } from '../export/export.ts'
import type { TrainedModel } from '../nn/trained.ts'
import { nodeRuntime } from '../runtime/node.ts'
import type { Runtime } from '../runtime/session.ts'
import type { Context } from './definition.ts'
import { isFolder } from './is-folder-node.ts'
import { type LoadOptions, loadModelFile, loadRun, type ModelFile } from './model-file-node.ts'
import { runOf } from './own-data-node.ts'

export interface ReferenceOptions extends LoadOptions {
  /** What was asked for: a run folder or an `.onnx` file. */
  readonly against?: string | undefined
  /** Where the reference runs. */
  readonly device: string
  /** Opens it there for a file, which may be dangerous. */
  readonly open: (file: ModelFile) => Promise<Runtime>
  readonly notice: Context['notice']
}

/** A reference, which is closed after use. */
export interface OpenReference extends Against {
  close(): Promise<void>
}

/**
 * What a file is proved against: what was asked for; else the checkpoint of the run whose folder was named, or that holds a rounded
 * file; else the model that the file names, with its weights; else the file's own numbers on the usual device.
 */
export async function referenceFor(
  path: string,
  file: ModelFile,
  { against, device, open, notice, ...options }: ReferenceOptions,
): Promise<OpenReference> {
  const ofFile = async (other: ModelFile, name: string): Promise<OpenReference> => {
    const runtime = await open(other)
    const { predictor } = await loadFile(runtime, other.info.bytes, other.path)
    return { name, runner: predictor, bytes: other.info.bytes, close: () => runtime.close() }
  }
  const ofModel = async (trained: TrainedModel, name: string): Promise<OpenReference> => {
    const runtime = await nodeRuntime(device)
    const runner = trainingPredictor(runtime, trained)
    const close = () => runner.close().finally(() => runtime.close())
    return { name, runner, bytes: exportOnnx(trained), close }
  }
  const ofRun = async (folder: string) =>
    ofModel(await loadRun(folder, notice), `the training graph with the checkpoint of ${folder}`)

  if (against !== undefined)
    return (await isFolder(against)) ? ofRun(against) : ofFile(await loadModelFile(against, options), against)
  if (await isFolder(path)) return ofRun(path)
  if (fileFacts(file.path, file.info).lossy) {
    const run = await runOf(path, false)
    if (run) return ofRun(dirname(path))
    notice(
      `${path} is not in the folder of its run: it is compared with its own numbers on ${device}; name the run or the float32 file with --against`,
    )
  } else {
    const trained = rebuilt(file.info, file.path, buildModel)
    if (trained) return ofModel(trained, "the training graph with the file's weights")
  }
  return ofFile(file, `its own numbers on ${device}`)
}
