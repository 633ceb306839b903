/** When a download is given up. */
export interface DownloadLimits {
  /** After so many milliseconds in which nothing comes. */
  readonly timeoutMs: number
  /** Below so many bytes a second, on average over `windowMs`. */
  readonly minRate: number
  /** Milliseconds over which the rate is averaged. */
  readonly windowMs: number
  /** After so many milliseconds in all. What has come by then is kept. */
  readonly totalMs: number
}

/** Twenty minutes are enough for the largest file at 25 kB/s. */
export const LIMITS: DownloadLimits = {
  timeoutMs: 4000,
  minRate: 1000,
  windowMs: 20_000,
  totalMs: 20 * 60_000,
}

/** Gives a download up that comes too slowly. */
export class Watchdog {
  /** What ended the download, once something has. */
  why: Error | undefined
  readonly #abort = new AbortController()
  readonly #silence: NodeJS.Timeout
  readonly #rate: NodeJS.Timeout
  readonly #total: NodeJS.Timeout
  #bytes = 0

  constructor({ timeoutMs, minRate, windowMs, totalMs }: DownloadLimits) {
    const giveUp = (why: string) => {
      this.why ??= new Error(why)
      this.#abort.abort()
    }
    const seconds = (ms: number) => `${ms / 1000} s`
    this.#silence = setTimeout(() => giveUp(`no response in ${seconds(timeoutMs)}`), timeoutMs)
    this.#total = setTimeout(() => giveUp(`did not finish within ${seconds(totalMs)}`), totalMs)
    this.#rate = setInterval(() => {
      const least = (minRate * windowMs) / 1000
      if (this.#bytes < least)
        giveUp(`sent ${this.#bytes} bytes in ${seconds(windowMs)}; at least ${least} were expected`)
      this.#bytes = 0
    }, windowMs)
  }

  /** @internal */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Says that bytes have come. */
  feed(bytes: number): void {
    this.#silence.refresh()
    this.#bytes += bytes
  }

  /** Ends the watch, and the download if it has not come to its end. */
  end(): void {
    clearTimeout(this.#silence)
    clearTimeout(this.#total)
    clearInterval(this.#rate)
    this.#abort.abort()
  }
}
