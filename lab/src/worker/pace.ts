import type { HeldTensors, Runtime, Session } from '../../../src/runtime/session.ts'
import type { State } from '../../../src/train/executor.ts'

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
  #written: HeldTensors = {}
  #paused = false
  #stopped = false
  /** Milliseconds of all pauses so far. */
  #rested = 0
  #wake = (): void => {}
  #visits: (() => Promise<void>)[] = []
  #last: Promise<unknown> = Promise.resolve()

  constructor(inner: Runtime) {
    this.#inner = inner
    this.runtime = {
      ...inner,
      load: async (bytes, settings) => this.#paced(await inner.load(bytes, settings)),
    }
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
  read(names?: readonly string[]): Promise<{ steps: number; state: State } | undefined> {
    return new Promise((resolve, reject) => {
      this.#visits.push(() => this.#readNow(names).then(resolve, reject))
      this.#wake()
    })
  }

  async #readNow(names?: readonly string[]): Promise<{ steps: number; state: State } | undefined> {
    const { steps } = this
    const held = Object.entries(this.#written).map(
      ([key, value]) => [key.replace(/^next\./, ''), value] as const,
    )
    const wanted = held.filter(([name]) => !names || names.includes(name))
    if (!wanted.length) return undefined
    const state: Record<string, Float32Array> = {}
    for (const [name, value] of wanted) state[name] = (await this.#inner.read(value)) as Float32Array
    return { steps, state }
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
    this.#written = {}
    for (const visit of this.#visits.splice(0)) await visit()
  }

  #paced(session: Session): Session {
    const run: Session['run'] = (feeds, into = {}) =>
      this.#inTurn(async () => {
        await this.passed()
        const answer = await session.run(feeds, into)
        if (Object.keys(into).length) {
          this.#written = into
          this.steps++
        }
        return answer
      })
    return Object.create(session, { run: { value: run } })
  }

  /** A trainer asks for the next step before the last one has answered. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => {})
    return result
  }
}
