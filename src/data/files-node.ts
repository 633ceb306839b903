import { closeSync, fstatSync, openSync, readSync, type Stats } from 'node:fs'
import { constants, type FileHandle, link, lstat, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf, UserError } from '../graph/errors.ts'

/** Why a file or folder could not be used, in words for a user: from the code of a Node system error. */
export function reason(error: unknown): string {
  return REASONS[codeOf(error)] ?? messageOf(error)
}

/** The code of a Node system error, such as `ENOENT`; empty for any other error. */
export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'cannot be read (permission denied)',
  EPERM: 'cannot be read (permission denied)',
  EISDIR: 'is a folder, not a file',
  ERR_FS_EISDIR: 'is a folder, not a file',
  ENOTDIR: 'is not a folder',
  EEXIST: 'is a file, not a folder',
  ELOOP: 'is a link that leads back to itself',
  ENXIO: 'is not a file',
  ENAMETOOLONG: 'has a name that is too long',
  ENOSPC: 'no space is left on the disk',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file exceeds the size limit (ulimit -f)',
  EIO: 'disk I/O error',
  EROFS: 'is on a read-only disk',
  EMFILE: 'cannot be opened: the limit on open files is too low (ulimit -n)',
  ENFILE: 'cannot be opened: the system has too many open files',
}

/** Where writing fails, other words than where reading does. */
const UNWRITTEN: Readonly<Record<string, string>> = {
  ENOENT: 'it or its folder no longer exists',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the disk is read-only',
  EEXIST: 'another file is in its place',
  ENOTDIR: 'a file is in the place of its folder',
  EISDIR: 'a folder is in its place',
  ERR_FS_EISDIR: 'a folder is in its place',
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

/** Whether there is anything under a name, or a name that leads to something. */
export const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** Larger files are refused before they are read: no model or data set of this project comes near. */
export const MAX_BYTES = 2 ** 31 - 1

/** What is in the place of a file. */
export const kindOf = (
  entry: Pick<Stats, 'isDirectory' | 'isFIFO' | 'isSocket' | 'isSymbolicLink'>,
): string => {
  if (entry.isDirectory()) return 'a folder'
  if (entry.isFIFO()) return 'a named pipe'
  if (entry.isSymbolicLink()) return 'a link'
  return entry.isSocket() ? 'a socket' : 'a device'
}

/** @throws UserError for a folder, pipe, socket or device, or for more than 2 GB */
function checkFile(path: string, entry: Stats): void {
  if (!entry.isFile()) throw new UserError(`${path} is ${kindOf(entry)}, not a file`)
  if (entry.size > MAX_BYTES)
    throw new UserError(`${path} has ${entry.size} bytes; files over 2 GB are not read`)
}

/** Neither waits for whoever opens the other end of a pipe, nor becomes the terminal of a device. Windows has neither flag. */
const NO_WAIT = (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0)

/** Opens a file that is there: what is checked is what is opened. @throws UserError for what is not a file; others as `open` does */
async function opened(path: string, flags: number): Promise<FileHandle> {
  const file = await open(path, flags | NO_WAIT)
  try {
    checkFile(path, await file.stat())
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

const unreadable = (path: string, error: unknown): UserError =>
  error instanceof UserError ? error : new UserError(`${path} ${reason(error)}`, { cause: error })

/**
 * Opens a file to read, whatever takes its place meanwhile.
 * @param links whether a symbolic link in its place is followed
 * @throws UserError when it cannot be opened, or is not a file
 */
export async function openFile(path: string, { links = true } = {}): Promise<FileHandle> {
  try {
    return await opened(path, constants.O_RDONLY | (links ? 0 : (constants.O_NOFOLLOW ?? 0)))
  } catch (error) {
    if (!links && codeOf(error) === 'ELOOP')
      throw new UserError(`${path} is a link, not a file`, { cause: error })
    throw unreadable(path, error)
  }
}

/** A whole file. @throws UserError when it cannot be read or is over 2 GB */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    const file = await opened(path, constants.O_RDONLY)
    return await file.readFile().finally(() => file.close())
  } catch (error) {
    throw unreadable(path, error)
  }
}

/** A whole text file, of UTF-8; undefined where there is none. @throws UserError when it cannot be read */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(await readBytes(path))
  } catch (error) {
    if (error instanceof UserError && ['ENOENT', 'ENOTDIR'].includes(codeOf(error.cause))) return undefined
    throw error
  }
}

