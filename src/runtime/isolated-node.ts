import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { debugLevel } from '../graph/debug.ts'
import { messageOf, UserError } from '../graph/errors.ts'
import { lookup, present } from '../graph/present.ts'
import type { Answer, Calls } from './calls.ts'
import { deviceOf } from './device.ts'
import type { Held, Runtime } from './session.ts'

/** Options of `isolatedRuntime`. */
export interface IsolatedOptions {
  /** The model file's name in messages. */
  readonly file: string
  /** Time limit of loading and of each run, in seconds. @default 60 */
  readonly timeout?: number
  /** Memory limit of the process, in bytes. @default four fifths of the available memory */
  readonly memory?: number
}

/** Seconds that a model from elsewhere may take for an answer, unless somebody says otherwise. */
export const TIMEOUT = 60

/** Limits passed to the process. */
export interface Limits {
  readonly memory: number
  /** The process that it ends with. */
  readonly parent: number
  /** Its last message if it exceeds the limit. */
  readonly sign: string
}

/** What can be asked of the process; it holds no tensors. */
export type Asked = Pick<Calls, 'open' | 'load' | 'run' | 'close'>

/**
 * onnxruntime on the named device, in a separate process, for untrusted models: one that does not end, exhausts memory or crashes
 * the runtime affects only that process. Tensors are copied to and from it, and none stay there.
 * @throws UserError when the device does not work here; and later, with the file's name, for failures of the model
 */
export async function isolatedRuntime(name: string, options: IsolatedOptions): Promise<Runtime> {
  const device = deviceOf(name)
  const child = new Child(options)
  const version = await child.ask('open', device.name).catch(async (error: unknown) => {
    await child.end()
    throw error
  })
  const untold = (): never => {
    throw new Error('internal: an isolated runtime holds no tensors')
  }
  return {
    device,
    version,
    parallel: true,
    tensor: (type, data, dims) => ({ type, data, dims }),
    allocate: bytes => new ArrayBuffer(bytes),
    hold: untold,
    read: untold,
    release: untold,
    close: () => child.end(),
    async load(bytes, settings) {
      const { id, inputs, outputs } = await child.ask('load', bytes, settings)
      let idle = 0
      return {
        inputs,
        outputs,
        get idle() {
          return idle
        },
        async run(feeds, into = {}) {
          if (Object.keys(into).length) untold()
          const given = Object.entries(feeds).map(([key, t]) => [key, isTensor(t) ? t : untold()])
          const ran = await child.ask('run', id, Object.fromEntries(given), {})
          idle = ran.idle
          return ran.answer
        },
        close: () => child.ask('close', id),
      }
    },
  }
}

const isTensor = <T extends object>(t: T | Held): t is T => 'data' in t

// A variable, for bundlers take a file name in `new URL` for a file of theirs.
const CHILD = `isolated-child-node${extname(import.meta.url)}`
const PROGRAM = new URL(CHILD, import.meta.url)

/** In this repository the program is TypeScript, for which Node needs tsx. */
const loader = (): string[] =>
  PROGRAM.pathname.endsWith('.ts')
    ? [
        '--import',
        `data:text/javascript,import{register}from${JSON.stringify(import.meta.resolve('tsx/esm/api'))};register()`,
      ]
    : []

/** Timers go no further. */
const LONGEST_MS = 2 ** 31 - 1

interface Waiting {
  readonly name: keyof Asked
  /** Takes what the call of that name answers. */
  resolve(value: unknown): void
  readonly reject: (error: unknown) => void
}

const WORDS: Readonly<Record<keyof Asked, string>> = {
  open: 'starting',
  load: 'loading',
  run: 'running',
  close: 'closing',
}

/** A process that answers questions in the order of asking, until it is ended or has to be. */
class Child {
  readonly #file: string
  readonly #timeout: number
  readonly #memory: number
  readonly #sign = 'onnxgrad: out of memory'
  readonly #process: ChildProcess
  readonly #gone: Promise<unknown>
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0
  #said = ''
  #clock: NodeJS.Timeout | undefined
  /** Why it answers no more. */
  #ended: string | undefined

