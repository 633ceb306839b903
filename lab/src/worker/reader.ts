import type { Normalization } from '../../../src/data/dataset.ts'
import type { Model } from '../../../src/nn/model.ts'
import type { Runtime, Session } from '../../../src/runtime/session.ts'
import { compileForward } from '../../../src/train/forward.ts'

export interface Reading {
  /** `[count, classes]`, flat. */
  readonly logits: Float32Array
  /** Time of the run. */
  readonly milliseconds: number
}

/** Reads images with whatever parameters it is given, so that a model can be asked while it is trained. */
export class Reader {
  readonly #runtime: Runtime
  readonly #model: Model
  readonly #normalization: Normalization | undefined
  #session: Promise<Session> | undefined

  constructor(runtime: Runtime, model: Model, normalization?: Normalization) {
    this.#runtime = runtime
    this.#model = model
    this.#normalization = normalization
  }

  /** @param params flat @param images `[count, channels, height, width]`, pixels in [0, 1] */
  async read(params: Float32Array, images: Float32Array): Promise<Reading> {
    this.#session ??= this.#load()
    const session = await this.#session
    const { name, shape } = this.#model.input
    const count = images.length / shape.reduce((a, b) => a * b, 1)
    const start = performance.now()
    const { logits } = await session.run({
      [name]: this.#runtime.tensor('float32', images, [count, ...shape]),
      params: this.#runtime.tensor('float32', params, [params.length]),
    })
    return { logits: logits!.data as Float32Array, milliseconds: performance.now() - start }
  }

  #load(): Promise<Session> {
    const { target } = this.#runtime.device
    const normalization = this.#normalization ? { normalization: this.#normalization } : {}
    return this.#runtime.load(compileForward(this.#model, { target, ...normalization }).bytes)
  }

  async close(): Promise<void> {
    await (await this.#session)?.close()
  }
}
