import { batch, type Signal, signal } from '@preact/signals'
import { printable, shownName } from '../../src/graph/printable.ts'
import { WorkerLink } from './link.ts'
import type {
  BaseAbout,
  CheckpointAbout,
  CurvePoint,
  DataChoice,
  DeviceState,
  EpochReport,
  Event,
  ModelAbout,
  Requests,
  ResumeSettings,
  RunProgress,
  TrainSettings,
} from './protocol.ts'

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

/** A run that can be resumed. */
export interface Saved {
  /** Of the file that it was read from; undefined for the run of this page. */
  readonly file?: string
  readonly bytes: Uint8Array
  readonly about: CheckpointAbout
}

/** Of an epoch that is not the last one the numbers are enough. */
const inShort = (report: EpochReport): EpochReport => ({ ...report, confusion: [], mistakes: [] })

/** A file that was opened. */
export interface OpenFile {
  readonly name: string
  readonly bytes: Uint8Array
}

/** Milliseconds between two looks at a model in training. */
const GLANCE = 2000

/**
 * The page's side of its worker: sends requests, and keeps events as signals that views read. When the worker dies, it is replaced,
 * and pending requests fail with a message for the reader.
 */
export class LabClient {
  /** The view that is open. */
  readonly tab: Signal<Tab> = signal('train')
  /** The page's message; views may set it. */
  readonly message: Signal<Message | undefined> = signal(undefined)
  /** onnxruntime-web's version, once it is loaded. */
  readonly runtime: Signal<string | undefined> = signal(undefined)
  readonly devices: Signal<readonly DeviceState[]> = signal([])
  /** The current model, which `look`, `onnx` and `positions` mean. */
  readonly about: Signal<ModelAbout | undefined> = signal(undefined)
  /** Counts up whenever the current model or its parameters changed: what was seen of it before is old. */
  readonly changes: Signal<number> = signal(0)
  readonly running: Signal<'idle' | 'training' | 'paused'> = signal('idle')
  /** Names of the models that there are: the file that was opened, and the run's. */
  readonly models: Signal<Readonly<Partial<Record<'file' | 'run', string>>>> = signal({})
  /** Which of them is the current one. */
  readonly which: Signal<'file' | 'run'> = signal('file')
  /** The device of the run under way, or of the last one. */
  readonly device: Signal<TrainSettings['device']> = signal('wasm')
  readonly progress: Signal<RunProgress | undefined> = signal(undefined)
  /** Of the run under way, or of the last one. */
  readonly curve: Signal<readonly CurvePoint[]> = signal([])
  readonly reports: Signal<readonly EpochReport[]> = signal([])
  /** The run's state after its last epoch or when it was stopped, or a checkpoint file: training can be resumed from it. */
  readonly saved: Signal<Saved | undefined> = signal(undefined)
  /** What See is to show, where another view chose it. */
  readonly subject: Signal<Subject | undefined> = signal(undefined)
  /** A picture that was dropped on the page, for Try to read. */
  readonly picture: Signal<File | undefined> = signal(undefined)

  readonly #link: WorkerLink
  /** The file that is open, to be opened again in another worker. */
  readonly file: Signal<OpenFile | undefined> = signal(undefined)
  /** The file that is fine-tuned, to be read again in another worker. */
  #base: OpenFile | undefined
  #glanced = 0

