import { messageOf, UserError } from '../graph/errors.ts'
import { lookup } from '../graph/present.ts'
import type { Answer, Calls, Question } from './calls.ts'
import { deviceOf } from './device.ts'
import { type Host, hostProgram, startHost } from './host-node.ts'
import { nodeRuntime } from './node.ts'
import type { Held, Runtime } from './session.ts'

/**
 * onnxruntime on the named device, in a thread of its own: this thread stays free while a model runs, and can prepare what the next
 * run reads. Values cross over in shared memory where `allocate` gave it, else as copies; held tensors never do. Called in a worker
 * thread, it uses a process instead, so that the worker can be terminated at any moment. In a bundle that does not hold the
 * thread's program it runs here, with a warning.
 * @throws UserError when the device does not work here, saying how to get it; there is no silent fallback
 */
export async function workerRuntime(name: string): Promise<Runtime> {
  const device = deviceOf(name)
  const program = hostProgram()
  if (!program) {
    warnOfBundle()
    return nodeRuntime(name)
  }
  const host = new Asker(device.name, program)
  const version = await host.ask('open', device.name).catch(async (error: unknown) => {
    await host.end()
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
    allocate: bytes => (host.kind === 'thread' ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes)),
    hold(dtype, dims, data) {
      const held: Held = { dtype, dims }
      numbers.set(held, holds)
      // What goes wrong here is told by the run that reads it.
      host.ask('hold', holds++, dtype, dims, data && compact(data)).catch(() => {})
      return held
    },
    read: async held => host.ask('read', numberOf(held)),
    release(held) {
      host.ask('release', numberOf(held)).catch(() => {})
      numbers.delete(held)
    },
    close: () => host.end(),

    async load(bytes, settings) {
      const { id, inputs, outputs } = await host.ask('load', compact(bytes), settings)
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
          const ran = await host.ask('run', id, Object.fromEntries(given), Object.fromEntries(places))
          idle = ran.idle
          return ran.answer
        },
        close: () => host.ask('close', id),
      }
    },
  }
}

let warned = false
function warnOfBundle(): void {
  if (!warned)
    process.emitWarning(
      'onnxgrad was bundled into the program: models run in the calling thread and block it; mark onnxgrad as external in the bundler',
      { code: 'ONNXGRAD_BUNDLED' },
    )
  warned = true
}

/** A view as an array of its own, because a message copies the whole memory that it is a view of. */
const compact = <A extends { readonly buffer: ArrayBufferLike; readonly byteLength: number; slice(): A }>(
  data: A,
): A => (data.buffer instanceof ArrayBuffer && data.byteLength < data.buffer.byteLength ? data.slice() : data)

interface Waiting {
  /** Takes what the call that was asked for answers. */
  resolve(value: unknown): void
  readonly reject: (error: unknown) => void
}

/** Asks a host, and gives each answer to who asked. */
class Asker {
  readonly #device: string
  readonly #host: Host
  readonly #gone: Promise<void>
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0
  /** Why it answers no more. */
  #ended: string | undefined

  constructor(device: string, program: URL) {
    this.#device = device
    let ended = () => {}
    this.#gone = new Promise(resolve => {
      ended = resolve
    })
    this.#host = startHost(program, {
      answered: answer => this.#receive(answer),
      failed: why => this.#stop(why),
      ended,
    })
  }

  get kind() {
    return this.#host.kind
  }

  ask<K extends keyof Calls>(name: K, ...args: Parameters<Calls[K]>): Promise<Awaited<ReturnType<Calls[K]>>> {
    if (this.#ended) return Promise.reject(this.#failure())
    const question: Question<K> = { id: this.#asked++, name, args }
    return new Promise((resolve, reject) => {
      this.#host.post(question)
      this.#waiting.set(question.id, { resolve, reject })
      // A thread that owes an answer keeps the process going; else nobody needs to close it.
      this.#host.keepAlive(true)
    })
  }

  /** Ends the thread after what it has been asked so far. */
  async end(): Promise<void> {
    if (!this.#ended) this.#host.post(null)
    this.#ended ??= 'it was closed'
    this.#host.keepAlive(true)
    await this.#gone
  }

  #receive(answer: Answer): void {
    const { resolve, reject } = lookup(this.#waiting, answer.id)
    this.#waiting.delete(answer.id)
    if (!this.#waiting.size && !this.#ended) this.#host.keepAlive(false)
    if ('value' in answer) resolve(answer.value)
    else reject(answer.user ? new UserError(messageOf(answer.error)) : answer.error)
  }

  #stop(why: string): void {
    this.#ended ??= why
    for (const { reject } of this.#waiting.values()) reject(this.#failure())
    this.#waiting.clear()
  }

  #failure = (): UserError =>
    new UserError(
      `${this.#device}: the ${this.kind} that runs models has ended (${this.#ended}); start the runtime again`,
    )
}
