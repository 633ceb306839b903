/** The exception that ends a stopped run. */
export class Stopped extends Error {
  override readonly name = 'Stopped'
}

/** Pauses and stops a run. */
export class Gate {
  #paused = false
  #stopped = false
  /** Milliseconds of all pauses so far. */
  #rested = 0
  #wake = (): void => {}

  get paused(): boolean {
    return this.#paused
  }

  pause(): void {
    this.#paused = true
  }

  continue(): void {
    this.#paused = false
    this.#wake()
  }

  stop(): void {
    this.#stopped = true
    this.#wake()
  }

  /** @throws Stopped */
  async passed(): Promise<void> {
    while (this.#paused && !this.#stopped) await this.#rest()
    if (this.#stopped) throw new Stopped()
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
}