  /** @param start makes the worker */
  constructor(start: () => Worker) {
    this.#link = new WorkerLink(start, {
      hear: event => batch(() => this.#hear(event)),
      restarted: why => this.#restarted(why),
      broken: text => this.say(text, 'error'),
    })
  }

  /** @throws LabError with a text for the reader */
  ask<K extends keyof Requests>(name: K, ...args: Requests[K]['args']): Promise<Requests[K]['value']> {
    const unknown = name === 'open' || name === 'base' || (name === 'look' && this.which.value === 'file')
    return this.#link.ask(name, args, unknown)
  }

  /** The response, or undefined after an error, which the page then shows. */
  async attempt<T>(answer: Promise<T>): Promise<T | undefined> {
    try {
      return await answer
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error), 'error')
      return undefined
    }
  }

  say(text: string, kind: Message['kind'] = 'info'): void {
    this.message.value = text ? { text: printable(text, 1000), kind } : undefined
  }

  /** Opens a model or a checkpoint and makes it the current one; says so where it is none. */
  async open(name: string, bytes: Uint8Array): Promise<void> {
    this.say(`Loading ${name} …`)
    const about = await this.attempt(this.ask('open', name, bytes))
    if (!about) return
    this.file.value = { name, bytes }
    this.say('')
    if (name.endsWith('.safetensors')) await this.offer(name, bytes)
  }

  /** Reads a file that is to be fine-tuned. @throws LabError where it is no classifier of pictures */
  async readBase(file: OpenFile): Promise<BaseAbout> {
    const about = await this.ask('base', file.name, file.bytes)
    this.#base = file
    return about
  }

  /** Offers to resume the run of a checkpoint. */
  async offer(file: string, bytes: Uint8Array): Promise<void> {
    const about = await this.attempt(this.ask('inspect', file, bytes))
    if (about) this.saved.value = { file: shownName(file), bytes, about }
  }

  /** Trains from the beginning; resolves when the run has ended. */
  train(settings: TrainSettings, data: DataChoice): Promise<void> {
    return this.#train(settings.device, 0, () => this.ask('train', settings, data))
  }

  /** Resumes the run of {@link saved}. */
  async resume(settings: ResumeSettings, data: DataChoice): Promise<void> {
    const from = this.saved.value
    if (!from) return
    // Curves of this same run are kept.
    const step = from.file ? 0 : from.about.step
    await this.#train(settings.device, step, () => this.ask('resume', settings, data, from.bytes))
  }

  async #train(device: TrainSettings['device'], step: number, start: () => Promise<unknown>): Promise<void> {
    batch(() => {
      this.say('')
      this.running.value = 'training'
      this.device.value = device
      this.progress.value = undefined
      this.curve.value = this.curve.value.filter(p => p.step <= step)
      this.reports.value = this.reports.value.filter(r => r.step <= step)
    })
    await this.attempt(start())
    this.running.value = 'idle'
  }

  async pause(): Promise<void> {
    this.running.value = 'paused'
    await this.attempt(this.ask('pause'))
  }

  async continue(): Promise<void> {
    this.running.value = 'training'
    await this.attempt(this.ask('continue'))
  }

  async stop(): Promise<void> {
    await this.attempt(this.ask('stop'))
  }

  #hear(event: Event): void {
    switch (event.event) {
      case 'model':
        this.about.value = event.about
        this.which.value = event.which
        this.models.value = { ...this.models.value, [event.which]: event.about.name }
        this.changes.value++
        break
      case 'progress':
        this.progress.value = event.progress
        if (event.points.length) this.curve.value = [...this.curve.value, ...event.points]
        if (performance.now() - this.#glanced < GLANCE) break
        this.#glanced = performance.now()
        this.changes.value++
        break
      case 'epoch':
        this.reports.value = [...this.reports.value.map(inShort), event.report]
        break
      case 'saved':
        this.saved.value = { bytes: event.bytes, about: event.about }
    }
  }

  #restarted(why: string): string {
    const epoch = this.running.value === 'idle' ? 0 : this.saved.value?.about.epoch
    const next = epoch ? ` Training can be resumed from the end of epoch ${epoch}.` : ''
    const text = `${why}. The worker was restarted.${next}`
    batch(() => {
      this.about.value = undefined
      this.models.value = {}
      this.running.value = 'idle'
      this.say(text, 'error')
    })
    void this.#recover()
    return text
  }

  async #recover(): Promise<void> {
    const state = await this.ask('devices').catch(() => undefined)
    if (state) this.devices.value = state.devices
    if (this.#base) await this.ask('base', this.#base.name, this.#base.bytes).catch(() => {})
    const file = this.file.value ?? this.#lastRun()
    // Where it cannot be opened any more, the page says already that something is wrong.
    if (file) await this.ask('open', file.name, file.bytes).catch(() => {})
  }

  #lastRun(): OpenFile | undefined {
    const saved = this.saved.value
    return saved && { name: `After epoch ${saved.about.epoch}.safetensors`, bytes: saved.bytes }
  }
}
