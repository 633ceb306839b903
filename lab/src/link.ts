import type { Event, Requests } from './protocol.ts'
import type { Answer, Hello, Question } from './wire.ts'

/** A failure whose message is for the reader of the page. */
export class LabError extends Error {
  override readonly name = 'LabError'
}

/** Receives what the worker reports. */
export interface Listener {
  hear(event: Event): void
  /** The worker ended and was replaced. @returns the error message of all pending requests */
  restarted(why: string): string
  /** There is no worker, and will be none. */
  broken(text: string): void
}

interface Waiting {
  readonly resolve: (value: never) => void
  readonly reject: (error: Error) => void
  /** Whether it runs a model of unknown origin, which may never end. */
  readonly unknown: boolean
}

/** Milliseconds that the worker may say nothing while it runs a model of unknown origin. */
const PATIENCE = 60_000

/** Sends requests to a worker, and replaces it when it dies. */
export class WorkerLink {
  readonly #start: () => Worker
  readonly #listener: Listener
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker
  /** Whether the worker has said anything. */
  #alive = false
  /** Why there is no worker. */
  #broken: string | undefined
  #next = 0
  #clock: ReturnType<typeof setTimeout> | undefined

  /** @param start makes a worker that answers {@link Question}s */
  constructor(start: () => Worker, listener: Listener) {
    this.#start = start
    this.#listener = listener
    this.#worker = this.#begin()
  }

  /**
   * @param unknown whether it runs a model of unknown origin: the worker is ended where that takes it too long
   * @throws LabError with a text for the reader
   */
  ask<K extends keyof Requests>(
    name: K,
    args: Requests[K]['args'],
    unknown = false,
  ): Promise<Requests[K]['value']> {
    if (this.#broken) return Promise.reject(new LabError(this.#broken))
    const id = this.#next++
    const question: Question<K> = { id, name, args }
    return new Promise<Requests[K]['value']>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, unknown })
      this.#worker.postMessage(question)
      if (!this.#clock) this.#wind()
    })
  }

  /** Restarts the time limit in which the worker must respond. */
  #wind(): void {
    clearTimeout(this.#clock)
    this.#clock = undefined
    if ([...this.#waiting.values()].some(w => w.unknown))
      this.#clock = setTimeout(
        () => this.#restart(`The model took more than ${PATIENCE / 1000} seconds and may never end`),
        PATIENCE,
      )
  }

  #begin(): Worker {
    const worker = this.#start()
    const mine = (act: () => void) => {
      if (worker === this.#worker) act()
    }
    this.#alive = false
    worker.addEventListener('message', ({ data }: MessageEvent<Answer | Event | Hello>) =>
      mine(() => {
        this.#alive = true
        if ('lock' in data) this.#watch(worker, data.lock)
        else if ('event' in data) this.#listener.hear(data)
        else this.#settle(data)
        this.#wind()
      }),
    )
    worker.addEventListener('error', event => {
      event.preventDefault()
      mine(() => {
        if (this.#alive) this.#restart(`Something went wrong: ${event.message}`)
        // One that did not even start would not start a second time.
        else this.#break('The page’s worker could not be started. Reload the page.')
      })
    })
    return worker
  }

  /** Browsers tell nobody of a worker that was ended; but what it had locked becomes free. */
  #watch(worker: Worker, lock: string): void {
    void navigator.locks?.request(lock, () => {
      if (worker === this.#worker) this.#restart('The browser ended the page’s worker')
    })
  }

  #settle(answer: Answer): void {
    if ('error' in answer && answer.fatal) {
      this.#restart(answer.error)
      return
    }
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if ('value' in answer) waiting?.resolve(answer.value as never)
    else waiting?.reject(new LabError(answer.error))
  }

  #restart(why: string): void {
    this.#worker.terminate()
    const waiting = this.#take()
    this.#worker = this.#begin()
    const text = this.#listener.restarted(why)
    for (const { reject } of waiting) reject(new LabError(text))
  }

  #break(text: string): void {
    this.#broken = text
    this.#listener.broken(text)
    for (const { reject } of this.#take()) reject(new LabError(text))
  }

  #take(): Waiting[] {
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    this.#wind()
    return waiting
  }
}
