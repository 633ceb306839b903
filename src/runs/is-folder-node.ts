import { stat } from 'node:fs/promises'
import { reason } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'

/** Whether a path is that of a folder. @throws UserError when nothing is there */
export const isFolder = async (path: string): Promise<boolean> => {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    throw new UserError(`${path} ${reason(error)}`)
  }
}
