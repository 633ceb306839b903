import type { HeldTensors, Runtime, Session } from '../../../src/runtime/session.ts'
import { type StateVector, stateOf } from '../../../src/train/forward.ts'
import type { Layout } from '../../../src/train/layout.ts'
import type { Reached } from '../../../src/train/progress.ts'

/** What a run that was told to stop ends with. */
export class Stopped extends Error {
  override readonly name = 'Stopped'
}

/**
 * A training's runtime, held between two runs: the training pauses, stops, and lets its state be looked at there, when
 * nothing is under way that could change it.
 */
export class Pace {
  readonly runtime: Runtime
  /** Training steps done. */
  steps = 0
  readonly #inner: Runtime
  readonly #size: number
  readonly #vectors: readonly StateVector[]
  #written: HeldTensors | undefined
  #paused = false
  #stopped = false
  /** Milliseconds of all pauses so far. */
  #rested = 0
  #wake = (): void => {}
  #visits: (() => Promise<void>)[] = []

  /**
   * @param inner does one thing after the other
   * @param names the vectors of the training's state
   */
  constructor(inner: Runtime, layout: Layout, names: readonly string[]) {
    this.#inner = inner
    this.#size = layout.size
    this.#vectors = stateOf(layout, inner.device.target, names)
    this.runtime = {
      ...inner,
      load: async (bytes, settings) => this.#paced(await inner.load(bytes, settings)),
    }
  }

  get paused(): boolean {
    return this.#paused
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#wake()
  }

  /** What runs next fails with {@link Stopped}. */
  stop(): void {
    this.#stopped = true
    this.#wake()
  }

  /**
   * The named vectors as the last step left them, and how many steps were done; undefined before the first and
   * after the end. Answers between two runs.
   */
  read(names?: readonly string[]): Promise<Reached | undefined> {
    return new Promise((resolve, reject) => {
      this.#visits.push(() => this.#readNow(names).then(resolve, reject))
      this.#wake()
    })
  }

  async #readNow(names?: readonly string[]): Promise<Reached | undefined> {
    const { steps: step } = this
    const written = this.#written
    if (!written) return undefined
    const state: Record<string, Float32Array> = {}
    for (const { name, vector, part } of this.#vectors) {
      if (names && !names.includes(vector)) continue
      state[vector] ??= new Float32Array(this.#size)
      state[vector].set((await this.#inner.read(written[`next.${name}`]!)) as Float32Array, part.offset)
    }
    return { step, state }
  }

  /** Lets in whoever wants to look, waits while the training is paused. @throws Stopped */
  async passed(): Promise<void> {
    for (;;) {
      const visit = this.#visits.shift()
      if (visit) await visit()
      else if (this.#stopped) throw new Stopped()
      else if (!this.#paused) return
      else await this.#rest()
    }
  }

  async #rest(): Promise<void> {
    const start = performance.now()
    await new Promise<void>(resolve => {
      this.#wake = resolve
    })
    this.#rested += performance.now() - start
  }

  /** Milliseconds on a clock that stands still in pauses. */
  now(): number {
    return performance.now() - this.#rested
  }

  /** Nothing runs any more: answers whoever still waits. */
  async end(): Promise<void> {
    this.#written = undefined
    for (const visit of this.#visits.splice(0)) await visit()
  }

  #paced(session: Session): Session {
    const run: Session['run'] = async (feeds, into = {}) => {
      await this.passed()
      const answer = await session.run(feeds, into)
      if (Object.keys(into).length) {
        this.#written = into
        this.steps++
      }
      return answer
    }
    return Object.create(session, { run: { value: run } })
  }
}
