import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { vit } from '../../models/vit.ts'
import { augmentation } from '../../src/data/augment.ts'
import { batches } from '../../src/data/batches.ts'
import type { BatchedDataset, DataSource, ImageDataset } from '../../src/data/dataset.ts'
import { UserError } from '../../src/graph/errors.ts'
import { rng } from '../../src/graph/random.ts'
import { initialize, layoutOf } from '../../src/nn/layout.ts'
import { add, log, mul } from '../../src/ops/elementwise.ts'
import { adam, sgd } from '../../src/optim/optimizer.ts'
import { constantRate, cosine } from '../../src/optim/schedule.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { workerRuntime } from '../../src/runtime/worker-node.ts'
import { average, classification, crossEntropy, task } from '../../src/tasks/index.ts'
import { DivergenceError } from '../../src/train/divergence.ts'
import { evaluateModel } from '../../src/train/evaluate.ts'
import { fit as learn } from '../../src/train/fit.ts'
import type { FitOptions } from '../../src/train/fit-options.ts'
import type { EpochResult, RunState } from '../../src/train/progress.ts'
import { logSumExpAt } from '../../src/train/scores.ts'
import { Trainer } from '../../src/train/trainer.ts'
import type { SingleStep } from '../../src/train/trainer-options.ts'

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
const data = { train: images(44, 1), test: images(20, 2), origin: 'noise' }
const judged = { ...data, train: images(44, 1, 0.5), val: images(24, 3) }
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
const train = (
  options: Partial<FitOptions> = {},
  source: DataSource = data,
  runtime = cpu,
  net: typeof model = model,
) => learn(runtime, net, { task: classification(), data: source, ...settings, ...options })
/** Steps by hand. */
const trainer = (options: Partial<FitOptions> = {}) =>
  new Trainer<SingleStep<'accuracy'>>(cpu, model, {
    task: classification(),
    optimizer: settings.optimizer,
    seed: 5,
    threads: 1,
    ...options,
    resume: undefined,
  })

/** Without what the clock says. */
const timeless = ({
  seconds,
  stepSeconds,
  epochSeconds,
  examplesPerSecond,
  dataWaitShare,
  ...rest
}: EpochResult) => rest

const closest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0)

describe('the average of the parameters', () => {
  it('is that of the parameters after each step, and what the run answers with', async () => {
    const steps: Float32Array[] = []
    const own = trainer({ ema: 0.9 })
    const expected = Float64Array.from(initialize(layout, 5))
    let step = 0
    for (let epoch = 0; epoch < 3; epoch++)
      for (const b of batches(data.train, { batch: 8, seed: 5, epoch })) {
        step++
        own.lr = 3e-3 * cosine().at(step - 1, 18)
        await own.step(b)
        const { params } = (await own.state()).vectors
        steps.push(params!)
        const decay = Math.min(0.9, (1 + step) / (10 + step))
        expected.forEach((a, i) => {
          expected[i] = decay * a + (1 - decay) * params![i]!
        })
      }
    const { ema } = (await own.state()).vectors
    expect(closest(ema!, expected)).toBeLessThan(1e-5)
    expect(closest(ema!, steps.at(-1)!)).toBeGreaterThan(1e-4)
    await own.close()

    const run = await train({ ema: 0.9, stepsPerRun: 2 }, data, apart)
    expect(run.model.params).toEqual(run.state.vectors.ema)
    expect(run.state.vectors.ema).toEqual(ema)
    const options = { task: classification(), data: data.test, threads: 1 }
    const { count, ...measured } = await evaluateModel(cpu, run.model, options)
    expect(count).toBe(data.test.size)
    expect(run.test).toEqual(measured)
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
    expect(closest(parts.model.params, whole.model.params)).toBeLessThan(1e-5)
    expect(closest(norms[1]!, norms[0]!)).toBeLessThan(1e-4)
    expect(parts.epochs.map(e => e.train.accuracy)).toEqual(whole.epochs.map(e => e.train.accuracy))
    parts.epochs.forEach((e, i) => {
      expect(e.train.loss).toBeCloseTo(whole.epochs[i]!.train.loss, 5)
    })
  })

  it('reports the norm of the gradient', async () => {
    const [batch] = batches(data.train, { batch: 8 })
    const lr = 0.5
    const own = trainer({ optimizer: sgd({ lr }), seed: 1 })
    const { gradNorm } = await own.step(batch!)
    const { params } = (await own.state()).vectors
    await own.close()
    const before = initialize(layout, 1)
    expect(gradNorm).toBeCloseTo(Math.hypot(...params!.map((p, i) => (before[i]! - p) / lr)), 4)
  })
})

describe('mixed images', () => {
  it('have the loss of both labels, each by its share', async () => {
    const augment = augmentation({ mixup: 1 })
    const [batch] = batches(data.train, { batch: 8, augment })
    const own = trainer({ task: classification({ targets: 'mixed' }), seed: 1 })
    const { image } = batch!
    const logits = (await own.predict({ image: image! })).logits!.data as Float32Array
    const { loss } = await own.step(batch!)
    await own.close()
    const [label, other, shares] = ['label', 'mixedLabel', 'mixedShare'].map(
      name => batch![name]!.data as Float32Array,
    )
    const of = (i: number, c: number) => logSumExpAt(logits, 4 * i, 4) - logits[4 * i + c]!
    const each = Array.from(label!, (c, i) => {
      const share = shares![i]!
      return share * of(i, c) + (1 - share) * of(i, other![i]!)
    })
    expect(loss).toBeCloseTo(each.reduce((a, b) => a + b) / 8, 5)
  })

  it('are the same in several steps of one run', async () => {
    const augment = augmentation({ rotate: 10, mixup: 1, cutmix: 1 })
    const mixed = classification({ targets: 'mixed' })
    const one = await train({ task: mixed, augment, stepsPerRun: 1 })
    const several = await train({ task: mixed, augment, stepsPerRun: 3 }, data, apart)
    expect(several.state).toEqual(one.state)
    expect((await train()).state).not.toEqual(one.state)
  })
})

