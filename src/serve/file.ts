import type { BigIntStats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { extname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { openFile } from '../data/files-node.ts'
import { present } from '../graph/present.ts'
import { Gzipped } from './gzip.ts'
import { HEADERS, isCompressible, typeOf } from './headers.ts'
import { acceptsGzip, hasAlready, rangeOf } from './request.ts'

/** Shorter files are not worth compressing. */
const LEAST = 1024

/** Of one state of a file: another inode, size or time of change is another state. */
const tagOf = ({ ino, size, ctimeNs }: BigIntStats): string =>
  [ino, size, ctimeNs].map(n => n.toString(36)).join('-')

/** Answers requests with files, each opened once for a request: what is checked is what is sent. */
export class FileSender {
  readonly #warn: (line: string) => void
  /** Why files could not be opened, as far as it was told. */
  readonly #told = new Map<string, string>()
  /** Files in gzip, and the state of each that was compressed. */
  readonly #gzipped = new Map<string, { readonly tag: string; readonly bytes: Gzipped }>()

  /** @param warn is told why a file cannot be opened, once until it can be */
  constructor(warn: (line: string) => void) {
    this.#warn = warn
  }

  /**
   * Sends a file, a part of it, or that the client has it already.
   * @throws when it cannot be opened, before anything is sent, or changes its length while it is sent
   */
  async send(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const file = await this.#open(path)
    try {
      await this.#answer(path, file, request, response)
    } finally {
      await file.close()
    }
  }

  async #open(path: string): Promise<FileHandle> {
    try {
      const file = await openFile(path, { links: false })
      this.#told.delete(path)
      return file
    } catch (error) {
      const line = error instanceof Error ? error.message : String(error)
      if (this.#told.get(path) !== line) this.#warn(`not served: ${line}`)
      this.#told.set(path, line)
      throw error
    }
  }

  async #answer(path: string, file: FileHandle, request: IncomingMessage, response: ServerResponse) {
    const state = await file.stat({ bigint: true })
    const [size, tag, type] = [Number(state.size), tagOf(state), typeOf(extname(path))]
    const compressible = isCompressible(type) && size >= LEAST
    const range = rangeOf(request, size, `"${tag}"`)
    const gzip = compressible && range === undefined && acceptsGzip(request)
    const etag = gzip ? `"${tag}-gzip"` : `"${tag}"`
    const about = { ...HEADERS, ETag: etag, ...(compressible ? { Vary: 'Accept-Encoding' } : {}) }
    const begin = (status: number, headers: OutgoingHttpHeaders) =>
      response.writeHead(status, { ...about, ...headers })

    if (hasAlready(request, etag)) return begin(304, {}).end()
    if (range === 'none') return begin(416, { 'Content-Range': `bytes */${size}` }).end()
    const isHead = request.method === 'HEAD'
    if (gzip) {
      const bytes = isHead ? this.#inGzip(path, tag) : await this.#toGzip(path, tag, file)
      const length = bytes?.length
      begin(200, {
        'Content-Type': type,
        'Content-Encoding': 'gzip',
        ...(length === undefined ? {} : { 'Content-Length': length }),
      })
      return isHead ? response.end() : pipeline(present(bytes, 'compressed file'), response)
    }
    const { start, end } = range ?? { start: 0, end: size - 1 }
    begin(range ? 206 : 200, {
      'Content-Type': type,
      'Content-Length': end - start + 1,
      'Accept-Ranges': 'bytes',
      ...(range ? { 'Content-Range': `bytes ${start}-${end}/${size}` } : {}),
    })
    return isHead ? response.end() : pipeline(bytesOf(file, start, end), response)
  }

  /** What was compressed of a state of a file, or is being. */
  #inGzip(path: string, tag: string): Gzipped | undefined {
    const had = this.#gzipped.get(path)
    return had?.tag === tag && !had.bytes.failed ? had.bytes : undefined
  }

  async #toGzip(path: string, tag: string, file: FileHandle): Promise<Gzipped> {
    const had = this.#inGzip(path, tag)
    if (had) return had
    const content = await file.readFile()
    const begun = this.#inGzip(path, tag)
    if (begun) return begun
    const bytes = new Gzipped(content)
    this.#gzipped.set(path, { tag, bytes })
    return bytes
  }
}

const CHUNK = 2 ** 16

/** Bytes of a file, both ends included. @throws Error when the file has become shorter */
async function* bytesOf(file: FileHandle, start: number, end: number): AsyncGenerator<Uint8Array> {
  for (let at = start; at <= end; ) {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, end + 1 - at))
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at)
    if (!bytesRead) throw new Error('the file has become shorter')
    yield buffer.subarray(0, bytesRead)
    at += bytesRead
  }
}
