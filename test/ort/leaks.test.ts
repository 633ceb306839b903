import type { Worker } from 'node:worker_threads'
import { describe, expect, it, onTestFinished } from 'vitest'
import { mlp } from '../../models/mlp.ts'
import type { ImageDataset } from '../../src/data/dataset.ts'
import { train } from '../../src/node.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { fit as learn } from '../../src/train/fit.ts'
import type { FitOptions } from '../../src/train/fit-options.ts'

const size = 64
const set: ImageDataset = {
  ...{ name: 'noise', size, shape: [1, 8, 8], classes: [...'abcd'] },
  images: new Uint8Array(size * 64).map((_, i) => (i * 37) % 251),
  labels: new Uint8Array(size).map((_, i) => i % 4),
}
const data = { train: set, test: set, origin: 'noise' }
const model = mlp({ image: 8, channels: 1, hidden: [4], classes: 4 })

/** Ways in which a training ends before its time. */
const ENDS: Readonly<Record<string, () => FitOptions>> = {
  'is aborted': () => {
    const stop = new AbortController()
    return { signal: stop.signal, onStep: ({ step }) => void (step === 3 && stop.abort()) }
  },
  'is aborted before it begins': () => ({ signal: AbortSignal.abort() }),
  'has a callback that throws': () => ({
    onStep() {
      throw new Error('mine')
    },
  }),
  diverges: () => ({ schedule: { name: 'bad', settings: {}, at: () => Number.POSITIVE_INFINITY } }),
  'cannot begin': () => ({
    onReady() {
      throw new Error('no')
    },
  }),
}
const options = (end: () => FitOptions): FitOptions => ({ epochs: 9, batch: 8, threads: 1, ...end() })

/** A runtime that counts what is open. */
function counting(runtime: Runtime): { runtime: Runtime; open: { sessions: number; held: number } } {
  const open = { sessions: 0, held: 0 }
  return {
    open,
    runtime: {
      ...runtime,
      async load(...args) {
        const session = await runtime.load(...args)
        open.sessions++
        return {
          ...session,
          get idle() {
            return session.idle
          },
          async close() {
            open.sessions--
            await session.close()
          },
        }
      },
      hold(...args) {
        open.held++
        return runtime.hold(...args)
      },
      release(held) {
        open.held--
        runtime.release(held)
      },
    },
  }
}

describe.each(Object.entries(ENDS))('a training that %s', (_, end) => {
  it('leaves no session and no tensor with the runtime', async () => {
    const { runtime, open } = counting(await nodeRuntime('cpu'))
    await learn(model, runtime, data, options(end)).catch(() => {})
    expect(open).toEqual({ sessions: 0, held: 0 })
  })

  it('leaves no thread and no listener in the process', async () => {
    const threads = { started: 0, ended: 0 }
    const count = (worker: Worker) => {
      threads.started++
      worker.once('exit', () => threads.ended++)
    }
    process.on('worker', count)
    onTestFinished(() => void process.off('worker', count))
    const listeners = () => process.eventNames().map(name => [name, process.listenerCount(name)])
    const before = listeners()
    await train(model, { data, ...options(end) }).catch(() => {})
    expect(threads).toEqual({ started: 1, ended: 1 })
    expect(listeners()).toEqual(before)
  })
})
