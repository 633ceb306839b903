import type { DataSource } from '../data/dataset.ts'
import { UserError } from '../graph/errors.ts'
import type { Model } from '../nn/model.ts'
import type { Runtime } from '../runtime/session.ts'
import { ahead } from './ahead.ts'
import { DivergenceError, diverged, divergedAtLast, isGood } from './divergence.ts'
import { answering } from './ema.ts'
import { evaluate } from './evaluate.ts'
import { Executor, type StepResult } from './executor.ts'
import type { FitOptions, FitResult } from './fit-options.ts'
import { initialize, layoutOf } from './layout.ts'
import { adam } from './optimizer.ts'
import { type Best, type EpochResult, isBetter, judged, type Reached } from './progress.ts'
import { constant } from './schedule.ts'
import { stepsPerRun as defaultStepsPerRun } from './steps-per-run.ts'
import { speed, Tally } from './tally.ts'
import { stepsOf, type Work, workOf } from './work.ts'

/** @throws UserError when a model cannot be trained on the data */
export function checkData(model: Model, data: DataSource): void {
  for (const set of [data.train, ...(data.val ? [data.val] : []), data.test]) {
    if (set.shape.join() !== model.input.shape.join())
      throw new UserError(
        `${set.name} holds examples of ${set.shape.join('×')}, the model takes ${model.input.name} of ${model.input.shape.join('×')}`,
      )
    if (set.classes.length > model.classes)
      throw new UserError(`${set.name} has ${set.classes.length} classes, the model ${model.classes}`)
  }
}

function checkCounts(counts: Readonly<Record<string, number | undefined>>): void {
  for (const [name, value] of Object.entries(counts))
    if (value !== undefined && (!Number.isInteger(value) || value < 1))
      throw new UserError(`${name} must be a whole number of at least 1, not ${value}`)
}

/**
 * Trains a model: seeded shuffling, one graph run for each step, evaluation after each epoch. Where the runtime has a
 * thread of its own, the next batch is made while a step runs.
 * Same seed, data, device and thread count: same parameters.
 * @throws DivergenceError when a loss or gradient is not finite
 */
