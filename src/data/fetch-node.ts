import { createHash } from 'node:crypto'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { STATUS_CODES } from 'node:http'
import { dirname } from 'node:path'
import { hash } from '../graph/random.ts'
import { reason } from './files-node.ts'
import type { NamedBytes } from './idx.ts'
import { readIdx } from './idx-node.ts'

export interface FetchOptions {
  /** Folders on the web that hold the file, tried in this order. */
  readonly mirrors: readonly string[]
  /** A mirror that sends nothing for so many milliseconds is given up. */
  readonly timeoutMs: number
  readonly log: (line: string) => void
}

/** No file fetched here is anywhere near as large. */
const MAX_BYTES = 2 ** 26

/**
 * Downloads `file` (a gzip file name) to `path` from the first mirror that has it with the given SHA-256 of the
 * *unpacked* bytes (mirrors differ in the gzip header), and returns the unpacked bytes. What arrives is kept in a
 * `.part` file beside `path`, where the next attempt goes on. Throws an `Error` with each mirror's reason.
 */
export async function fetchIdx(
  file: string,
  path: string,
  sha256: string,
  { mirrors, timeoutMs, log }: FetchOptions,
): Promise<NamedBytes> {
  const failures: string[] = []
  for (const mirror of mirrors) {
    const { host } = new URL(mirror)
    // A part is one mirror's: joined pieces of two mirrors' gzip files would be neither.
    const part = `${path}.${hash(mirror).toString(36)}.part`
    try {
      await mkdir(dirname(path), { recursive: true })
      log(`downloading ${file} from ${host}`)
      return await fetchVerified(`${mirror}/${file}`, part, path, sha256, timeoutMs)
    } catch (error) {
      failures.push(`${host}: ${networkReason(error, timeoutMs)}`)
    }
  }
  throw new Error(failures.join('; ') || 'downloads are switched off')
}

/** The file where it exists and unpacks to bytes with this SHA-256. */
export async function verified(path: string, sha256: string): Promise<NamedBytes | undefined> {
  const file = await readIdx(path).catch(() => undefined)
  return file && createHash('sha256').update(file.bytes).digest('hex') === sha256 ? file : undefined
}

async function fetchVerified(
  url: string,
  part: string,
  path: string,
  sha256: string,
  timeoutMs: number,
): Promise<NamedBytes> {
  const resumed = await fetchPart(url, part, timeoutMs)
  const file = await verified(part, sha256)
  if (file) {
    await rename(part, path)
    return { ...file, name: path }
  }
  await rm(part, { force: true })
  // An old part may be of a file that the mirror has since replaced: once more, from its beginning.
  if (resumed) return fetchVerified(url, part, path, sha256, timeoutMs)
  throw new Error('sent a file with another SHA-256 checksum')
}

/** Downloads into `part`, going on where it ends. Returns whether it went on. */
async function fetchPart(url: string, part: string, timeoutMs: number): Promise<boolean> {
  const had = await stat(part).then(
    entry => entry.size,
    () => 0,
  )
  const abort = new AbortController()
  const watchdog = setTimeout(() => abort.abort(), timeoutMs)
  try {
    const headers = had > 0 ? { range: `bytes=${had}-` } : undefined
    const response = await fetch(url, { signal: abort.signal, headers })
    // Nothing is left to send: the part is whole, or longer than the file; its checksum tells.
    if (had > 0 && response.status === 416) return true
    // In the words of the standard: the server's own may hold anything.
    if (!response.ok || !response.body)
      throw new Error(`answers ${response.status} ${STATUS_CODES[response.status] ?? ''}`.trimEnd())
    const resumed =
      response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${had}-`) === true
    // Written by position: a second process that downloads the same file writes the same bytes to the same place.
    const out = await open(part, resumed ? 'r+' : 'w')
    try {
      let position = resumed ? had : 0
      for await (const chunk of response.body) {
        watchdog.refresh()
        if (position + chunk.length > MAX_BYTES) throw new Error(`sends more than ${MAX_BYTES} bytes`)
        await out.write(chunk, 0, chunk.length, position)
        position += chunk.length
      }
    } finally {
      await out.close()
    }
    return resumed
  } finally {
    clearTimeout(watchdog)
    abort.abort() // frees the connection of an answer that was not read to its end
  }
}

function networkReason(error: unknown, timeoutMs: number): string {
  if (error instanceof Error && error.name === 'AbortError') return `no answer in ${timeoutMs / 1000} s`
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'host not found'
  if (code === 'ECONNREFUSED') return 'connection refused'
  return reason(cause)
}
