import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { buildModel } from '../../models/index.ts'
import { readBytes, reason } from '../data/files-node.ts'
import { type FileInfo, readOnnx } from '../export/read.ts'
import { UserError } from '../graph/errors.ts'
import { RUN_FILES, readRun } from '../train/run-node.ts'
import type { TrainedModel } from '../train/trained.ts'

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

/** The trained model of a run folder. */
export const loadRun = (path: string, which: 'last' | 'best' = 'last'): Promise<TrainedModel> =>
  readRun(path, buildModel, which)
