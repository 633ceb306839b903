import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lenet } from '../../models/lenet.ts'
import { vit } from '../../models/vit.ts'
import { augmentation } from '../../src/data/augment.ts'
import { imageSource } from '../../src/data/dataset.ts'
import { rng } from '../../src/graph/random.ts'
import { batchNorm2d, conv2d } from '../../src/nn/conv.ts'
import { dropout, embedding, linear } from '../../src/nn/layers.ts'
import { imageInput, type Model, model } from '../../src/nn/model.ts'
import { add, mul, relu, sub } from '../../src/ops/elementwise.ts'
import { mean } from '../../src/ops/reduce.ts'
import { cumsum } from '../../src/ops/scan.ts'
import { adam, sgd } from '../../src/optim/optimizer.ts'
import { cosine } from '../../src/optim/schedule.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { workerRuntime } from '../../src/runtime/worker-node.ts'
import { classification, mse, regression, task } from '../../src/tasks/index.ts'
import { cacheable } from '../../src/train/features/cacheable.ts'
import { fit as learn } from '../../src/train/fit.ts'
import type { FitOptions } from '../../src/train/fit-options.ts'
import type { RunState } from '../../src/train/progress.ts'

let here: Runtime
let apart: Runtime
beforeAll(async () => {
  here = await nodeRuntime('cpu')
  apart = await workerRuntime('cpu')
})
afterAll(async () => {
  await here.close()
  await apart.close()
})

/** Images of 12 × 12 pixels of three classes, which differ in a bright band. */
function images(name: string, size: number) {
  const random = rng(name)
  const labels = Uint8Array.from({ length: size }, () => random.int(3))
  const pixels = Uint8Array.from({ length: size * 144 }, (_, i) => {
    const row = Math.floor((i % 144) / 12)
    return random.int(160) + (Math.floor(row / 4) === labels[Math.floor(i / 144)] ? 60 : 0)
  })
  return { name, size, classes: ['a', 'b', 'c'], shape: [1, 12, 12] as const, images: pixels, labels }
}
const data = {
  ...imageSource(images('train', 50), images('test', 17), 'a test'),
  val: images('val', 23),
}
const base = {
  task: classification(),
  data,
  epochs: 3,
  batch: 8,
  optimizer: adam({ lr: 0.01 }),
  schedule: cosine(),
  seed: 3,
} satisfies FitOptions

async function run(net: Model, more: Partial<FitOptions>, runtime = here) {
  const losses: number[] = []
  const result = await learn(runtime, net, {
    ...base,
    threads: 1,
    ...more,
    onStep: ({ last, gradNorm }) => void losses.push(last.loss, gradNorm),
  })
  return { losses, result }
}

/** @param floor of the size that differences are relative to */
const close = (a: ArrayLike<number>, b: ArrayLike<number>, within = 1e-5, floor = 1) => {
  expect(a.length).toBe(b.length)
  for (let i = 0; i < a.length; i++)
    expect(Math.abs(a[i]! - b[i]!), `value ${i}: ${a[i]} and ${b[i]}`).toBeLessThan(
      within * Math.max(floor, Math.abs(b[i]!)),
    )
}

/** Trains with and without cached features. */
async function compare(net: Model, more: Partial<FitOptions>, runtime = here) {
  const plain = await run(net, more, runtime)
  const cached = await run(net, { ...more, cacheFeatures: true }, runtime)
  close(cached.losses, plain.losses, 1e-5, 0)
  const [a, b] = [cached.result, plain.result]
  expect([a.train?.accuracy, a.val?.accuracy, a.test?.accuracy]).toEqual([
    b.train?.accuracy,
    b.val?.accuracy,
    b.test?.accuracy,
  ])
  expect(a.best?.epoch).toBe(b.best?.epoch)
  expect(Object.keys(a.state.vectors)).toEqual(Object.keys(b.state.vectors))
  close(a.model.params, b.model.params, 1e-4)
  expect(Object.keys(a.model.model.inputs)).toEqual(['image'])
  expect(a.model.model.normalization).toEqual(b.model.model.normalization)
  expect(a.model.classes).toEqual(['a', 'b', 'c'])
  return { plain, cached }
}

const small = lenet({ image: 12, channels: 1, classes: 3 })
const vitConfig = {
  image: 12,
  channels: 1,
  patch: 4,
  dim: 16,
  depth: 2,
  heads: 2,
  mlp: 32,
  classes: 3,
} as const

