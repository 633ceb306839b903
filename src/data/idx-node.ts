import { promisify } from 'node:util'
import { constants, gunzip } from 'node:zlib'
import { UserError } from '../graph/errors.ts'
import { readBytes, reason } from './files-node.ts'
import { idxBytes, type NamedBytes } from './idx.ts'

const unzip = promisify(gunzip)

/**
 * Reads an IDX file, gzip or raw (by content, since browsers unpack downloads and keep the name). It is unpacked to at
 * most one byte more than its own header promises, so that a gzip bomb cannot fill the memory.
 * @throws UserError when it cannot be read, or is damaged
 */
export async function readIdx(path: string): Promise<NamedBytes> {
  const bytes = await readBytes(path)
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return { name: path, bytes }
  try {
    const start = await unzip(bytes.subarray(0, 4096), { finishFlush: constants.Z_SYNC_FLUSH })
    const promised = idxBytes({ name: path, bytes: start.subarray(0, 16) })
    return { name: path, bytes: await unzip(bytes, { maxOutputLength: promised + 1 }) }
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new UserError(`${path}: ${gzipProblem(error)}`)
  }
}

function gzipProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'Z_BUF_ERROR') return 'its gzip data ends early: the file is truncated'
  if (code === 'ERR_BUFFER_TOO_LARGE') return 'unpacks to more bytes than its header declares'
  return `its gzip data is corrupt (${reason(error)})`
}
