import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { buildModel } from '../../models/index.ts'
import { readBytes, reason } from '../data/files-node.ts'
import { type FileInfo, readOnnx } from '../export/read.ts'
import { UserError } from '../graph/errors.ts'
import { RUN_FILES, readRun } from '../train/run-node.ts'
import { type TrainedModel, toOnnx } from '../train/trained.ts'
import { note } from './output.ts'

export interface ModelFile {
  readonly path: string
  readonly bytes: Uint8Array
  readonly info: FileInfo
}

export const isFolder = async (path: string): Promise<boolean> => {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    throw new UserError(`${path} ${reason(error)}`)
  }
}

/** An `.onnx` file, or the one in a run folder. @throws UserError when there is none or it is damaged */
export async function loadModelFile(path: string): Promise<ModelFile> {
  const file = (await isFolder(path)) ? join(path, RUN_FILES.model) : path
  const bytes = await readBytes(file)
  return { path: file, bytes, info: readOnnx(bytes, file) }
}

/**
 * As `loadModelFile`; where a run folder's file is damaged, or the run has not come to its end, the same made of its
 * checkpoint, which is said.
 */
export const loadModelOrCheckpoint = (path: string): Promise<ModelFile> =>
  loadModelFile(path).catch(async (error: unknown) => {
    const trained = await loadRun(path).catch(() => undefined)
    if (!trained || !(error instanceof UserError)) throw error
    note(`${error.message}; a checkpoint is taken instead`)
    const bytes = toOnnx(trained)
    return { path, bytes, info: readOnnx(bytes, path) }
  })

/** The trained model of a run folder: of its last or its best checkpoint, or as in its `model.onnx`. */
export const loadRun = (path: string, which?: 'last' | 'best'): Promise<TrainedModel> =>
  readRun(path, buildModel, which, note)
