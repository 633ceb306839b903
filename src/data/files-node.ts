import { constants, link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { UserError } from '../graph/errors.ts'

/** Why a file or folder could not be used, in words for a user: from the code of a Node system error. */
export function reason(error: unknown): string {
  return REASONS[codeOf(error)] ?? (error instanceof Error ? error.message : String(error))
}

/** The code of a Node system error, such as `ENOENT`; empty for any other error. */
export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read (permission denied)',
  EPERM: 'may not be read (permission denied)',
  EISDIR: 'is a folder, not a file',
  ENOTDIR: 'is not a folder',
  EEXIST: 'is a file, not a folder',
  ELOOP: 'is a link that leads back to itself',
  ENOSPC: 'no space is left on the disk',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file is larger than may be written (ulimit -f)',
  EIO: 'the disk fails',
  EROFS: 'the disk is read-only',
}

/** Where writing fails, other words than where reading does. */
const UNWRITTEN: Readonly<Record<string, string>> = {
  ENOENT: 'it or its folder is gone',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
}

/** The error of a file that cannot be written. */
export const unwritable = (path: string, error: unknown): UserError =>
  error instanceof UserError
    ? error
    : new UserError(`${path} cannot be written: ${UNWRITTEN[codeOf(error)] ?? reason(error)}`, {
        cause: error,
      })

/** The name that a folder's entry has, which is one of these; in any case, where none is spelled the same. */
export function findEntry(entries: readonly string[], ...names: readonly string[]): string | undefined {
  const lower = names.map(name => name.toLowerCase())
  return (
    names.find(name => entries.includes(name)) ?? entries.find(entry => lower.includes(entry.toLowerCase()))
  )
}

/**
 * Makes a folder and those that it lies in. Node's `mkdir` with `recursive` never ends below a folder such as /proc, which
 * says that what cannot be made there does not exist.
 */
export async function makeFolders(path: string): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT' && dirname(path) !== path) {
      await makeFolders(dirname(path))
      // Another process may have been faster.
      return mkdir(path).catch((error: unknown) => refuseFile(path, error))
    }
    await refuseFile(path, error)
  }
}

/** @throws the error with which a folder could not be made, unless it is there */
async function refuseFile(path: string, error: unknown): Promise<void> {
  if (codeOf(error) !== 'EEXIST' || !(await stat(path)).isDirectory()) throw error
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
    throw error instanceof UserError ? error : new UserError(`${path} ${reason(error)}`, { cause: error })
  }
}

/**
 * Writes under a temporary name, then renames: readers see the old file or the new one, whole, even after a power failure.
 * @param previous what the old file is kept as
 * @throws UserError when it cannot be written; the old file stays
 */
export async function writeAtomic(path: string, data: Uint8Array | string, previous?: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    const file = await open(temporary, 'w')
    try {
      await file.writeFile(data)
      await file.sync()
    } finally {
      await file.close()
    }
    if (previous !== undefined) await keep(path, previous)
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw unwritable(path, error)
  }
}

/** Gives a file that is about to be replaced a second name. */
async function keep(path: string, previous: string): Promise<void> {
  await rm(previous, { force: true })
  // Some file systems have no hard links; there, the file is missing under its first name for a moment.
  await link(path, previous)
    .catch(() => rename(path, previous))
    .catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
    })
}

/** Has a folder's names written to the disk. */
async function syncFolder(path: string): Promise<void> {
  // Windows opens no folders, and some file systems do not sync them.
  const folder = await open(path, 'r').catch(() => undefined)
  await folder?.sync().catch(() => {})
  await folder?.close()
}

/** Has a file's bytes written to the disk, if it is there. */
export async function syncFile(path: string): Promise<void> {
  try {
    const file = await open(path, 'r+')
    await file.sync().finally(() => file.close())
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw unwritable(path, error)
  }
}

/** Adds to the end of a file: all of the text, or nothing. @throws UserError when it cannot be written, or is gone */
export async function append(path: string, text: string): Promise<void> {
  try {
    const file = await open(path, constants.O_WRONLY | constants.O_APPEND)
    try {
      const { size } = await file.stat()
      await file.appendFile(text).catch(async (error: unknown) => {
        await file.truncate(size).catch(() => {})
        throw error
      })
    } finally {
      await file.close()
    }
  } catch (error) {
    throw unwritable(path, error)
  }
}