export async function fit(
  model: Model,
  runtime: Runtime,
  data: DataSource,
  options: FitOptions = {},
): Promise<FitResult> {
  const { epochs = 5, batch = 64, accumulate = 1, optimizer = adam(), schedule = constant() } = options
  const { seed = 0, signal, augment, metric = 'accuracy', patience, resume, saveEvery = 120 } = options
  checkData(model, data)
  // State that stays on a device costs nothing between runs.
  const copies = runtime.parallel && !runtime.device.resident
  const stepsPerRun = options.stepsPerRun ?? (copies ? defaultStepsPerRun(model, batch) : 1)
  const until = options.until ?? epochs
  checkCounts({ epochs, batch, accumulate, stepsPerRun, patience, until })
  if (patience !== undefined && !data.val)
    throw new UserError('patience needs a validation set, for the test set must not decide when to stop')
  const begin = performance.now()
  const seconds = () => (performance.now() - begin) / 1000
  const layout = layoutOf(model.parameters)
  const { normalization } = data
  const settings = { ...options, optimizer, seed, ...(normalization ? { normalization } : {}) }
  const from = resume?.step ?? 0
  const initial = resume?.state ?? { params: initialize(layout, seed) }
  const executor = new Executor(model, runtime, layout, initial, settings, from)
  const { size } = data.train
  const perEpoch = stepsOf(size, { batch, accumulate })
  const steps = epochs * perEpoch
  if (from > until * perEpoch)
    throw new UserError(`${from} steps are done, which is more than ${until} epochs have; give more epochs`)
  const rate = (step: number) => optimizer.lr * schedule.at(step - 1, steps)
  const { allocate } = executor
  const working = { batch, accumulate, stepsPerRun, seed, rate, allocate, ...(augment ? { augment } : {}) }
  const mixed = Boolean(augment?.settings.mixup || augment?.settings.cutmix)

  /** An epoch's work; `signal` leaves out what has not begun. */
  function* plan(epoch: number, done: number) {
    for (const work of workOf(data.train, epoch, done, working)) {
      yield work
      if (signal?.aborted) return
    }
  }
  const doWork = ({ batch: b, first, rates, share }: Work): Promise<StepResult[]> =>
    share
      ? executor.accumulate(b, first, rates[0]!, share).then(result => [result])
      : executor.run(b, first, rates)

  async function prepare(): Promise<void> {
    const whole = Math.floor(size / batch)
    const single = (count: number) =>
      accumulate > 1 ? executor.prepareParts(count, mixed) : executor.prepare(count, 1, mixed)
    if (accumulate === 1 && whole >= stepsPerRun) await executor.prepare(batch, stepsPerRun, mixed)
    if (accumulate > 1 ? whole : whole % stepsPerRun) await single(batch)
    if (size % batch) await single(size % batch)
  }

  const depth = runtime.parallel ? 2 : 1
  const results: EpochResult[] = []
  const tallies: Tally[] = []
  let step = from
  let best: Best | undefined = resume?.best
  let bestParams = resume?.bestParams
  let saved = performance.now()
  const reachedAt = async (at: number, tally?: Tally): Promise<Reached> => ({
    step: at,
    state: await executor.state(at),
    ...(best ? { best } : {}),
    ...(bestParams ? { bestParams } : {}),
    ...(tally ? { tally: tally.sums } : {}),
  })
  const patient = () => patience === undefined || !best || Math.floor(step / perEpoch) - best.epoch < patience

  /** The steps of an epoch. */
  async function learn(epoch: number, tally: Tally): Promise<number> {
    let lr = 0
    const runs = ahead(plan(epoch, step), doWork, depth)
    for await (const [work, stepResults] of runs) {
      const { batch: b, first, rates, share } = work
      for (const [i, result] of stepResults.entries()) {
        lr = rates[i]!
        if (!isGood(result)) {
          const found = { model, runtime, settings, firstNode: options.findNode === true }
          const error = await diverged(executor, { ...found, work, at: i, result, epoch: epoch + 1 })
          const more = { ...(best ? { best } : {}), ...(bestParams ? { bestParams } : {}), tally: tally.sums }
          const known = error.reached && { ...more, ...error.reached }
          throw new DivergenceError(error.message, known)
        }
        const updated = share?.last !== false
        tally.add(b.count, b.label.length / b.steps, result, updated)
        if (!updated) continue
        step = first + i
        const { loss, accuracy } = tally
        const { imagesPerSecond } = speed([tally])
        const { loss: stepLoss, gradNorm } = result
        const means = { loss, accuracy, imagesPerSecond, stepLoss, gradNorm }
        await options.onStep?.({ epoch: epoch + 1, epochs, step, steps, lr, ...means })
      }
      const due = options.onSave && performance.now() - saved > 1000 * saveEvery
      if (!due || share?.last === false || step === (epoch + 1) * perEpoch) continue
      await options.onSave!(await reachedAt(step, tally))
      saved = performance.now()
    }
    return lr
  }

  /** What came of an epoch. */
  async function judge(epoch: number, tally: Tally, lr: number): Promise<void> {
    const { loss, accuracy } = await evaluate(executor, data.val ?? data.test)
    // The loss before the last update was fine; what that update made is seen here, before anything is saved.
    if (!Number.isFinite(loss)) throw divergedAtLast(loss, step, epoch + 1, lr)
    const held = data.val
      ? { valLoss: loss, valAccuracy: accuracy }
      : { testLoss: loss, testAccuracy: accuracy }
    const result: EpochResult = {
      epoch: epoch + 1,
      step,
      lr,
      trainLoss: tally.loss,
      trainAccuracy: tally.accuracy,
      ...held,
      gradNorm: tally.gradNorm,
      ...speed([tally]),
      seconds: seconds(),
    }
    results.push(result)
    const better = !best || isBetter(judged(result), best, metric)
    if (better) {
      best = { epoch: epoch + 1, step, accuracy, loss }
      bestParams = answering(await executor.state())
    }
    await options.onEpoch?.(result, () => reachedAt(step), better)
    saved = performance.now()
  }

  try {
    await prepare()
    const setupSeconds = seconds()
    await options.onReady?.()
    let end: FitResult['end'] = until < epochs ? 'until' : 'done'
    for (let epoch = Math.floor(from / perEpoch); epoch < until; epoch++) {
      if (!patient()) {
        end = 'patience'
        break
      }
      const before = epoch * perEpoch < step ? resume?.tally : undefined
      const tally = new Tally(before)
      tallies.push(tally)
      const lr = await learn(epoch, tally)
      if (step === (epoch + 1) * perEpoch) await judge(epoch, tally, lr)
      if (signal?.aborted && step < steps) {
        end = 'signal'
        // Whoever asked may not wait for what follows: the work is saved first.
        if (step > from && step % perEpoch) await options.onSave?.(await reachedAt(step, tally))
        break
      }
    }
    const state = await executor.state()
    const params = data.val && bestParams ? bestParams : answering(state)
    executor.show(params)
    return {
      layout,
      state,
      params,
      epochs: results,
      epoch: Math.floor(step / perEpoch),
      ...(best ? { best } : {}),
      train: await evaluate(executor, data.train),
      ...(data.val ? { val: await evaluate(executor, data.val) } : {}),
      test: await evaluate(executor, data.test),
      steps: step,
      ...(step % perEpoch ? { tally: tallies.at(-1)!.sums } : {}),
      end,
      stopped: end === 'signal',
      seconds: seconds(),
      setupSeconds,
      ...speed(tallies),
    }
  } finally {
    await executor.close()
  }
}
