import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { vit } from '../../models/vit.ts'
import { augmentation } from '../../src/data/augment.ts'
import { batches } from '../../src/data/batches.ts'
import type { BatchedDataset, DataSource, ImageDataset } from '../../src/data/dataset.ts'
import { rng } from '../../src/graph/random.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { workerRuntime } from '../../src/runtime/worker-node.ts'
import { DivergenceError } from '../../src/train/divergence.ts'
import { evaluate, logSumExpAt } from '../../src/train/evaluate.ts'
import { Executor } from '../../src/train/executor.ts'
import { fit as learn } from '../../src/train/fit.ts'
import type { FitOptions } from '../../src/train/fit-options.ts'
import { initialize, layoutOf } from '../../src/train/layout.ts'
import { adam, sgd } from '../../src/train/optimizer.ts'
import type { EpochResult, Reached } from '../../src/train/progress.ts'
import { constant, cosine } from '../../src/train/schedule.ts'

/** Noise whose brightness tells its class, but for a share of labels that are wrong. */
function images(size: number, seed: number, wrong = 0): ImageDataset {
  const random = rng(seed)
  const labels = Uint8Array.from({ length: size }, (_, i) => i % 4)
  const pixels = Uint8Array.from(
    { length: size * 64 },
    (_, i) => 50 * labels[Math.floor(i / 64)]! + random.int(100),
  )
  const told = labels.map(label => (random.uniform() < wrong ? random.int(4) : label))
  return { name: 'noise', size, shape: [1, 8, 8], classes: [...'abcd'], images: pixels, labels: told }
}
const data: DataSource = { train: images(44, 1), test: images(20, 2), origin: 'noise' }
const judged: DataSource = { ...data, train: images(44, 1, 0.5), val: images(24, 3) }
const config = { image: 8, channels: 1, patch: 4, dim: 16, depth: 1, heads: 2, mlp: 24, classes: 4 }
const model = vit(config)
const dropping = vit({ ...config, dropout: 0.2, dropPath: 0.2 })
const layout = layoutOf(model.parameters)

let cpu: Runtime
let apart: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
  apart = await workerRuntime('cpu')
})
afterAll(() => apart.close())

const settings = {
  batch: 8,
  epochs: 3,
  seed: 5,
  threads: 1,
  schedule: cosine(),
  optimizer: adam({ lr: 3e-3 }),
}
const train = (options: FitOptions = {}, source = data, runtime = cpu, net = model) =>
  learn(net, runtime, source, { ...settings, ...options })

/** Without what the clock says. */
const timeless = ({ seconds, imagesPerSecond, dataWaitShare, ...rest }: EpochResult) => rest

const closest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0)

describe('the average of the parameters', () => {
  it('is that of the parameters after each step, and what the run answers with', async () => {
    const steps: Float32Array[] = []
    const executor = new Executor(
      model,
      cpu,
      layout,
      { params: initialize(layout, 5) },
      { ...settings, ema: 0.9 },
    )
    const expected = Float64Array.from(initialize(layout, 5))
    let step = 0
    for (let epoch = 0; epoch < 3; epoch++)
      for (const b of batches(data.train, { batch: 8, seed: 5, epoch })) {
        step++
        await executor.step(b, step, 3e-3 * cosine().at(step - 1, 18))
        const { params } = await executor.state()
        steps.push(params!)
        const decay = Math.min(0.9, (1 + step) / (10 + step))
        expected.forEach((a, i) => {
          expected[i] = decay * a + (1 - decay) * params![i]!
        })
      }
    const { ema } = await executor.state()
    expect(closest(ema!, expected)).toBeLessThan(1e-5)
    expect(closest(ema!, steps.at(-1)!)).toBeGreaterThan(1e-4)
    await executor.close()

    const run = await train({ ema: 0.9, stepsPerRun: 2 }, data, apart)
    expect(run.params).toEqual(run.state.ema)
    expect(run.state.ema).toEqual(ema)
    const plain = new Executor(model, cpu, layout, { params: run.params }, settings)
    expect(run.test).toEqual(await evaluate(plain, data.test))
    await plain.close()
  })
})

