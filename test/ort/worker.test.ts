import type { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { gpt } from '../../models/gpt.ts'
import { mlp } from '../../models/mlp.ts'
import { vit } from '../../models/vit.ts'
import { batches } from '../../src/data/batches.ts'
import type { BatchedDataset, DataSource, ImageDataset } from '../../src/data/dataset.ts'
import { textDataset, tokenize } from '../../src/data/text.ts'
import { lower } from '../../src/export/lower.ts'
import { UserError } from '../../src/graph/errors.ts'
import { input } from '../../src/graph/leaf.ts'
import { rng } from '../../src/graph/random.ts'
import type { Model } from '../../src/nn/model.ts'
import { add } from '../../src/ops/elementwise.ts'
import { adam, sgd } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { workerRuntime } from '../../src/runtime/worker-node.ts'
import { classification } from '../../src/tasks/index.ts'
import { fit as learn } from '../../src/train/fit.ts'
import { Trainer } from '../../src/train/trainer.ts'
import type { SingleStep } from '../../src/train/trainer-options.ts'

let here: Runtime
let apart: Runtime
beforeAll(async () => {
  here = await nodeRuntime('cpu')
  apart = await workerRuntime('cpu')
})
afterAll(() => apart.close())

const x = input('x', 'float32', [2])
const plusOne = lower(
  { inputs: { x }, parameters: {}, outputs: { y: add(x, 1) } },
  { name: 'plus', opset: 21 },
)

function noise(size: number, seed: number): ImageDataset {
  const random = rng(seed)
  const images = Uint8Array.from({ length: size * 64 }, () => random.int(256))
  const labels = Uint8Array.from({ length: size }, (_, i) => i % 4)
  return { name: 'noise', size, shape: [1, 8, 8], classes: [...'abcd'], images, labels }
}

describe('training in a thread of its own gives the parameters of training in the asking one, bit for bit,', () => {
  const same = async (model: Model, data: DataSource) => {
    const task = classification()
    const options = { task, data, epochs: 2, batch: 8, optimizer: adam(), seed: 5, threads: 1 }
    const [a, b] = [await learn(here, model, options), await learn(apart, model, options)]
    expect(b.state).toEqual(a.state)
    expect([b.test, b.train, b.steps]).toEqual([a.test, a.train, a.steps])
    expect(b.epochs.map(e => e.train.loss)).toEqual(a.epochs.map(e => e.train.loss))
  }

  it('of an image model with dropout, whose last batch is smaller', async () => {
    const config = { image: 8, channels: 1, patch: 4, dim: 16, depth: 2, heads: 2, mlp: 24, classes: 4 }
    await same(vit({ ...config, dropout: 0.2 }), { train: noise(29, 1), test: noise(9, 2), origin: 'noise' })
  })

  it('of a text model, whose data reuses its arrays', async () => {
    const tokens = tokenize('one two three four five six seven eight nine ten '.repeat(9))
    const vocabulary = tokens.vocabulary.length
    const rhyme = textDataset('rhyme', tokens, 16)
    const model = gpt({ vocabulary, context: 16, dim: 16, depth: 1, heads: 2, mlp: 32 })
    await same(model, { train: rhyme, test: rhyme, origin: 'a rhyme' })
  })
})

describe('while steps run', () => {
  it('the asking thread stays free', async () => {
    const model = vit({
      image: 28,
      channels: 1,
      patch: 4,
      dim: 96,
      depth: 1,
      heads: 6,
      mlp: 192,
      classes: 10,
    })
    // One thread, because two that share a busy machine wait for each other.
    const options = { task: classification(), optimizer: sgd({ lr: 1e-3 }), threads: 1 }
    const run = new Trainer<SingleStep>(apart, model, options)
    // As many that a step takes many turns of the timer, on a fast machine too.
    const count = 512
    const batch = { image: new Float32Array(count * 784), label: new Int32Array(count) }
    await run.executor.prepare('', { batch: count })
    let ticks = 0
    const timer = setInterval(() => ticks++, 5)
    /** How often the timer fired while each step ran; where the thread waits for the step, it fires before and after. */
    const fired: number[] = []
    for (let step = 1; step <= 16; step++) {
      const before = ticks
      await run.step(batch)
      fired.push(ticks - before)
    }
    clearInterval(timer)
    await run.close()
    expect(fired.filter(n => n >= 4).length).toBeGreaterThan(10)
  })

  it('time without a batch is counted', async () => {
    const quick = noise(40, 1)
    const { images, labels, shape, ...about } = quick
    const slow: BatchedDataset = {
      ...about,
      *batches(options) {
        for (const b of batches(quick, options)) {
          for (const begin = performance.now(); performance.now() < begin + 20; );
          yield b
        }
      },
    }
    const model = mlp({ image: 8, channels: 1, hidden: [4], classes: 4 })
    const share = async (runtime: Runtime) => {
      const data = { train: slow, test: quick, origin: 'noise' }
      const options = { task: classification(), data, epochs: 1, batch: 4, stepsPerRun: 1 }
      return (await learn(runtime, model, options)).dataWaitShare
    }
    // Nine waits of ten steps that take next to nothing.
    for (const runtime of [here, apart]) expect(await share(runtime)).toBeGreaterThan(0.5)
  })
})

describe('what goes wrong in the thread is told in one sentence:', () => {
  const failure = async (promise: Promise<unknown>): Promise<string> => {
    const error = await promise.then(
      () => 'nothing went wrong',
      (e: unknown) => e,
    )
    expect(error).toBeInstanceOf(UserError)
    return (error as UserError).message
  }

  it('a model that is none', async () => {
    expect(await failure(apart.load(Uint8Array.of(1, 2, 3)))).toMatch(
      /^cpu: the model could not be loaded: [^\n]+$/,
    )
  })

  it('values that do not fit the model', async () => {
    const session = await apart.load(plusOne)
    const three = apart.tensor('float32', new Float32Array(3), [3])
    expect(await failure(session.run({ x: three }))).toMatch(
      'failed to run: Got invalid dimensions for input: x',
    )
    expect(await failure(session.run({}))).toMatch("cpu: the model failed to run: input 'x' is missing")
    const two = apart.tensor('float32', Float32Array.of(1, 2), [2])
    expect((await session.run({ x: two })).y!.data).toEqual(Float32Array.of(2, 3))
    await session.close()
  })

  it('a device that is not there', async () => {
    expect(await failure(workerRuntime('cuda'))).toMatch(
      /^device cuda is not available: .+; on Linux x64 with CUDA 12 .+$/,
    )
    expect(await failure(workerRuntime('abacus'))).toMatch('unknown device abacus')
  })

  it('the end of the thread, to whoever waits for it and to whoever comes later', async () => {
    const started = new Promise<Worker>(resolve => process.once('worker', resolve))
    const runtime = await workerRuntime('cpu')
    const gone = (await started).terminate()
    const waiting = Promise.all([failure(runtime.load(plusOne)), failure(runtime.load(plusOne))])
    await gone
    const sentence = 'cpu: the thread that runs models has ended (exit code 1); start the runtime again'
    expect(await waiting).toEqual([sentence, sentence])
    expect(await failure(runtime.load(plusOne))).toBe(sentence)
    await runtime.close()
  })

  it('a runtime that was closed', async () => {
    const runtime = await workerRuntime('cpu')
    await runtime.close()
    expect(await failure(runtime.load(plusOne))).toMatch('has ended (it was closed)')
  })
})
