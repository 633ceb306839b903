import { on } from 'node:events'
import { parentPort, workerData } from 'node:worker_threads'
import { UserError } from '../graph/errors.ts'
import { type Answer, type Answering, BUSY, type Calls, ENDING, type Question } from './calls.ts'
import { nodeRuntime } from './node.ts'
import type { Held, Runtime, Session } from './session.ts'

// The program of the thread, or process, that host-node.ts starts: a runtime whose sessions and held tensors go by numbers.

let runtime: Runtime
/** Milliseconds without a question since the last run. */
let idle = 0
let loads = 0
const sessions = new Map<number, Session>()
const held = new Map<number, Held>()

const known = <T>(map: ReadonlyMap<number, T>, id: number): T => {
  const value = map.get(id)
  if (!value) throw new Error(`internal: the runtime's thread has no ${id}`)
  return value
}
const changed = <T, U>(values: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value)]))

const calls: Calls = {
  async open(device) {
    runtime = await nodeRuntime(device)
    return runtime.version
  },
  async load(bytes, settings) {
    const session = await runtime.load(bytes, settings)
    const id = loads++
    sessions.set(id, session)
    return { id, inputs: session.inputs, outputs: session.outputs }
  },
  async run(id, feeds, into) {
    const given = changed(feeds, t => (typeof t === 'number' ? known(held, t) : t))
    const places = changed(into, h => known(held, h))
    const answer = await known(sessions, id).run(given, places)
    const before = idle
    idle = 0
    return { answer, idle: before }
  },
  async close(id) {
    await known(sessions, id).close()
    sessions.delete(id)
  },
  async hold(id, dtype, dims, data) {
    held.set(id, runtime.hold(dtype, dims, data))
  },
  read: id => runtime.read(known(held, id)),
  async release(id) {
    runtime.release(known(held, id))
    held.delete(id)
  },
}

async function answer<K extends keyof Calls>({ id, name, args }: Question<K>): Promise<Answer> {
  const answering: Answering = calls
  try {
    return { id, value: await answering[name](...args) }
  } catch (error) {
    return { id, error, user: error instanceof UserError }
  }
}

/** Memory that a thread shares with who asks. */
const flags: Int32Array | undefined = parentPort ? workerData : undefined
const setBusy = (busy: number) => {
  if (!flags) return
  Atomics.store(flags, BUSY, busy)
  Atomics.notify(flags, BUSY)
}

if (!parentPort) {
  // A process ends with the one that asks, which also decides what a signal to both of them means.
  process.on('disconnect', () => process.exit())
  for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => {})
}
const send = (message: Answer): void => {
  if (parentPort) parentPort.postMessage(message)
  else process.send?.(message, () => {})
}

let free = performance.now()
const questions = on((parentPort ?? process) as NodeJS.EventEmitter, 'message') as AsyncIterable<
  [Question | null]
>
for await (const [question] of questions) {
  if (!question) break
  idle += performance.now() - free
  setBusy(1)
  if (!flags || !Atomics.load(flags, ENDING)) send(await answer(question))
  setBusy(0)
  free = performance.now()
}
if (!parentPort) process.disconnect()