describe('accumulation', () => {
  it('makes of several batches the step that one batch of all their images makes', async () => {
    // 44 images: steps of 16, of which the last has 12, in batches of 8 and one of 4.
    const norms: number[][] = [[], []]
    const keep =
      (of: number) =>
      ({ gradNorm }: { gradNorm: number }) =>
        void norms[of]!.push(gradNorm)
    const options = { optimizer: sgd({ lr: 0.1, momentum: 0.9 }), clipNorm: 1 }
    const whole = await train({ ...options, batch: 16, onStep: keep(0) })
    const parts = await train({ ...options, batch: 8, accumulate: 2, onStep: keep(1) }, data, apart)
    expect(parts.steps).toBe(9)
    expect(closest(parts.params, whole.params)).toBeLessThan(1e-5)
    expect(closest(norms[1]!, norms[0]!)).toBeLessThan(1e-4)
    expect(parts.epochs.map(e => e.trainAccuracy)).toEqual(whole.epochs.map(e => e.trainAccuracy))
    parts.epochs.forEach((e, i) => {
      expect(e.trainLoss).toBeCloseTo(whole.epochs[i]!.trainLoss, 5)
    })
  })

  it('reports the norm of the gradient', async () => {
    const [batch] = batches(data.train, { batch: 8 })
    const lr = 0.5
    const executor = new Executor(
      model,
      cpu,
      layout,
      { params: initialize(layout, 1) },
      { seed: 0, optimizer: sgd({ lr }) },
    )
    const { gradNorm } = await executor.step(batch!, 1, lr)
    const { params } = await executor.state()
    await executor.close()
    const before = initialize(layout, 1)
    expect(gradNorm).toBeCloseTo(Math.hypot(...params!.map((p, i) => (before[i]! - p) / lr)), 4)
  })
})

describe('mixed images', () => {
  it('have the loss of both labels, each by its share', async () => {
    const augment = augmentation({ mixup: 1 })
    const [batch] = batches(data.train, { batch: 8, augment })
    const executor = new Executor(model, cpu, layout, { params: initialize(layout, 1) }, settings)
    const logits = await executor.predict(batch!)
    const { loss } = await executor.step(batch!, 1, 1e-3)
    await executor.close()
    const { label, mixed } = batch!
    const of = (i: number, c: number) => logSumExpAt(logits, 4 * i, 4) - logits[4 * i + c]!
    const each = Array.from(label, (c, i) => {
      const share = mixed!.share[i]!
      return share * of(i, c) + (1 - share) * of(i, mixed!.label[i]!)
    })
    expect(loss).toBeCloseTo(each.reduce((a, b) => a + b) / 8, 5)
  })

  it('are the same in several steps of one run', async () => {
    const augment = augmentation({ rotate: 10, mixup: 1, cutmix: 1 })
    const one = await train({ augment, stepsPerRun: 1 })
    const several = await train({ augment, stepsPerRun: 3 }, data, apart)
    expect(several.state).toEqual(one.state)
    expect((await train()).state).not.toEqual(one.state)
  })
})

describe('a validation set', () => {
  it('judges the epochs, and the best one is the result, which the test set sees once', async () => {
    const states: Reached[] = []
    let evaluations = 0
    const test: BatchedDataset = {
      ...data.test,
      batches(options) {
        evaluations++
        return batches(data.test, options)
      },
    }
    const run = await train(
      {
        epochs: 40,
        patience: 3,
        optimizer: adam({ lr: 0.01 }),
        schedule: constant(),
        metric: 'loss',
        onEpoch: async (_, reached) => void states.push(await reached()),
      },
      { ...judged, test },
    )
    expect(evaluations).toBe(1)
    const losses = run.epochs.map(e => e.valLoss!)
    const best = losses.indexOf(Math.min(...losses)) + 1
    expect(run.best!.epoch).toBe(best)
    expect(run.epochs.every(e => e.testAccuracy === undefined)).toBe(true)
    expect(run.params).toEqual(states[best - 1]!.state.params)
    expect([run.end, run.epoch]).toEqual(['patience', best + 3])
    expect(run.val!.loss).toBeCloseTo(run.best!.loss, 9)
  })

  it('is what patience needs', async () => {
    await expect(train({ patience: 2 })).rejects.toThrow('patience needs a validation set')
  })
})

