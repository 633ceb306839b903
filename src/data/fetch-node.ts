import { createHash } from 'node:crypto'
import { open, readdir, rename, rm, stat } from 'node:fs/promises'
import { STATUS_CODES } from 'node:http'
import { basename, dirname, join } from 'node:path'
import { UserError } from '../graph/errors.ts'
import { hash } from '../graph/random.ts'
import { reason, unwritable } from './files-node.ts'
import type { NamedBytes } from './idx.ts'
import { readIdx } from './idx-node.ts'
import { type DownloadLimits, Watchdog } from './watchdog-node.ts'

/** How files are downloaded. */
export interface FetchOptions extends DownloadLimits {
  /** Folders on the web that hold the file, tried in this order. */
  readonly mirrors: readonly string[]
  /** Gets a line about what is downloaded. */
  readonly log: (line: string) => void
}

/** What a file is known by, unpacked: mirrors differ in the gzip header. */
export interface Expected {
  readonly sha256: string
  readonly bytes: number
}

/** Partial downloads older than this are removed, in milliseconds. */
const STALE = 24 * 3600 * 1000

/** A folder that a download cannot be written to, whatever the mirror. */
export class UnwritableError extends UserError {
  override readonly name = 'UnwritableError'
}

/** An answer that is not the file: nothing of it is worth keeping. */
class WrongAnswer extends Error {}

/**
 * Downloads `file` (a gzip file name) to `path` from the first mirror that has it with the expected content, and returns the unpacked
 * bytes. What arrives is kept in a `.part` file beside `path`, where the next attempt resumes if the connection was lost.
 * @throws UnwritableError when it cannot be written; an `Error` with each mirror's reason
 */
export async function fetchIdx(
  file: string,
  path: string,
  expected: Expected,
  { mirrors, log, ...limits }: FetchOptions,
): Promise<NamedBytes> {
  await removeParts(dirname(path), async part => Date.now() - (await stat(part)).mtimeMs > STALE)
  const failures: string[] = []
  for (const mirror of mirrors) {
    const { host } = new URL(mirror)
    // A part is one mirror's: joined pieces of two mirrors' gzip files would be neither.
    const part = `${path}.${hash(mirror).toString(36)}.part`
    log(`downloading ${file} from ${host}`)
    try {
      const whole = await fetchVerified(`${mirror}/${file}`, part, path, expected, limits)
      await removeParts(dirname(path), async other => basename(other).startsWith(`${basename(path)}.`))
      return whole
    } catch (error) {
      if (error instanceof UnwritableError) throw error
      failures.push(`${host}: ${networkReason(error)}`)
    }
  }
  throw new Error(failures.join('; '))
}

/** The file where it exists and unpacks to bytes with this SHA-256. */
export async function verified(path: string, { sha256 }: Expected): Promise<NamedBytes | undefined> {
  const file = await readIdx(path).catch(() => undefined)
  return file && createHash('sha256').update(file.bytes).digest('hex') === sha256 ? file : undefined
}

/** Removes the `.part` files of a folder that match `which`. Another process may be removing them too. */
async function removeParts(folder: string, which: (part: string) => Promise<boolean>): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const part = join(folder, name)
    if (name.endsWith('.part') && (await which(part).catch(() => false)))
      await rm(part, { force: true }).catch(() => {})
  }
}

async function fetchVerified(
  url: string,
  part: string,
  path: string,
  expected: Expected,
  limits: DownloadLimits,
): Promise<NamedBytes> {
  const resumed = await fetchPart(url, part, expected, limits)
  const file = await verified(part, expected)
  if (file) {
    await rename(part, path).catch(error => {
      throw new UnwritableError(unwritable(path, error).message)
    })
    return { ...file, name: path }
  }
  // Another process may have come to the end of the same download before.
  const theirs = await verified(path, expected)
  if (theirs) return theirs
  await rm(part, { force: true })
  // An old part may be of a file that the mirror has since replaced: once more, from its beginning.
  if (resumed) return fetchVerified(url, part, path, expected, limits)
  throw new WrongAnswer('sent a file with the wrong SHA-256 checksum')
}

/** Downloads into `part`, resuming where it ends. Returns whether it resumed. */
async function fetchPart(
  url: string,
  part: string,
  { bytes }: Expected,
  limits: DownloadLimits,
): Promise<boolean> {
  const had = await sizeOf(part)
  const watchdog = new Watchdog(limits)
  try {
    const headers = had > 0 ? { range: `bytes=${had}-` } : undefined
    const response = await fetch(url, { signal: watchdog.signal, headers })
    // Nothing is left to send: the part is whole, or longer than the file; its checksum tells.
    if (had > 0 && response.status === 416) return true
    // In the words of the standard: the server's own may hold anything.
    if (!response.ok || !response.body)
      throw new Error(`responded with ${response.status} ${STATUS_CODES[response.status] ?? ''}`.trimEnd())
    const most = mostPacked(bytes)
    const announced = Number(response.headers.get('content-length') ?? 0)
    if (announced > most) throw new WrongAnswer(`announced ${announced} bytes; at most ${most} were expected`)
    const resumed =
      response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${had}-`) === true
    await write(part, resumed ? had : 0, response.body, most, watchdog)
    return resumed
  } catch (error) {
    if (error instanceof WrongAnswer || error instanceof UnwritableError || !(await sizeOf(part)))
      await rm(part, { force: true }).catch(() => {})
    throw watchdog.why ?? error
  } finally {
    watchdog.end() // frees the connection of an answer that was not read to its end
  }
}

const sizeOf = (part: string): Promise<number> =>
  stat(part).then(
    entry => entry.size,
    () => 0,
  )

/** The most that a file may take packed: a server may also send it unpacked, and gzip adds a little to what it cannot press. */
const mostPacked = (bytes: number): number => Math.ceil(bytes * 1.001) + 1024

/** Writes by position: a second process that downloads the same file writes the same bytes to the same place. */
async function write(
  part: string,
  from: number,
  body: AsyncIterable<Uint8Array>,
  most: number,
  watchdog: Watchdog,
): Promise<void> {
  const local = (error: unknown): never => {
    throw new UnwritableError(unwritable(part, error).message)
  }
  const out = await open(part, from ? 'r+' : 'w').catch(local)
  try {
    let position = from
    for await (const chunk of body) {
      watchdog.feed(chunk.length)
      // gzip begins with 1f, an IDX file with 00; the page of a proxy or a login with neither.
      if (position === 0 && chunk[0] !== 0x1f && chunk[0] !== 0)
        throw new WrongAnswer('sent a file that is not gzip')
      if (position + chunk.length > most) throw new WrongAnswer(`sent more than the ${most} bytes expected`)
      await out.write(chunk, 0, chunk.length, position).catch(local)
      position += chunk.length
    }
  } finally {
    await out.close()
  }
}

function networkReason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'host not found'
  if (code === 'ECONNREFUSED') return 'connection refused'
  return reason(cause)
}
