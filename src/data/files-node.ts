import { open, readFile, rename, rm, stat } from 'node:fs/promises'
import { UserError } from '../graph/errors.ts'

/** Why a file or folder could not be used, in words for a user: from the code of a Node system error. */
export function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return REASONS[code] ?? (error instanceof Error ? error.message : String(error))
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read (permission denied)',
  EPERM: 'may not be read (permission denied)',
  EISDIR: 'is a folder, not a file',
  ENOTDIR: 'is not a folder',
  ENOSPC: 'no space is left on the disk',
  EROFS: 'the disk is read-only',
}

/** Larger files are refused before they are read: no model or data set of this project comes near. */
const MAX_BYTES = 2 ** 31 - 1

/** A whole file. @throws UserError when it cannot be read or is over 2 GB */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    const file = await stat(path)
    // A device has no size and no end; a folder gets its own message from readFile.
    if (!file.isFile() && !file.isDirectory()) throw new UserError(`${path} is not a file`)
    const { size } = file
    if (size > MAX_BYTES) throw new UserError(`${path} has ${size} bytes; files over 2 GB are not read`)
    return await readFile(path)
  } catch (error) {
    throw error instanceof UserError ? error : new UserError(`${path} ${reason(error)}`)
  }
}

/** Writes under a temporary name, then renames: readers see the old file or the new one, whole. @throws UserError */
export async function writeAtomic(path: string, data: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    const file = await open(temporary, 'w')
    try {
      await file.writeFile(data)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw new UserError(`${path} cannot be written: ${reason(error)}`)
  }
}
