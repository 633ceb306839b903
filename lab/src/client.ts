import { type Signal, signal } from '@preact/signals'
import type {
  DeviceState,
  EpochReport,
  Event,
  ModelAbout,
  Requests,
  RunProgress,
  TrainSettings,
} from './protocol.ts'

/** What the page sends to its worker. */
export interface Question<K extends keyof Requests = keyof Requests> {
  readonly id: number
  readonly name: K
  readonly args: Requests[K]['args']
}

/** What the worker answers; `fatal` where it cannot go on and another one must take its place. */
export type Answer = { readonly id: number } & (
  | { readonly value: unknown }
  | { readonly error: string; readonly fatal: boolean }
)

export type Tab = 'train' | 'see' | 'try' | 'keep'

export interface Message {
  readonly text: string
  readonly kind: 'info' | 'error'
}

/** An image that some view wants to be looked at. */
export interface Subject {
  /** `[channels, height, width]`, pixels in [0, 1]. */
  readonly pixels: Float32Array
  readonly label?: number
}

/** Where the worker says, once, that it lives: the page gets the lock when the worker is gone, however it went. */
export interface Hello {
  readonly lock: string
}

interface Waiting {
  readonly resolve: (value: never) => void
  readonly reject: (error: Error) => void
}

/** A failure whose message is for the reader of the page. */
export class LabError extends Error {
  override readonly name = 'LabError'
}

/**
 * The page's side of its worker: asks, and keeps what it tells as signals that views read. When the worker dies, another
 * takes its place, and what was asked of it fails with a {@link LabError}.
 */
export class LabClient {
  /** The view that is open. */
  readonly tab: Signal<Tab> = signal('train')
  /** What the page has to say; views may set it. */
  readonly message: Signal<Message | undefined> = signal(undefined)
  readonly devices: Signal<readonly DeviceState[]> = signal([])
  /** The present model, which `look`, `onnx` and `positions` mean. */
  readonly about: Signal<ModelAbout | undefined> = signal(undefined)
  /** Counts up whenever the present model or its parameters changed: what was seen of it before is old. */
  readonly changes: Signal<number> = signal(0)
  readonly running: Signal<'idle' | 'training' | 'paused'> = signal('idle')
  /** Settings of the run under way, or of the last one. */
  readonly settings: Signal<TrainSettings | undefined> = signal(undefined)
  readonly progress: Signal<RunProgress | undefined> = signal(undefined)
  /** Of the run under way, or of the last one. */
  readonly reports: Signal<readonly EpochReport[]> = signal([])
  /** What See is to show, where another view chose it. */
  readonly subject: Signal<Subject | undefined> = signal(undefined)
  /** A picture that was dropped on the page, for Try to read. */
  readonly picture: Signal<File | undefined> = signal(undefined)

  readonly #start: () => Worker
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker
  #next = 0

  /** @param start makes a worker that answers {@link Question}s */
  constructor(start: () => Worker) {
    this.#start = start
    this.#worker = this.#begin()
  }

  /** @throws LabError with a text for the reader */
  ask<K extends keyof Requests>(name: K, ...args: Requests[K]['args']): Promise<Requests[K]['value']> {
    const id = this.#next++
    const question: Question<K> = { id, name, args }
    return new Promise<Requests[K]['value']>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#worker.postMessage(question)
    })
  }

  /** The answer, or undefined after saying in the page what went wrong. */
  async attempt<T>(answer: Promise<T>): Promise<T | undefined> {
    try {
      return await answer
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error), 'error')
      return undefined
    }
  }

  say(text: string, kind: Message['kind'] = 'info'): void {
    this.message.value = text ? { text, kind } : undefined
  }

  #begin(): Worker {
    const worker = this.#start()
    const mine = (act: () => void) => {
      if (worker === this.#worker) act()
    }
    worker.addEventListener('message', ({ data }: MessageEvent<Answer | Event | Hello>) =>
      mine(() => {
        if ('lock' in data) this.#watch(worker, data.lock)
        else if ('event' in data) this.#hear(data)
        else this.#settle(data)
      }),
    )
    worker.addEventListener('error', event => {
      event.preventDefault()
      mine(() => this.#restart(event.message || 'its program could not be loaded'))
    })
    return worker
  }

  /** Browsers tell nobody of a worker that was ended; but what it had locked becomes free. */
  #watch(worker: Worker, lock: string): void {
    void navigator.locks?.request(lock, () => {
      if (worker === this.#worker) this.#restart('the browser ended it')
    })
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if ('value' in answer) waiting?.resolve(answer.value as never)
    else {
      waiting?.reject(new LabError(answer.error))
      if (answer.fatal) this.#restart(answer.error)
    }
  }

  #hear(event: Event): void {
    switch (event.event) {
      case 'model':
        this.about.value = event.about
        this.changes.value++
        break
      case 'progress':
        this.progress.value = event.progress
        break
      case 'epoch':
        this.reports.value = [...this.reports.value, event.report]
        this.changes.value++
        break
      case 'note':
        this.say(event.text)
        break
      case 'lost':
        this.say(event.reason, 'error')
    }
  }

  #restart(reason: string): void {
    this.#worker.terminate()
    const failed = [...this.#waiting.values()]
    this.#waiting.clear()
    this.about.value = undefined
    this.running.value = 'idle'
    this.#worker = this.#begin()
    this.say(`The page's worker stopped (${reason}) and was started again.`, 'error')
    for (const { reject } of failed) reject(new LabError(`the worker stopped: ${reason}`))
  }
}
