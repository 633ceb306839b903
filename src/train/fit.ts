import { alternating, batches } from '../data/batches.ts'
import type { DataSource } from '../data/dataset.ts'
import { UserError } from '../graph/errors.ts'
import type { Model } from '../nn/model.ts'
import type { Runtime } from '../runtime/session.ts'
import { ahead } from './ahead.ts'
import { type Evaluation, evaluate } from './evaluate.ts'
import { Executor, type State, type StepResult } from './executor.ts'
import { initialize, type Layout, layoutOf } from './layout.ts'
import { adam, type Optimizer } from './optimizer.ts'
import { constant, type Schedule } from './schedule.ts'
import { stepsPerRun as defaultStepsPerRun } from './steps-per-run.ts'

export interface FitOptions {
  /** @default 5 */
  readonly epochs?: number
  /** Images of one step. @default 64 */
  readonly batch?: number
  /** @default adam({ lr: 1e-3 }) */
  readonly optimizer?: Optimizer
  /** @default constant() */
  readonly schedule?: Schedule
  /** @default 0 */
  readonly labelSmoothing?: number
  /** Largest global norm of the gradient; left out, gradients are not clipped. */
  readonly clipNorm?: number
  /** Compute cheap activations again in the backward pass where that saves memory; results are the same. @default false */
  readonly recompute?: boolean
  /** Decides the initial parameters, the order of the images and every dropout mask. @default 0 */
  readonly seed?: number
  /** Threads of one op; left out, the runtime takes the physical cores. */
  readonly threads?: number
  /**
   * Steps of one run of the graph; results are the same. The state goes on from step to step inside, and is copied back
   * after the last. Batches that are left over at the end of an epoch run singly.
   * @default a second's or two's work, at most 8; 1 where runs block the thread that asks, or state stays on a device
   */
  readonly stepsPerRun?: number
  /** Goes on from here instead of the beginning; with the same other settings, to the same end. */
  readonly resume?: Reached
  /** Stops after the run of steps that has begun. */
  readonly signal?: AbortSignal
  /** Called once the step is compiled: every setting is known to be good, and nothing has been trained. */
  readonly onReady?: () => void | Promise<void>
  /** Called after each step; training waits for what it returns, but for the one run that has begun. */
  readonly onStep?: (progress: Progress) => void | Promise<void>
  /** Called after each epoch's evaluation; `state` reads the parameters and moments. */
  readonly onEpoch?: (epoch: EpochResult, state: () => Promise<State>) => void | Promise<void>
}

/** What a run has come to. */
export interface Reached {
  /** Steps done. */
  readonly step: number
  readonly state: State
}

/** Where a run stands after a step. */
export interface Progress {
  /** From 1. */
  readonly epoch: number
  readonly epochs: number
  /** Steps done, of the whole run. */
  readonly step: number
  readonly steps: number
  readonly lr: number
  /** Means over the epoch so far. */
  readonly loss: number
  readonly accuracy: number
  readonly imagesPerSecond: number
}

export interface EpochResult {
  readonly epoch: number
  readonly step: number
  readonly lr: number
  /** Means over the epoch's steps, while the parameters were changing. */
  readonly trainLoss: number
  readonly trainAccuracy: number
  readonly testLoss: number
  readonly testAccuracy: number
  /** Of the training steps, without evaluation. */
  readonly imagesPerSecond: number
  /** Share of their time in which the runtime stood still, because the next batch was not there. */
  readonly dataWaitShare: number
  /** Since the start of the run. */
  readonly seconds: number
}

export interface FitResult {
  readonly layout: Layout
  readonly state: State
  readonly epochs: readonly EpochResult[]
  /** Under the final parameters, over the whole of each set. */
  readonly train: Evaluation
  readonly test: Evaluation
  readonly steps: number
  /** Whether `signal` ended the run before its last step. */
  readonly stopped: boolean
  readonly seconds: number
  /** Time to compile the step and load it. */
  readonly setupSeconds: number
  readonly imagesPerSecond: number
  /** As of an epoch, over all of them. */
  readonly dataWaitShare: number
}

/** A loss or gradient that is no number. The parameters of that step are lost; the last checkpoint is not. */
export class DivergenceError extends UserError {
  override readonly name = 'DivergenceError'
}

function diverged(loss: number, step: number, epoch: number, lr: number): never {
  throw new DivergenceError(
    `the loss became ${loss} at step ${step} (epoch ${epoch + 1}); lower the learning rate (${lr.toPrecision(3)} there) or clip the gradient`,
  )
}

/** @throws UserError when a model cannot be trained on the data */
export function checkData(model: Model, data: DataSource): void {
  for (const set of [data.train, data.test]) {
    if (set.shape.join() !== model.input.shape.join())
      throw new UserError(
        `${set.name} holds examples of ${set.shape.join('×')}, the model takes ${model.input.name} of ${model.input.shape.join('×')}`,
      )
    if (set.classes.length > model.classes)
      throw new UserError(`${set.name} has ${set.classes.length} classes, the model ${model.classes}`)
  }
}

/** Sums over the steps of an epoch, from when it is made. */
class Tally {
  images = 0
  ms = 0
  /** Milliseconds in which no step could run. */
  waited = 0
  readonly #begin = performance.now()
  #labels = 0
  #loss = 0
  #correct = 0

