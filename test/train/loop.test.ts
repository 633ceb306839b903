import { crc32 } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { augmentation } from '../../src/data/augment.ts'
import type { UserBatch } from '../../src/data/dataset.ts'
import { trainingPredictor } from '../../src/deploy/reference.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { writeSafetensors } from '../../src/export/safetensors.ts'
import { rng } from '../../src/graph/random.ts'
import { batchNorm2d } from '../../src/nn/conv.ts'
import { linear } from '../../src/nn/layers.ts'
import { type Model, model } from '../../src/nn/model.ts'
import { initialized } from '../../src/nn/trained.ts'
import { add, log, mul, sqrt, tanh } from '../../src/ops/elementwise.ts'
import { mean } from '../../src/ops/reduce.ts'
import { adam, sgd } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { workerRuntime } from '../../src/runtime/worker-node.ts'
import { average, classification, l1, mse, regression, task } from '../../src/tasks/index.ts'
import { type TrainOptions, trainOn } from '../../src/train/api.ts'
import { evaluateModel } from '../../src/train/evaluate.ts'
import { fit as learn } from '../../src/train/fit.ts'
import type { FitOptions } from '../../src/train/fit-options.ts'
import type { Measured } from '../../src/train/measured.ts'
import { openPredictor } from '../../src/train/predictor.ts'
import type { RunState } from '../../src/train/progress.ts'
import { Trainer } from '../../src/train/trainer.ts'
import type { SingleStep } from '../../src/train/trainer-options.ts'
import { counting } from './counting.ts'

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

const SIZE = 22
const random = rng('loop')
const x = Array.from({ length: SIZE }, () =>
  [0, 1].map(() => [0, 1].map(() => [0, 1].map(() => random.normal()))),
)
const y = x.map(([a, b]) => [a![0]![0]! * b![1]![1]!, b![0]![0]!])
const rows = (from: number, to: number): UserBatch => ({ x: x.slice(from, to), y: y.slice(from, to) })

const net = model({
  inputs: { x: { shape: [2, 2, 2] } },
  layers: { bn: batchNorm2d(2), hidden: linear(2, 6), fc: linear(6, 2) },
  forward: (self, { x }) => ({ y: self.fc(tanh(self.hidden(mean(self.bn(x), [2, 3])))) }),
})
const options = {
  task: regression(),
  data: { x, y },
  epochs: 2,
  batch: 3,
  optimizer: adam({ lr: 0.02 }),
  threads: 1,
  seed: 4,
}
const train = (runtime: Runtime, more: Partial<FitOptions> = {}, of: Model = net) =>
  learn(runtime, of, { ...options, ...more })