describe('cached features give the same training', () => {
  test('of the last layers of LeNet, in runs of one step and of several', async () => {
    await compare(small, { train: ['fc2.*', 'fc3.*'] })
    await compare(small, { train: 'fc3.*', stepsPerRun: 3 }, apart)
  })

  test('of the head of a ViT, with an average of its weights and accumulated micro-batches', async () => {
    await compare(vit(vitConfig), { freeze: /^(?!head)/, ema: 0.9, accumulate: 2 })
  })

  test('where the rest is random: the same masks are drawn', async () => {
    const net = model({
      inputs: { image: imageInput(1, 12) },
      layers: {
        body: conv2d(1, 4, 3),
        drop: dropout(0.3),
        fc: linear(4, 8),
        again: dropout(0.2),
        head: linear(8, 3),
      },
      forward: (self, { image }) => ({
        logits: self.head(self.again(self.fc(self.drop(mean(relu(self.body(image)), [2, 3]))))),
      }),
    })
    await compare(net, { freeze: 'body.*' })
  })

  test('of a body with batch norm: the split lies before the first statistics that a step assigns', async () => {
    const net = model({
      inputs: { image: imageInput(1, 12) },
      layers: { stem: conv2d(1, 4, 3), bn: batchNorm2d(4), body: conv2d(4, 4, 3), head: linear(4, 3) },
      forward: (self, { image }) => ({
        logits: self.head(mean(relu(self.body(relu(self.bn(self.stem(image))))), [2, 3])),
      }),
    })
    const { cached, plain } = await compare(net, { train: 'head.*' })
    const [a, b] = [cached, plain].map(r => r.result.state.vectors.buffers!)
    close(a!, b!)
  })

  test('of arrays, and of a part of the inputs', async () => {
    const random = rng('arrays')
    const make = (n: number, d: number) =>
      Array.from({ length: n }, () => Array.from({ length: d }, () => random.normal()))
    const net = model({
      inputs: { x: { shape: [4] }, z: { shape: [2] } },
      layers: { body: linear(4, 6), side: linear(2, 6), head: linear(6, 2) },
      forward: (self, { x, z }) => ({ y: self.head(add(relu(self.body(x)), self.side(z))) }),
    })
    const options = {
      task: regression(),
      data: { x: make(21, 4), z: make(21, 2), y: make(21, 2) },
      freeze: 'body.*',
      batch: 4,
    }
    const [plain, cached] = [await run(net, options), await run(net, { ...options, cacheFeatures: true })]
    close(cached.losses, plain.losses, 1e-5, 0)
  })

  test('when resumed in the middle of an epoch: the same bytes', async () => {
    const options = { freeze: ['conv1.*', 'conv2.*', 'fc1.*'], cacheFeatures: true, stepsPerRun: 1 }
    const states: RunState[] = []
    const whole = await learn(here, small, {
      ...base,
      ...options,
      onStep: async (_, running) => void states.push(await running.state()),
    })
    const again = await learn(here, small, { ...base, ...options, resume: states[8]! })
    expect(again.steps).toBe(whole.steps)
    expect(again.state.vectors).toEqual(whole.state.vectors)
    const { cacheFeatures: _, ...without } = options
    const plain = await learn(here, small, { ...base, ...without, resume: states[8]! })
    close(plain.model.params, whole.model.params, 1e-4)
  })

  test('and callbacks see the whole model', async () => {
    const seen: string[][] = []
    await learn(here, small, {
      ...base,
      epochs: 1,
      train: 'fc3.*',
      cacheFeatures: true,
      onEpoch: async (_, running) => void seen.push(Object.keys((await running.trained()).model.inputs)),
    })
    expect(seen).toEqual([['image']])
  })
})

