import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { gpt } from '../../models/gpt.ts'
import { mlp } from '../../models/mlp.ts'
import { vit } from '../../models/vit.ts'
import type { DataSource, ImageDataset } from '../../src/data/dataset.ts'
import { textDataset, tokenize } from '../../src/data/text.ts'
import { lowerLoop } from '../../src/export/loop.ts'
import { input } from '../../src/graph/leaf.ts'
import { rng } from '../../src/graph/random.ts'
import type { Model } from '../../src/nn/model.ts'
import { add, mul } from '../../src/ops/elementwise.ts'
import { sum as total } from '../../src/ops/reduce.ts'
import { adam, sgd } from '../../src/optim/optimizer.ts'
import { cosine } from '../../src/optim/schedule.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime, Session } from '../../src/runtime/session.ts'
import { workerRuntime } from '../../src/runtime/worker-node.ts'
import { classification, languageModel, type Task } from '../../src/tasks/index.ts'
import { fit as learn } from '../../src/train/fit.ts'
import type { FitOptions } from '../../src/train/fit-options.ts'
import type { Progress } from '../../src/train/progress.ts'

function noise(size: number, seed: number): ImageDataset {
  const random = rng(seed)
  const images = Uint8Array.from({ length: size * 64 }, () => random.int(256))
  const labels = Uint8Array.from({ length: size }, (_, i) => i % 4)
  return { name: 'noise', size, shape: [1, 8, 8], classes: [...'abcd'], images, labels }
}
const data = (size: number): DataSource => ({ train: noise(size, 1), test: noise(9, 2), origin: 'noise' })
const config = { image: 8, channels: 1, patch: 4, dim: 16, depth: 1, heads: 2, mlp: 24, classes: 4 }
const dropping = vit({ ...config, dropout: 0.2, dropPath: 0.2 })
/** What does not depend on the model is shown with one that is compiled in no time. */
const quick = mlp({ image: 8, channels: 1, hidden: [16], classes: 4, dropout: 0.2 })

let cpu: Runtime
let apart: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
  apart = await workerRuntime('cpu')
})
afterAll(() => apart.close())

type Options = Partial<FitOptions>
type Told = Omit<Progress, 'examplesPerSecond'>

/** The outcome of a run without its clock, and what it told after each step. */
async function outcome(model: Model, runtime: Runtime, source: DataSource, options: Options) {
  const told: Told[] = []
  const { state, test, train, steps } = await learn(runtime, model, {
    task: classification(),
    data: source,
    batch: 8,
    epochs: 2,
    seed: 5,
    threads: 1,
    schedule: cosine(),
    ...options,
    onStep: ({ examplesPerSecond, ...rest }) => void told.push(rest),
  })
  return { state, test, train, steps, told }
}

test('a graph that runs several times over carries some values from time to time and stacks the others', async () => {
  const [sum, x, scale] = [
    input('sum', 'float32', []),
    input('x', 'float32', [2]),
    input('scale', 'float32', []),
  ]
  const graph = {
    inputs: { sum, x, scale },
    parameters: {},
    outputs: { y: add(mul(x, scale), sum), 'next.sum': add(total(x), sum) },
  }
  const loop = { name: 'sums', opset: 17, times: 3, carried: { sum: 'next.sum' } }
  const session = await cpu.load(lowerLoop(graph, loop))
  const numbers = (values: readonly number[], dims: readonly number[]) =>
    cpu.tensor('float32', Float32Array.from(values), dims)
  const got = await session.run({
    sum: numbers([100], []),
    x: numbers([1, 2, 3, 4, 5, 6], [3, 2]),
    scale: numbers([1, 10, 100], [3]),
  })
  await session.close()
  // Before each time the sum is 100, 103 and 110.
  expect([...got.y!.data]).toEqual([101, 102, 133, 143, 610, 710])
  expect(got.y!.dims).toEqual([3, 2])
  expect([...got['next.sum']!.data]).toEqual([121])
})

describe('several steps in one run', () => {
  const agree = async (model: Model, runtime: Runtime, source: DataSource, options: Options) => {
    const single = await outcome(model, cpu, source, options)
    expect(await outcome(model, runtime, source, { ...options, stepsPerRun: 3 })).toEqual(single)
    return single
  }

  it('give the parameters and reports of single steps, bit for bit, with dropout and odd remainders', async () => {
    // Nine batches of 8 fill three runs; 77 images leave five over, 70 two batches and six.
    for (const size of [72, 77, 70]) {
      const { steps } = await agree(dropping, cpu, data(size), { optimizer: adam() })
      expect(steps).toBe(2 * Math.ceil(size / 8))
    }
  })

  it('take as many runs fewer', async () => {
    const runs = async (stepsPerRun: number) => {
      let count = 0
      const counting: Runtime = {
        ...cpu,
        async load(bytes, settings) {
          const session = await cpu.load(bytes, settings)
          const run: Session['run'] = (feeds, into) => {
            if (into) count++
            return session.run(feeds, into)
          }
          return { ...session, run }
        },
      }
      const task = classification()
      await learn(counting, quick, { task, data: data(77), batch: 8, epochs: 2, stepsPerRun })
      return count
    }
    // Each epoch has nine whole batches and one of five images.
    expect([await runs(1), await runs(3), await runs(4)]).toEqual([20, 8, 8])
  })

  it('do so in a thread of its own', () => agree(quick, apart, data(77), { optimizer: adam({ lr: 1e-2 }) }))

  it('do so with labels for each token', async () => {
    const tokens = tokenize('one two three four five six seven eight nine ten '.repeat(9))
    const vocabulary = tokens.vocabulary.length
    const train = textDataset('rhyme', tokens, 16)
    const model = gpt({ vocabulary, context: 16, dim: 16, depth: 1, heads: 2, mlp: 32 })
    for (const task of [languageModel(), classification()] as Task[])
      await agree(model, cpu, { train, test: train, origin: 'a rhyme' }, { task, batch: 4, optimizer: sgd() })
  })

  it('do so where an epoch has too few batches for one run', () =>
    agree(quick, cpu, data(13), { optimizer: adam() }))

  it('give the same on the web runtime as single steps there', async () => {
    const wasm = await nodeRuntime('wasm')
    const options = { epochs: 1, optimizer: adam() }
    const single = await outcome(quick, wasm, data(53), options)
    expect(await outcome(quick, wasm, data(53), { ...options, stepsPerRun: 5 })).toEqual(single)
  })

  it('stop after the run that has begun', async () => {
    const stop = new AbortController()
    const run = await learn(cpu, quick, {
      task: classification(),
      data: data(80),
      batch: 8,
      stepsPerRun: 4,
      signal: stop.signal,
      onStep: ({ step }) => {
        if (step === 2) stop.abort()
      },
    })
    expect([run.steps, run.stopped]).toEqual([4, true])
  })

  it('are a whole number', async () => {
    const options = { task: classification(), data: data(8), stepsPerRun: 0 }
    await expect(learn(cpu, quick, options)).rejects.toThrow(
      'stepsPerRun must be a whole number of at least 1, not 0',
    )
  })
})