  constructor({
    file,
    timeout = TIMEOUT,
    memory = Math.floor(0.8 * process.availableMemory()),
  }: IsolatedOptions) {
    this.#file = file
    this.#timeout = timeout
    this.#memory = memory
    const limits: Limits = { memory, parent: process.pid, sign: this.#sign }
    this.#process = fork(fileURLToPath(PROGRAM), [JSON.stringify(limits)], {
      execArgv: loader(),
      serialization: 'advanced',
      // onnxruntime writes where results belong.
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    present(this.#process.stderr, 'stderr')
      .setEncoding('utf8')
      .on('data', (text: string) => {
        this.#said = (this.#said + text).slice(-4000)
      })
    this.#process.on('message', (answer: Answer) => this.#receive(answer))
    this.#gone = once(this.#process, 'close').then(
      ([code, signal]) => this.#stop(this.#why(signal ?? `exit code ${code}`)),
      (error: Error) => this.#stop(`${file}: cannot start a process for it (${error.message})`),
    )
    process.on('exit', this.#kill)
    this.#keepAlive(false)
  }

  ask<K extends keyof Asked>(name: K, ...args: Parameters<Asked[K]>): Promise<Awaited<ReturnType<Asked[K]>>> {
    if (this.#ended) return Promise.reject(new UserError(this.#ended))
    const id = this.#asked++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { name, resolve, reject })
      // Where it is gone already, 'close' says why.
      this.#process.send({ id, name, args }, () => {})
      this.#keepAlive(true)
      this.#watch()
    })
  }

  async end(): Promise<void> {
    this.#ended ??= `${this.#file}: its runtime was closed`
    this.#keepAlive(true)
    this.#kill()
    await this.#gone
  }

  #kill = (): void => {
    this.#process.kill('SIGKILL')
  }

  #receive(answer: Answer): void {
    const { resolve, reject } = lookup(this.#waiting, answer.id)
    this.#waiting.delete(answer.id)
    clearTimeout(this.#clock)
    this.#clock = undefined
    if (this.#waiting.size) this.#watch()
    else this.#keepAlive(false)
    if ('value' in answer) resolve(answer.value)
    else reject(answer.user ? new UserError(messageOf(answer.error)) : answer.error)
  }

  /** Gives what is being done its time. That the process starts does not depend on the model. */
  #watch(): void {
    if (this.#clock || this.#doing() === WORDS.open) return
    this.#clock = setTimeout(
      () => {
        this.#ended ??= `${this.#file}: ${this.#doing()} it took more than ${this.#timeout} s, and may never end; --timeout SECONDS gives it more time`
        this.#kill()
      },
      Math.min(this.#timeout * 1000, LONGEST_MS),
    )
  }

  #doing(): string {
    const [first] = this.#waiting.values()
    return WORDS[first?.name ?? 'close']
  }

  #why(end: string): string {
    if (this.#said.includes(this.#sign))
      return `${this.#file}: ${this.#doing()} it took more than ${(this.#memory / 1e9).toFixed(1)} GB of memory`
    if (this.#doing() === WORDS.open)
      return `${this.#file}: the process to run it in could not be started (${end}): ${this.#said.trim()}`
    const words = debugLevel() ? `: ${this.#said}` : ''
    return `${this.#file}: the runtime crashed while ${this.#doing()} it (${end})${words}; the file is damaged or malicious`
  }

  #stop(why: string): void {
    clearTimeout(this.#clock)
    process.off('exit', this.#kill)
    this.#ended ??= why
    for (const { reject } of this.#waiting.values()) reject(new UserError(this.#ended))
    this.#waiting.clear()
  }

  /** A process that owes an answer keeps this one going. */
  #keepAlive(on: boolean): void {
    const { channel, stderr } = this.#process
    for (const handle of [this.#process, channel, stderr as ChildProcess | null])
      on ? handle?.ref() : handle?.unref()
  }
}