describe('cacheFeatures is refused', () => {
  const frozen = { train: 'fc3.*' } as const
  const reason = (more: Parameters<typeof cacheable>[2], net: Model = small, of = classification()) =>
    cacheable(net, of, more)

  test('before the first step, with the reason', async () => {
    const ready = () => expect.unreachable()
    await expect(learn(here, small, { ...base, cacheFeatures: true, onReady: ready })).rejects.toThrow(
      'lenet: cacheFeatures is not possible: no parameter is frozen; set freeze, or train',
    )
    expect(reason({ ...frozen, data })).toBeUndefined()
  })

  test('where everything is frozen', () => {
    expect(reason({ freeze: '*' })).toBe('no parameter is trained')
  })

  test('with augmentation', () => {
    expect(reason({ ...frozen, augment: augmentation({ shift: 1 }) })).toMatch(/augmentation/)
  })

  test('for streams', () => {
    const stream = { name: 'stream', size: 8, batches: () => [] }
    expect(reason({ ...frozen, data: { train: stream } })).toBe(
      'stream comes in batches of its own; only data in memory can be encoded once and shuffled again',
    )
  })

  test('where the features would take too much memory', () => {
    const wide = model({
      inputs: { x: { shape: [1] } },
      layers: { body: linear(1, 4096), head: linear(4096, 1) },
      forward: (self, { x }) => ({ y: self.head(self.body(x)) }),
    })
    const of = (n: number) => ({
      freeze: 'body.*',
      data: { x: new Float32Array(n), y: new Float32Array(n) },
    })
    expect(cacheable(wide, regression(), of(200_000))).toBe(
      'the features of 200,000 examples would take 3.1 GiB; at most 2 GiB are cached',
    )
    expect(cacheable(wide, regression(), of(100_000))).toBeUndefined()
  })

  test('where nothing comes before what changes: the first obstacle is named', () => {
    expect(reason({ train: 'conv1.*' })).toBe('nothing can be computed in advance: conv1.weight is trained')
    const noisy = vit({ ...vitConfig, dropout: 0.1 })
    expect(reason({ train: 'head.*' }, noisy)).toBeUndefined()
    const first = model({
      inputs: { x: { shape: [4] } },
      layers: { drop: dropout(0.1), body: linear(4, 4), head: linear(4, 3) },
      forward: (self, { x }) => ({ logits: self.head(self.body(self.drop(x))) }),
    })
    expect(reason({ train: 'head.*' }, first)).toBe(
      'nothing can be computed in advance: Dropout in drop is random',
    )
    const norm = model({
      inputs: { image: imageInput(1, 4) },
      layers: { bn: batchNorm2d(1), head: linear(1, 3) },
      forward: (self, { image }) => ({ logits: self.head(mean(self.bn(image), [2, 3])) }),
    })
    expect(reason({ freeze: 'bn.*' }, norm)).toMatch(/batch together|updated in every step|training step/)
  })

  test('for sizes that differ from example to example', () => {
    const net = (length: string | number) =>
      model({
        inputs: { t: { shape: [length], dtype: 'int32' } },
        layers: { embed: embedding(5, 4), head: linear(4, 1) },
        forward: (self, { t }) => ({ y: self.head(self.embed(t)) }),
      })
    expect(cacheable(net('n'), regression(), { freeze: 'embed.*' })).toMatch(
      /\[batch,n,4\], whose sizes per example are not fixed/,
    )
    expect(cacheable(net(3), regression(), { freeze: 'embed.*' })).toBeUndefined()
  })

  test('where a loss or a metric reads an input', () => {
    const auto = model({
      inputs: { x: { shape: [4] } },
      layers: { body: linear(4, 2), head: linear(2, 4) },
      forward: (self, { x }) => ({ y: self.head(self.body(x)) }),
    })
    const rebuild = task(auto, { name: 'rebuild', loss: ({ out, input }) => mse(out.y, input.x) })
    expect(cacheable(auto, rebuild, { freeze: 'body.*' })).toBe(
      "rebuild: the loss or a metric reads x itself, rather than the model's outputs",
    )
    const target = task(auto, {
      targets: { y2: { shape: [4] } },
      loss: ({ out, target }) => mse(out.y, target.y2),
    })
    expect(cacheable(auto, target, { freeze: 'body.*' })).toBeUndefined()
    const measured = task(auto, {
      targets: { y2: { shape: [4] } },
      loss: ({ out, target }) => mse(out.y, target.y2),
      metrics: { self: ({ out, input }) => mse(out.y, input.x) },
    })
    expect(cacheable(auto, measured, { freeze: 'body.*' })).toMatch(/reads x itself/)
  })

  test('where examples of a batch depend on each other', async () => {
    const centred = (centre: boolean) =>
      model({
        inputs: { x: { shape: [4] } },
        layers: { body: linear(4, 4), head: linear(4, 1) },
        forward: (self, { x }) => {
          const h = self.body(x)
          return { y: self.head(centre ? sub(h, mean(h, [0], true)) : mul(h, h)) }
        },
      })
    // The features lie before the mean over the batch.
    const random = rng('centred')
    const values = (n: number) => Float32Array.from({ length: n }, () => random.normal())
    const options = { task: regression(), freeze: 'body.*', data: { x: values(48), y: values(12) }, batch: 4 }
    for (const centre of [true, false]) {
      const plain = await run(centred(centre), options)
      close((await run(centred(centre), { ...options, cacheFeatures: true })).losses, plain.losses)
    }
    const summed = model({
      inputs: { x: { shape: [4] } },
      layers: { body: linear(4, 4), head: linear(4, 1) },
      forward: (self, { x }) => ({ y: self.head(cumsum(self.body(x), 0)) }),
    })
    await expect(
      learn(here, summed, { ...base, ...options, optimizer: sgd(), cacheFeatures: true }),
    ).rejects.toThrow(/depend on the other examples/)
  })
})
