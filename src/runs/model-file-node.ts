import { join } from 'node:path'
import { filesBeside } from '../data/beside-node.ts'
import { readBytes } from '../data/files-node.ts'
import { exportOnnx } from '../export/export.ts'
import { type FileInfo, readOnnx } from '../export/read.ts'
import { hasLora } from '../finetune/merge.ts'
import { UserError } from '../graph/errors.ts'
import { isBounded } from '../import/bounded.ts'
import type { TrainedModel } from '../nn/trained.ts'
import { isolatedRuntime } from '../runtime/isolated-node.ts'
import { nodeRuntime } from '../runtime/node.ts'
import type { Runtime } from '../runtime/session.ts'
import type { Context } from './definition.ts'
import { recordedBuild } from './definition-node.ts'
import { RUN_FILES, readRun } from './folder-node.ts'
import { isFolder } from './is-folder-node.ts'
import { trainedModel } from './saved.ts'
import { readCheckpointOf } from './saved-node.ts'

export interface ModelFile {
  readonly path: string
  readonly info: FileInfo
}

export interface LoadOptions {
  /** Whether the model may read files beside it; `leave` leaves out what is in them. @default false */
  readonly externalData?: boolean | 'leave'
}

/** An `.onnx` file, or the one in a run folder. @throws UserError when there is none, it is damaged or dangerous to load */
export async function loadModelFile(
  path: string,
  { externalData = false }: LoadOptions = {},
): Promise<ModelFile> {
  const file = (await isFolder(path)) ? join(path, RUN_FILES.model) : path
  const external = externalData === true ? filesBeside(file) : externalData || undefined
  const info = readOnnx(await readBytes(file), file, external ? { external } : {})
  return { path: file, info }
}

/**
 * Where a file is run: here, when it is known beforehand that its work is bounded; else in a process of its own, with limits.
 * @throws UserError when the device does not work here
 */
export function runtimeFor(
  { path, info }: ModelFile,
  device: string,
  { batch, timeout }: { readonly batch: number; readonly timeout: number },
): Promise<Runtime> {
  return isBounded(info, batch) ? nodeRuntime(device) : isolatedRuntime(device, { file: path, timeout })
}

/**
 * As `loadModelFile`; where a run folder's file is damaged, or the run is not complete, the same made of its checkpoint.
 * @param notice is told so
 */
export const loadModelOrCheckpoint = (
  path: string,
  options: LoadOptions,
  notice: Context['notice'],
): Promise<ModelFile> =>
  loadModelFile(path, options).catch(async (error: unknown) => {
    const trained = await loadRun(path, notice).catch(() => undefined)
    if (!trained || !(error instanceof UserError)) throw error
    notice(`${error.message}; a checkpoint is taken instead`)
    return { path, info: readOnnx(exportOnnx(trained), path) }
  })

/** The trained model of a run folder: of its last or its best checkpoint, or as in its `model.onnx`. */
export const loadRun = (
  path: string,
  notice: Context['notice'],
  which?: 'last' | 'best',
): Promise<TrainedModel> => readRun(path, recordedBuild(), which, notice)

/** The model of a run that was trained with `lora`, with the updates beside its weights. @throws UserError for another run */
export async function loadAdapted(
  path: string,
  notice: Context['notice'],
  which?: 'last' | 'best',
): Promise<TrainedModel> {
  const trained = trainedModel(await readCheckpointOf(path, recordedBuild(), which, notice))
  if (!hasLora(trained.model))
    throw new UserError(`${path} was not trained with --lora: it has no adapter; export it without --adapter`)
  return trained
}