describe('a run that goes on', () => {
  const options = { ema: 0.9, augment: augmentation({ rotate: 20, mixup: 0.5 }) }

  it('ends as if it had never stopped, also from within an epoch', async () => {
    const whole = await train({ ...options, stepsPerRun: 2 }, judged, apart, dropping)
    const saved: Reached[] = []
    const epochs: EpochResult[] = []
    const stop = new AbortController()
    const first = await train(
      {
        ...options,
        stepsPerRun: 2,
        saveEvery: 0,
        signal: stop.signal,
        onEpoch: e => void epochs.push(e),
        onSave(reached) {
          saved.push(reached)
          if (reached.step >= 9) stop.abort()
        },
      },
      judged,
      apart,
      dropping,
    )
    expect(first).toMatchObject({ end: 'signal', stopped: true, epoch: 1 })
    const reached = saved.at(-1)!
    expect(reached.step % 6).not.toBe(0)
    const rest = await train({ ...options, stepsPerRun: 3, resume: reached }, judged, cpu, dropping)
    expect(rest.state).toEqual(whole.state)
    expect(rest.params).toEqual(whole.params)
    expect([...epochs, ...rest.epochs].map(timeless)).toEqual(whole.epochs.map(timeless))
  })

  it('may have ended at a rung, for which its schedule was not made', async () => {
    const whole = await train()
    let reached: Reached | undefined
    const rung = await train({
      until: 1,
      async onEpoch(_, now) {
        reached = await now()
      },
    })
    expect(rung).toMatchObject({ end: 'until', steps: 6, stopped: false })
    expect((await train({ resume: reached! })).state).toEqual(whole.state)
  })
})

describe('a step that goes wrong', () => {
  /** Its image number 30 has a pixel that is no number, as a user's own data may. */
  const broken: BatchedDataset = {
    ...data.train,
    *batches(options) {
      let at = 0
      for (const b of batches(data.train, { ...options, shuffle: false })) {
        const input = Float32Array.from(b.input)
        if (at <= 30 && 30 < at + b.count) input[(30 - at) * 64 + 7] = Number.NaN
        yield { ...b, input }
        at += b.count
      }
    },
  }
  const fail = (runtime: Runtime, stepsPerRun: number, source: DataSource, options: FitOptions = {}) =>
    train({ stepsPerRun, ...options }, source, runtime).then(
      () => Promise.reject(new Error('it went well')),
      (error: unknown) => error as DivergenceError,
    )

  it('stops there, with the state before it, and names what is bad', async () => {
    const source = { ...data, train: broken }
    const one = await fail(cpu, 1, source)
    expect(one).toBeInstanceOf(DivergenceError)
    expect(one.message).toMatch(/^the loss became NaN at step 4 \(epoch 1\); .*image/)
    expect(one.reached!.step).toBe(3)
    // What three steps of good images come to.
    const unshuffled = {
      ...data.train,
      batches: (o: object) => batches(data.train, { batch: 8, ...o, shuffle: false }),
    }
    let third: Reached | undefined
    await train(
      {
        saveEvery: 0,
        stepsPerRun: 1,
        onSave(now) {
          if (now.step === 3) third ??= now
        },
      },
      { ...data, train: unshuffled },
    )
    expect(one.reached!.state).toEqual(third!.state)
    const several = await fail(apart, 5, source)
    expect(several.reached!.step).toBe(3)
    expect(several.reached!.state).toEqual(one.reached!.state)
    expect(several.message).toBe(one.message)
  })

  it('is seen when a gradient overflows while the loss is fine', async () => {
    const error = await fail(apart, 2, data, { optimizer: sgd({ lr: 1e30 }) })
    expect(error).toBeInstanceOf(DivergenceError)
    expect(error.reached!.state.params!.every(Number.isFinite)).toBe(true)
  })
})