describe('a validation set', () => {
  it('judges the epochs, and the best one is the result, which the test set sees once', async () => {
    const states: RunState[] = []
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
        schedule: constantRate(),
        monitor: 'loss',
        onEpoch: async (_, running) => void states.push(await running.state()),
      },
      { ...judged, test },
    )
    expect(evaluations).toBe(1)
    const losses = run.epochs.map(e => e.val!.loss)
    const best = losses.indexOf(Math.min(...losses)) + 1
    expect(run.best!.epoch).toBe(best)
    expect(run.epochs.every(e => e.test === undefined)).toBe(true)
    expect(run.model.params).toEqual(states[best - 1]!.vectors.params)
    expect([run.end, run.epoch]).toEqual(['patience', best + 3])
    expect(run.val!.loss).toBeCloseTo(run.best!.measured.loss, 9)
  })

  it('is what patience needs', async () => {
    await expect(train({ patience: 2 })).rejects.toThrow('patience needs a validation set')
  })
})

describe('a run that goes on', () => {
  const options = {
    task: classification({ targets: 'mixed' }),
    ema: 0.9,
    augment: augmentation({ rotate: 20, mixup: 0.5 }),
  }

  it('ends as if it had never stopped, also from within an epoch', async () => {
    const whole = await train({ ...options, stepsPerRun: 2 }, judged, apart, dropping)
    const saved: RunState[] = []
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
    expect(rest.model.params).toEqual(whole.model.params)
    expect([...epochs, ...rest.epochs].map(timeless)).toEqual(whole.epochs.map(timeless))
  })

  it('may have ended at a rung, for which its schedule was not made', async () => {
    const whole = await train()
    let reached: RunState | undefined
    const rung = await train({
      until: 1,
      async onEpoch(_, running) {
        reached = await running.state()
      },
    })
    expect(rung).toMatchObject({ end: 'until', steps: 6, stopped: false })
    expect((await train({ resume: reached! })).state).toEqual(whole.state)
  })
})

describe('a step that goes wrong', () => {
  const inOrder = { ...data.train, batches: (o: { batch: number }) => unshuffled(o) }
  const unshuffled = (options: { batch: number }) => batches(data.train, { ...options, shuffle: false })

  it('for a value of a batch that is not a number is refused before it, by batch, example and value', async () => {
    const broken: BatchedDataset = {
      ...data.train,
      *batches(options) {
        let at = 0
        for (const { image, label } of unshuffled(options)) {
          const pixels = Float32Array.from(image!.data as Float32Array)
          const count = image!.dims[0]!
          if (at <= 30 && 30 < at + count) pixels[(30 - at) * 64 + 7] = Number.NaN
          yield { image: { ...image!, data: pixels }, label: label! }
          at += count
        }
      },
    }
    const steps: number[] = []
    const refused = train({ onStep: ({ step }) => void steps.push(step) }, { ...data, train: broken })
    await expect(refused).rejects.toThrow(
      new UserError('noise, batch 4: image: value 7 of example 6 is NaN; it must be a finite number'),
    )
    expect(steps).toEqual([1, 2, 3])
  })

  /** Its fourth batch has an example whose weight has no logarithm. */
  const weighted: BatchedDataset = {
    ...data.train,
    *batches(options) {
      let at = 0
      for (const { image, label } of unshuffled(options)) {
        const weight = new Float32Array(image!.dims[0]!).map(() => (at++ === 30 ? 0 : 1))
        yield { image: image!, label: label!, weight }
      }
    },
  }
  const byWeight = (net: typeof model) =>
    task(net, {
      targets: { label: { shape: [], dtype: 'int32' }, weight: { shape: [] } },
      loss: ({ out, target }) =>
        add(crossEntropy(out.logits, target.label), average(mul(log(target.weight), 0))),
      evaluation: classification(),
    })
  const fail = (
    runtime: Runtime,
    stepsPerRun: number,
    source: DataSource,
    options: Partial<FitOptions> = {},
  ) =>
    train({ stepsPerRun, ...options }, source, runtime).then(
      () => Promise.reject(new Error('it went well')),
      (error: unknown) => error as DivergenceError,
    )

  it('stops there, with the state before it, and names what is bad', async () => {
    const source = { ...data, train: weighted }
    const options = { task: byWeight(model) }
    const one = await fail(cpu, 1, source, options)
    expect(one).toBeInstanceOf(DivergenceError)
    expect(one.message).toMatch(/^the loss became NaN at step 4 \(epoch 1\); .* loss is NaN/)
    expect(one.state!.step).toBe(3)
    // What three steps of good images come to.
    let third: RunState | undefined
    await train(
      {
        saveEvery: 0,
        stepsPerRun: 1,
        onSave(now) {
          if (now.step === 3) third ??= now
        },
      },
      { ...data, train: inOrder },
    )
    expect(one.state!.vectors).toEqual(third!.vectors)
    const several = await fail(apart, 5, source, options)
    expect(several.state!.step).toBe(3)
    expect(several.state!.vectors).toEqual(one.state!.vectors)
    expect(several.message).toBe(one.message)
  })

  it('is seen when a gradient overflows while the loss is fine', async () => {
    const error = await fail(apart, 2, data, { optimizer: sgd({ lr: 1e30 }) })
    expect(error).toBeInstanceOf(DivergenceError)
    expect(error.state!.vectors.params!.every(Number.isFinite)).toBe(true)
  })
})