describe('steps of micro-batches', () => {
  // 22 examples in threes: steps of three micro-batches, the last of two, of which one has a single example.
  const parts = { accumulate: 3 }

  test('tell of the state after each, running statistics and all, while the next is on its way', async () => {
    const statesOf = async (runtime: Runtime) => {
      const states: RunState[] = []
      await train(runtime, { ...parts, onStep: async (_, run) => void states.push(await run.state()) })
      return states
    }
    const [one, two] = [await statesOf(here), await statesOf(apart)]
    expect(one.map(s => s.step)).toEqual([1, 2, 3, 4, 5, 6])
    expect(two).toEqual(one)
    const buffers = new Set(one.map(s => s.vectors.buffers!.join()))
    expect(buffers.size).toBe(6)
  })

  test('resume from any of them to the same end', async () => {
    const whole = await train(apart, parts)
    const states: RunState[] = []
    await train(apart, { ...parts, onStep: async (_, run) => void states.push(await run.state()) })
    for (const resume of states) {
      const rest = await train(apart, { ...parts, resume })
      expect(rest.state).toEqual(whole.state)
      expect(rest.train).toEqual(whole.train)
    }
  })

  test('tell of functions of averages over all of them', async () => {
    const measured = task(net, {
      targets: { y: { shape: [2] } },
      loss: ({ out, target }) => add(add(mse(out.y, target.y), mul(l1(out.y, target.y), 0.5)), 2),
      metrics: { rmse: ({ out, target }) => sqrt(mse(out.y, target.y)) },
    })
    const told = async (more: Partial<FitOptions>) => {
      const all: Measured[] = []
      // Without batch norm's statistics, which differ by design.
      const plain = model({
        inputs: { x: { shape: [2, 2, 2] } },
        layers: { fc: linear(2, 2) },
        forward: (self, { x }) => ({ y: self.fc(mean(x, [2, 3])) }),
      })
      await train(here, { task: measured, onStep: p => void all.push(p.last), ...more }, plain)
      return all
    }
    const [whole, several] = [await told({ batch: 9 }), await told({ batch: 3, accumulate: 3 })]
    expect(several).toHaveLength(whole.length)
    for (const [i, { loss, rmse }] of several.entries()) {
      expect(loss).toBeCloseTo(whole[i]!.loss, 4)
      expect(rmse).toBeCloseTo(whole[i]!.rmse!, 4)
      expect(loss).toBeGreaterThan(2)
      expect(loss).toBeLessThan(5)
    }
  })

  test('that go wrong leave the state before them', async () => {
    const weighted = task(net, {
      targets: { y: { shape: [2] }, weight: { shape: [2] } },
      loss: ({ out, target }) => average(mul(mul(out.y, out.y), log(target.weight))),
      evaluation: regression(),
    })
    const weight = y.map(row => row.map(() => 2))
    const clean = { x, y, weight }
    // Its values are all finite; their logarithms are not.
    const stream = (wrong: number) => () =>
      Array.from({ length: 8 }, (_, b) => {
        const part = (values: readonly unknown[]) => values.slice(3 * b, 3 * b + 3) as number[][]
        const own = part(clean.weight).map((row, i) => (3 * b + i === wrong ? [0, 1] : row))
        return { x: x.slice(3 * b, 3 * b + 3), y: part(y), weight: own }
      })
    for (const runtime of [here, apart]) {
      const states: RunState[] = []
      const more = { ...parts, task: weighted, epochs: 1 }
      const onStep: FitOptions['onStep'] = async (_, run) => void states.push(await run.state())
      await train(runtime, { ...more, data: stream(-1), onStep })
      const error = await train(runtime, { ...more, data: stream(13) }).then(
        () => undefined,
        e => e,
      )
      expect(error?.message).toMatch(/^the loss became -Infinity at step 2 \(epoch 1\).*loss is infinite/)
      expect(error.state.step).toBe(1)
      expect(error.state.vectors).toEqual(states[0]!.vectors)
    }
  })
})

describe('steps that run together', () => {
  test.each<Partial<FitOptions>>([
    {},
    { ema: 0.9, clipNorm: 0.5 },
    { freeze: ['hidden.*'], ema: 0.9 },
    { freeze: ['bn.*', 'fc.*'] },
    { recompute: true },
  ])('make the same states as single ones, bit for bit, with running statistics and %j', async more => {
    const single = await train(here, { ...more, stepsPerRun: 1 })
    for (const runtime of [here, apart])
      for (const stepsPerRun of [3, 7]) {
        const run = await train(runtime, { ...more, stepsPerRun })
        expect(run.state).toEqual(single.state)
        expect(run.train).toEqual(single.train)
        expect(run.epochs.map(e => [e.train, e.gradNorm])).toEqual(
          single.epochs.map(e => [e.train, e.gradNorm]),
        )
      }
  })

  test('tell of the state after the last of them, and refuse to tell of others', async () => {
    const told: string[] = []
    const onStep: FitOptions['onStep'] = async ({ step }, run) => {
      const got = await run.state().then(
        s => `state of ${s.step}`,
        (error: Error) => error.message,
      )
      told.push(`${step}: ${got}`)
    }
    await train(here, { epochs: 1, stepsPerRun: 3, onStep })
    const gone = (step: number) =>
      `${step}: the state after step ${step} was released: several steps ran together, or later ones were done; read it immediately, with stepsPerRun: 1`
    expect(told).toEqual([
      gone(1),
      gone(2),
      '3: state of 3',
      gone(4),
      gone(5),
      '6: state of 6',
      '7: state of 7',
      '8: state of 8',
    ])
  })

  test('give the model of the step, with its classes', async () => {
    const images = {
      name: 'dots',
      size: 4,
      shape: [1, 2, 2] as const,
      classes: ['a', 'b'],
      images: new Uint8Array(16).map((_, i) => i),
      labels: Uint8Array.of(0, 1, 0, 1),
    }
    const flat = model({
      inputs: { image: { shape: [1, 2, 2] } },
      layers: { fc: linear(1, 2) },
      forward: (self, { image }) => ({ logits: self.fc(mean(image, [2, 3])) }),
    })
    const seen: unknown[] = []
    const run = await learn(here, flat, {
      task: classification(),
      data: { train: images, origin: 'dots' },
      epochs: 1,
      batch: 2,
      stepsPerRun: 1,
      onStep: async (_, running) => void seen.push(await running.trained()),
    })
    expect(seen).toHaveLength(2)
    expect(seen[1]).toEqual(run.model)
    expect(run.model.classes).toEqual(['a', 'b'])
  })
})

