import { EventEmitter, once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { nth } from '../graph/present.ts'

/** Of onnxruntime's WebAssembly 27 % are left, where the highest levels take twice the time for 26 %. */
const SETTINGS = { level: 4, chunkSize: 2 ** 16 }

/**
 * Bytes in gzip, compressed once for all that read them. Whoever reads while they are being compressed gets what there is,
 * and the rest as it comes.
 */
export class Gzipped {
  readonly #chunks: Buffer[] = []
  readonly #events = new EventEmitter()
  /** How many there are; undefined until all have been compressed. */
  length: number | undefined
  #error: unknown

  /** zlib compresses on threads of its own. */
  constructor(bytes: Uint8Array) {
    this.#events.setMaxListeners(0)
    pipeline([bytes], createGzip(SETTINGS), async compressed => {
      for await (const chunk of compressed) {
        this.#chunks.push(chunk)
        this.#events.emit('more')
      }
      this.length = this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    })
      .catch((error: unknown) => {
        this.#error = error
      })
      .finally(() => this.#events.emit('more'))
  }

  get failed(): boolean {
    return this.#error !== undefined
  }

  /** @throws what zlib throws */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (let i = 0; ; i++) {
      while (i === this.#chunks.length) {
        if (this.#error) throw this.#error
        if (this.length !== undefined) return
        await once(this.#events, 'more')
      }
      yield nth(this.#chunks, i)
    }
  }
}