/** How long to wait for a pipe that nothing writes to. */
const WRITER_MS = 2000
const PAUSE_MS = 10

/**
 * What a user names on a command line: a file, or a pipe such as a shell's `<(…)`, which can be read once.
 * @throws UserError when it cannot be read, is over 2 GB, or nobody writes into the pipe
 */
export function readNamed(path: string): Uint8Array {
  try {
    const file = openSync(path, constants.O_RDONLY | NO_WAIT)
    try {
      const entry = fstatSync(file)
      if (!entry.isFIFO()) checkFile(path, entry)
      return readAll(path, file, entry.isFIFO() ? WRITER_MS : 0)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    throw unreadable(path, error)
  }
}

function readAll(path: string, file: number, patienceMs: number): Uint8Array {
  const begin = performance.now()
  const chunks: Uint8Array[] = []
  let size = 0
  for (;;) {
    const chunk = Buffer.alloc(2 ** 16)
    const count = readSome(file, chunk)
    if (count === 0 && (size > 0 || performance.now() - begin >= patienceMs)) break
    if (count <= 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
    else chunks.push(chunk.subarray(0, count))
    size += Math.max(count, 0)
    if (size > MAX_BYTES) throw new UserError(`${path} has more than 2 GB; such files are not read`)
  }
  if (!size && patienceMs) throw new UserError(`${path} is a pipe that nothing writes to`)
  return Buffer.concat(chunks)
}

/** How much was read; 0 at the end, -1 where there is nothing yet. */
function readSome(file: number, into: Uint8Array): number {
  try {
    return readSync(file, into)
  } catch (error) {
    if (codeOf(error) === 'EAGAIN') return -1
    throw error
  }
}

const WRITE = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC

/** The name of a new file beside another, for what will take its place: no folder, pipe or link has it. */
async function temporaryName(path: string): Promise<string> {
  for (let i = 0; ; i++) {
    const name = `${path}.${process.pid}${i ? `-${i}` : ''}.tmp`
    const entry = await lstat(name).catch(() => undefined)
    if (!entry || entry.isFile()) return name
    // A link to a device, such as /dev/full, was put there to take what is written.
    const target = entry.isSymbolicLink() ? await stat(name).catch(() => undefined) : undefined
    if (target?.isCharacterDevice()) return name
  }
}

/**
 * Writes under a temporary name, then renames: readers see the old file or the new one, whole, even after a power failure.
 * @param previous what the old file is kept as
 * @throws UserError when it cannot be written; the old file stays
 */
export async function writeAtomic(path: string, data: Uint8Array | string, previous?: string): Promise<void> {
  let made: string | undefined
  try {
    await refuseSpecial(path)
    const temporary = await temporaryName(path)
    const file = await open(temporary, WRITE | NO_WAIT)
    made = temporary
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
    if (made !== undefined) await rm(made, { force: true }).catch(() => {})
    throw unwritable(path, error)
  }
}

/** @throws UserError where a folder, device or pipe has the name: a file would replace it */
async function refuseSpecial(path: string): Promise<void> {
  const entry = await stat(path).catch(() => undefined)
  if (entry && !entry.isFile()) throw new UserError(`${path} is ${kindOf(entry)}, not a file`)
}

/** Gives a file that is about to be replaced a second name. */
async function keep(path: string, previous: string): Promise<void> {
  await rm(previous, { force: true }).catch((error: unknown) => {
    throw unwritable(previous, error)
  })
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
    const file = await opened(path, constants.O_RDWR)
    await file.sync().finally(() => file.close())
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw unwritable(path, error)
  }
}

/** Adds to the end of a file: all of the text, or nothing. @throws UserError when it cannot be written, or is gone */
export async function append(path: string, text: string): Promise<void> {
  try {
    const file = await opened(path, constants.O_WRONLY | constants.O_APPEND)
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