describe('a stream of batches', () => {
  const stream = () => Array.from({ length: 8 }, (_, b) => rows(3 * b, Math.min(SIZE, 3 * b + 3)))

  test('is resumed within an epoch where it was', async () => {
    for (const data of [stream, stream()]) {
      const more = { data, stepsPerEpoch: 8, stepsPerRun: 1 }
      const whole = await train(here, more)
      const states: RunState[] = []
      const onStep: FitOptions['onStep'] = async (_, run) => void states.push(await run.state())
      await train(here, { ...more, onStep })
      for (const at of [3, 8, 11])
        expect((await train(here, { ...more, resume: states[at - 1]! })).state).toEqual(whole.state)
    }
  })

  test('may be longer than an epoch', async () => {
    const run = await train(here, { data: stream, stepsPerEpoch: 5 })
    expect([run.steps, run.epochs.length]).toEqual([10, 2])
  })

  test('that ends too early is refused', async () => {
    await expect(train(here, { data: stream, stepsPerEpoch: 9 })).rejects.toThrow(
      'gave batches for 8 of the 9 steps of an epoch',
    )
  })
})

test('an input that does not belong to examples is the same in every batch', async () => {
  const scaled = model({
    inputs: { x: { shape: [2] }, scale: { shape: [2], batch: false } },
    layers: { fc: linear(2, 1) },
    forward: (self, { x, scale }) => ({ y: self.fc(mul(x, scale)) }),
  })
  const points = Array.from({ length: 7 }, () => [random.normal(), random.normal()])
  const aims = points.map(([a, b]) => [3 * a! - b!])
  const plain = model({
    inputs: { x: { shape: [2] } },
    layers: { fc: linear(2, 1) },
    forward: (self, { x }) => ({ y: self.fc(x) }),
  })
  const more = { batch: 3, optimizer: sgd({ lr: 0.1 }) }
  const one = await train(here, { ...more, data: { x: points, y: aims, scale: [2, 0.5] } }, scaled)
  const other = await train(
    here,
    { ...more, data: { x: points.map(([a, b]) => [2 * a!, 0.5 * b!]), y: aims } },
    plain,
  )
  expect(one.state).toEqual(other.state)
  expect(one.train).toEqual(other.train)
})

test('what a training came to is not normalized again when it is trained on', async () => {
  const flat = model({
    inputs: { image: { shape: [1, 2, 2] } },
    layers: { fc: linear(1, 2) },
    forward: (self, { image }) => ({ logits: self.fc(mean(image, [2, 3])) }),
  })
  const set = {
    name: 'dots',
    size: 4,
    shape: [1, 2, 2] as const,
    classes: ['a', 'b'],
    images: new Uint8Array(16).map((_, i) => 10 * i),
    labels: Uint8Array.of(0, 1, 0, 1),
  }
  const data = { train: set, normalization: { mean: [0.25], std: [0.5] }, origin: 'dots' }
  const more = { task: classification(), data, epochs: 1, batch: 4 }
  const first = await learn(here, flat, more)
  expect(first.model.model.normalization).toEqual({ image: data.normalization })
  const again = await learn(here, first.model.model, { ...more, weights: first.model })
  expect(again.model.model.normalization).toEqual({ image: data.normalization })
  expect(again.model.model.graph.outputs).toEqual(first.model.model.graph.outputs)
  const rows = Array.from({ length: 4 }, () => [random.normal()])
  const line = model({
    inputs: { x: { shape: [1] } },
    layers: { fc: linear(1, 1) },
    forward: (self, { x }) => ({ y: self.fc(x) }),
  })
  const lines = { train: { x: rows, y: rows }, origin: 'lines' }
  await train(here, { data: lines }, line)
  const { normalization } = data
  await expect(train(here, { data: { ...lines, normalization } as never }, line)).rejects.toThrow(
    'train: comes with a normalization, and model reads no image',
  )
})

