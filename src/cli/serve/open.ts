import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { codeOf, reason } from '../../data/files-node.ts'
import { UserError } from '../../graph/errors.ts'

/** Follows no link, and does not wait for whoever writes into a named pipe. Windows has neither. */
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/** What opening fails with where a link, or a socket, is in the place of a file. */
const PLACES: Readonly<Record<string, string>> = { ELOOP: 'is a link, not a file', ENXIO: 'is not a file' }

/**
 * Opens a file that is served. What is checked is what is opened, whatever takes its place meanwhile.
 * @throws UserError when it cannot be opened, or something else is in its place: a link, a folder, a pipe, a device
 */
export async function openServed(path: string): Promise<FileHandle> {
  const file = await open(path, FLAGS).catch((error: unknown) => {
    throw new UserError(`${path} ${PLACES[codeOf(error)] ?? reason(error)}`, { cause: error })
  })
  const entry = await file.stat()
  if (entry.isFile()) return file
  await file.close()
  throw new UserError(`${path} ${entry.isDirectory() ? 'is a folder, not a file' : 'is not a file'}`)
}