  add(count: number, labels: number, { loss, correct, idle }: StepResult): void {
    // What came before the first step was no wait for its batch.
    if (this.images) this.waited += idle
    this.images += count
    this.#labels += labels
    this.#loss += loss * count
    this.#correct += correct
    this.ms = performance.now() - this.#begin
  }

  get loss(): number {
    return this.#loss / this.images
  }

  get accuracy(): number {
    return this.#correct / this.#labels
  }
}

const speed = (tallies: readonly Tally[]) => {
  const sum = (of: (t: Tally) => number): number => tallies.reduce((n, t) => n + of(t), 0)
  const ms = sum(t => t.ms)
  return { imagesPerSecond: (1000 * sum(t => t.images)) / ms, dataWaitShare: sum(t => t.waited) / ms }
}

/**
 * Trains a model: seeded shuffling, one graph run for each step, evaluation on the test set after each epoch. Where the
 * runtime has a thread of its own, the next batch is made while a step runs.
 * Same seed, data, device and thread count: same parameters.
 * @throws DivergenceError when a loss is not finite
 */
export async function fit(
  model: Model,
  runtime: Runtime,
  data: DataSource,
  options: FitOptions = {},
): Promise<FitResult> {
  const { epochs = 5, batch = 64, optimizer = adam(), schedule = constant(), seed = 0, signal } = options
  checkData(model, data)
  // State that stays on a device costs nothing between runs.
  const copies = runtime.parallel && !runtime.device.resident
  const stepsPerRun = options.stepsPerRun ?? (copies ? defaultStepsPerRun(model, batch) : 1)
  for (const [name, value] of Object.entries({ epochs, stepsPerRun }))
    if (!Number.isInteger(value) || value < 1)
      throw new UserError(`${name} must be a whole number of at least 1, not ${value}`)
  const begin = performance.now()
  const seconds = () => (performance.now() - begin) / 1000
  const layout = layoutOf(model.parameters)
  const executor = new Executor(
    model,
    runtime,
    layout,
    options.resume?.state ?? { params: initialize(layout, seed) },
    {
      ...options,
      optimizer,
      seed,
      ...(data.normalization ? { normalization: data.normalization } : {}),
    },
  )
  const { size } = data.train
  const perEpoch = Math.ceil(size / batch)
  const steps = epochs * perEpoch
  const from = options.resume?.step ?? 0
  if (!(from >= 0 && from < steps))
    throw new UserError(`all ${steps} steps of ${epochs} epochs are done; to go on, give more epochs`)

  /** The runs of an epoch; `signal` leaves out those that have not begun. */
  function* plan(epoch: number, done: number) {
    const skip = done - epoch * perEpoch
    const source = batches(data.train, { batch, seed, epoch, skip })
    for (const b of alternating(source, executor.allocate, stepsPerRun)) {
      const rates = Array.from({ length: b.steps }, (_, i) => optimizer.lr * schedule.at(done + i, steps))
      yield { b, first: done + 1, rates }
      if (signal?.aborted) return
      done += b.steps
    }
  }

  const depth = runtime.parallel ? 2 : 1
  const results: EpochResult[] = []
  const tallies: Tally[] = []
  let step = from
  let test: Evaluation | undefined
  try {
    const whole = Math.floor(size / batch)
    if (whole >= stepsPerRun) await executor.prepare(batch, stepsPerRun)
    if (whole % stepsPerRun) await executor.prepare(batch)
    if (size % batch) await executor.prepare(size % batch)
    const setupSeconds = seconds()
    await options.onReady?.()
    for (let epoch = Math.floor(from / perEpoch); epoch < epochs; epoch++) {
      const tally = new Tally()
      tallies.push(tally)
      let lr = 0
      const runs = ahead(plan(epoch, step), r => executor.run(r.b, r.first, r.rates), depth)
      for await (const [{ b, first, rates }, stepResults] of runs)
        for (const [i, result] of stepResults.entries()) {
          step = first + i
          lr = rates[i]!
          if (!Number.isFinite(result.loss)) diverged(result.loss, step, epoch, lr)
          tally.add(b.count, b.label.length / b.steps, result)
          const { loss, accuracy } = tally
          const { imagesPerSecond } = speed([tally])
          await options.onStep?.({
            epoch: epoch + 1,
            epochs,
            step,
            steps,
            lr,
            loss,
            accuracy,
            imagesPerSecond,
          })
        }
      test = await evaluate(executor, data.test)
      // The loss before the last update was fine; what that update made is seen here, before anything is saved.
      if (!Number.isFinite(test.loss)) diverged(test.loss, step, epoch, lr)
      const result: EpochResult = {
        epoch: epoch + 1,
        step,
        lr,
        trainLoss: tally.loss,
        trainAccuracy: tally.accuracy,
        testLoss: test.loss,
        testAccuracy: test.accuracy,
        ...speed([tally]),
        seconds: seconds(),
      }
      results.push(result)
      await options.onEpoch?.(result, () => executor.state())
      if (signal?.aborted) break
    }
    return {
      layout,
      state: await executor.state(),
      epochs: results,
      train: await evaluate(executor, data.train),
      test: test!,
      steps: step,
      stopped: step < steps,
      seconds: seconds(),
      setupSeconds,
      ...speed(tallies),
    }
  } finally {
    await executor.close()
  }
}
