import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { TypedArray } from '../export/tensor-data.ts'
import { UserError } from '../graph/errors.ts'
import { type Answer, BUSY, type Calls, ENDING, type Question } from './calls.ts'
import { deviceOf } from './device.ts'
import { type Held, plainMessage, type Runtime } from './session.ts'

/**
 * onnxruntime on the named device, in a thread of its own: this thread stays free while a model runs, and can prepare
 * what the next run reads. Values cross over in shared memory where `allocate` gave it, else as copies; held tensors
 * never do.
 * @throws UserError when the device does not work here, saying how to get it; there is no silent fall-back
 */
export async function workerRuntime(name: string): Promise<Runtime> {
  const device = deviceOf(name)
  const thread = new Thread(device.name)
  const version = await thread.ask('open', device.name).catch(async (error: unknown) => {
    await thread.end()
    throw error
  })
  const numbers = new Map<Held, number>()
  let holds = 0
  const numberOf = (held: Held): number => {
    const id = numbers.get(held)
    if (id === undefined) throw new Error('internal: a held tensor of another runtime, or released')
    return id
  }
  return {
    device,
    version,
    parallel: true,
    tensor: (type, data, dims) => ({ type, data, dims }),
    allocate: bytes => new SharedArrayBuffer(bytes),
    hold(dtype, dims, data) {
      const held: Held = { dtype, dims }
      numbers.set(held, holds)
      // What goes wrong here is told by the run that reads it.
      thread.ask('hold', holds++, dtype, dims, data && compact(data)).catch(() => {})
      return held
    },
    read: async held => thread.ask('read', numberOf(held)),
    release(held) {
      thread.ask('release', numberOf(held)).catch(() => {})
      numbers.delete(held)
    },
    close: () => thread.end(),

    async load(bytes, settings) {
      const { id, inputs, outputs } = await thread.ask('load', compact(bytes), settings)
      let idle = 0
      return {
        inputs,
        outputs,
        get idle() {
          return idle
        },
        async run(feeds, into = {}) {
          const given = Object.entries(feeds).map(([key, t]) => [
            key,
            'data' in t ? { ...t, data: compact(t.data) } : numberOf(t),
          ])
          const places = Object.entries(into).map(([key, held]) => [key, numberOf(held)])
          const ran = await thread.ask('run', id, Object.fromEntries(given), Object.fromEntries(places))
          idle = ran.idle
          return ran.answer
        },
        close: () => thread.ask('close', id),
      }
    },
  }
}

/** A view as an array of its own, because a message copies the whole memory that it is a view of. */
const compact = <A extends TypedArray>(data: A): A =>
  data.buffer instanceof ArrayBuffer && data.byteLength < data.buffer.byteLength ? (data.slice() as A) : data

/** Flags of Node for the thread: the process's own, which may name loaders. */
function flagsFor(program: URL): string[] {
  // It goes with `node --eval`, and Node refuses it for a file.
  const flags = process.execArgv.filter(flag => !flag.startsWith('--input-type'))
  if (!program.pathname.endsWith('.ts')) return flags
  // In this repository the program is TypeScript, for which tsx must be told of each thread anew.
  const tsx = JSON.stringify(import.meta.resolve('tsx/esm/api'))
  return [...flags, '--import', `data:text/javascript,import{register}from${tsx};register()`]
}

/** How long the end of the process waits for a call; longer than any step. */
const PATIENCE_MS = 60_000

interface Waiting {
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

/** A worker that answers questions in the order in which they are asked. */
class Thread {
  readonly #device: string
  readonly #worker: Worker
  readonly #gone: Promise<void>
  readonly #flags = new Int32Array(new SharedArrayBuffer(8))
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0
  /** Why it answers no more. */
  #ended: string | undefined

  constructor(device: string) {
    this.#device = device
    const program = new URL(`thread-node${extname(import.meta.url)}`, import.meta.url)
    this.#worker = new Worker(program, { execArgv: flagsFor(program), workerData: this.#flags })
    this.#worker.unref()
    this.#worker.on('message', (answer: Answer) => this.#receive(answer))
    this.#worker.on('error', error => this.#stop(plainMessage(error)))
    this.#gone = new Promise(resolve => {
      this.#worker.on('exit', code => {
        process.off('exit', this.#settle)
        this.#stop(`exit code ${code}`)
        resolve()
      })
    })
    process.on('exit', this.#settle)
  }

  ask<K extends keyof Calls>(name: K, ...args: Parameters<Calls[K]>): Promise<Awaited<ReturnType<Calls[K]>>> {
    if (this.#ended) return Promise.reject(this.#failure())
    const question: Question<K> = { id: this.#asked++, name, args }
    return new Promise((resolve, reject) => {
      this.#worker.postMessage(question)
      this.#waiting.set(question.id, { resolve, reject })
      // A thread that owes an answer keeps the process going; else nobody needs to close it.
      this.#worker.ref()
    })
  }

  /** Ends the thread after what it has been asked so far. */
  async end(): Promise<void> {
    if (!this.#ended) this.#worker.postMessage(null)
    this.#ended ??= 'it was closed'
    this.#worker.ref()
    await this.#gone
  }

  #receive(answer: Answer): void {
    const { resolve, reject } = this.#waiting.get(answer.id)!
    this.#waiting.delete(answer.id)
    if (!this.#waiting.size && !this.#ended) this.#worker.unref()
    if ('value' in answer) resolve(answer.value as never)
    else reject(answer.user ? new UserError((answer.error as Error).message) : answer.error)
  }

  #stop(why: string): void {
    this.#ended ??= why
    for (const { reject } of this.#waiting.values()) reject(this.#failure())
    this.#waiting.clear()
  }

  #failure = (): UserError =>
    new UserError(
      `${this.#device}: the thread that runs models has ended (${this.#ended}); start the runtime again`,
    )

  /** onnxruntime aborts a process that ends during a call: the end waits for the call, and no other is begun. */
  #settle = (): void => {
    Atomics.store(this.#flags, ENDING, 1)
    Atomics.wait(this.#flags, BUSY, 1, PATIENCE_MS)
  }
}
