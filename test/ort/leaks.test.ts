import type { Worker } from 'node:worker_threads'
import { describe, expect, it, onTestFinished } from 'vitest'
import { mlp } from '../../models/mlp.ts'
import type { ImageDataset } from '../../src/data/dataset.ts'
import { train } from '../../src/node.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { classification } from '../../src/tasks/classification.ts'
import { fit as learn } from '../../src/train/fit.ts'
import type { FitOptions, FitResult } from '../../src/train/fit-options.ts'
import { counting } from '../train/counting.ts'

const size = 64
const set: ImageDataset = {
  ...{ name: 'noise', size, shape: [1, 8, 8], classes: [...'abcd'] },
  images: new Uint8Array(size * 64).map((_, i) => (i * 37) % 251),
  labels: new Uint8Array(size).map((_, i) => i % 4),
}
const data = { train: set, test: set, origin: 'noise' }
const model = mlp({ image: 8, channels: 1, hidden: [4], classes: 4 })

/** Ways in which a training ends before its time, and how it says so. */
const ENDS: Readonly<Record<string, readonly [ends: RegExp, options: () => Partial<FitOptions>]>> = {
  'is aborted': [
    /^signal$/,
    () => {
      const stop = new AbortController()
      return { signal: stop.signal, onStep: ({ step }) => void (step === 3 && stop.abort()) }
    },
  ],
  'is aborted before it begins': [/^signal$/, () => ({ signal: AbortSignal.abort() })],
  'has a callback that throws': [
    /^mine$/,
    () => ({
      onStep() {
        throw new Error('mine')
      },
    }),
  ],
  diverges: [
    /became NaN at step 2/,
    () => ({ schedule: { name: 'bad', settings: {}, at: () => Number.POSITIVE_INFINITY } }),
  ],
  'cannot begin': [
    /^no$/,
    () => ({
      onReady() {
        throw new Error('no')
      },
    }),
  ],
}
const options = (end: () => Partial<FitOptions>): FitOptions => ({
  ...{ data, task: classification(), epochs: 9, batch: 8, threads: 1 },
  ...end(),
})

/** What ended a training: the `end` of its result, or what was thrown. */
const endOf = (run: Promise<FitResult>): Promise<string> =>
  run.then(
    ({ end }) => end,
    (error: unknown) => String(error instanceof Error ? error.message : error),
  )

describe.each(Object.entries(ENDS))('a training that %s', (_, [says, end]) => {
  it('leaves no session and no tensor with the runtime', async () => {
    const { runtime, open } = counting(await nodeRuntime('cpu'))
    expect(await endOf(learn(runtime, model, options(end)))).toMatch(says)
    expect({ ...open }).toEqual({ sessions: 0, held: 0 })
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
    expect(await endOf(train(model, options(end)))).toMatch(says)
    expect(threads).toEqual({ started: 1, ended: 1 })
    expect(listeners()).toEqual(before)
  })
})