test('a classifier learns from mixed labels where images are mixed and no task is given', async () => {
  const learnOn = (net: Model, options: TrainOptions) => trainOn(() => nodeRuntime('cpu'), net, options)
  const noise = Uint8Array.from({ length: 8 * 4 }, () => random.int(256))
  const set = {
    name: 'noise',
    size: 8,
    shape: [1, 2, 2] as const,
    classes: ['a', 'b'],
    images: noise,
    labels: Uint8Array.from({ length: 8 }, (_, i) => i % 2),
  }
  const flat = model({
    inputs: { image: { shape: [1, 2, 2] } },
    layers: { fc: linear(1, 2) },
    forward: (self, { image }) => ({ logits: self.fc(mean(image, [2, 3])) }),
  })
  const more = { data: set, epochs: 1, batch: 4, threads: 1, augment: augmentation({ mixup: 1 }) }
  const own = await learnOn(flat, more)
  const mixed = await learnOn(flat, { ...more, task: classification({ targets: 'mixed' }) })
  expect(own.state).toEqual(mixed.state)
  const plain = await learnOn(flat, { ...more, augment: augmentation({ flip: true }) })
  expect(plain.state).not.toEqual(own.state)
})

describe('the same seed', () => {
  test.each([{}, { accumulate: 2 }, { ema: 0.9, stepsPerRun: 3 }])('gives the same file: %j', async more => {
    const [a, b] = [await train(here, more), await train(apart, more)]
    expect(exportOnnx(a.model)).toEqual(exportOnnx(b.model))
    const c = await train(here, { ...more, seed: 5 })
    expect(exportOnnx(c.model)).not.toEqual(exportOnnx(a.model))
  })
})

describe('what the runtime holds', () => {
  const ends = async (work: (runtime: Runtime) => Promise<unknown>, says?: RegExp) => {
    for (const own of [here, apart]) {
      const { runtime, open } = counting(own)
      const done = work(runtime)
      if (says) await expect(done).rejects.toThrow(says)
      else await done
      expect({ ...open }).toEqual({ sessions: 0, held: 0 })
    }
  }

  test('is let go of at the end of a training', () =>
    ends(runtime => train(runtime, { ema: 0.9, data: { train: { x, y }, val: { x, y }, test: { x, y } } })))

  test('is let go of at the end of a training by micro-batches', () =>
    ends(runtime => train(runtime, { accumulate: 2 })))

  test('is let go of when a callback throws', () =>
    ends(
      runtime =>
        train(runtime, {
          onStep: ({ step }) => {
            if (step === 3) throw new Error('enough')
          },
        }),
      /enough/,
    ))

  test('is let go of when micro-batches are on their way', () =>
    ends(
      runtime =>
        train(runtime, {
          accumulate: 2,
          onStep: () => {
            throw new Error('enough')
          },
        }),
      /enough/,
    ))

  test('is let go of when data are bad', () =>
    ends(
      runtime =>
        train(runtime, {
          data: function* () {
            yield rows(0, 3)
            yield rows(3, 6)
            yield {
              ...rows(6, 9),
              y: [
                [1, 2],
                [1, Number.NaN],
                [1, 2],
              ],
            }
          },
        }),
      /data, batch 3: y: value 1 of example 1 is NaN/,
    ))

  test('is let go of when a training diverges', () =>
    ends(runtime => train(runtime, { optimizer: sgd({ lr: 1e30 }) }), /became/))

  test('is let go of by evaluations and predictors', () =>
    ends(async runtime => {
      await evaluateModel(runtime, net, { task: regression(), data: { x, y } })
      for (const predictor of [
        await openPredictor(runtime, net),
        trainingPredictor(runtime, initialized(net)),
      ]) {
        await predictor.run({ x })
        await predictor.close()
      }
    }))
})

test('a checkpoint that does not say its steps is not resumed', async () => {
  const t = new Trainer<SingleStep>(here, net, { task: regression() })
  const { vectors } = await t.state()
  const tensors = Object.fromEntries(
    t.layout.all.slots.map(({ name, shape, size }) => [
      name,
      { dtype: 'float32' as const, shape, data: new Float32Array(size) },
    ]),
  )
  const m = { dtype: 'float32' as const, shape: [vectors.m!.length], data: vectors.m! }
  const all = { ...tensors, 'optimizer.m': m }
  // As releases before format 2 wrote it.
  const old = writeSafetensors(all, { crc32: crc32(writeSafetensors(all, {})).toString(16).padStart(8, '0') })
  expect(() => new Trainer(here, net, { task: regression(), resume: old })).toThrow(
    'resume: the file has no step number',
  )
  const again = new Trainer(here, net, { task: regression(), resume: await t.checkpoint() })
  expect(await again.state()).toEqual(await t.state())
  await again.close()
  await t.close()
})
