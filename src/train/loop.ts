import type { DataSource, Dataset } from '../data/dataset.ts'
import { UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import { layoutOf } from '../nn/layout.ts'
import type { Model } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import type { Schedule } from '../optim/schedule.ts'
import type { Runtime } from '../runtime/session.ts'
import { diverged } from './diagnose/diverged.ts'
import { divergedAtLast, isSound } from './divergence.ts'
import { EpochCounter, type EpochSums, speed } from './epoch.ts'
import { portsOf } from './examples.ts'
import type { FitOptions, FitResult, RunningFit } from './fit-options.ts'
import type { Measured } from './measured.ts'
import { prefetch } from './prefetch.ts'
import { type Best, type EpochResult, isBetter, judged, type Monitor, type RunState } from './progress.ts'
import type { StepAnswer } from './step/answer.ts'
import type { State } from './step/held.ts'
import { ONLY } from './step/state.ts'
import { statisticOf } from './step/statistics.ts'
import type { Trainer } from './trainer.ts'
import { type Work, workOf } from './work.ts'

/** The options of a training with all that was decided. */
export interface LoopOptions extends FitOptions {
  readonly epochs: number
  readonly batch: number
  readonly accumulate: number
  readonly seed: number
  readonly until: number
  readonly stepsPerRun: number
  readonly schedule: Schedule
  readonly optimizer: Optimizer
  readonly perEpoch: number | undefined
  readonly mode?: FitOptions['mode']
  /** The model that results are of: the trainer may train a part of it. */
  readonly model: Model
  /** When the training began, in milliseconds. */
  readonly began: number
}

type Settings = Omit<LoopOptions, 'monitor'> & { readonly monitor: Monitor }

/** The loop over epochs and steps, from its beginning or where it is resumed. */
export class Loop {
  readonly #runtime: Runtime
  readonly #trainer: Trainer
  readonly #data: DataSource
  readonly #o: Settings
  readonly #results: EpochResult[] = []
  readonly #counters: EpochCounter[] = []
  /** Steps done that callbacks were told of; others may have been asked for. */
  #step: number
  /** The step at which the present epoch began, and the epochs before it. */
  #epochStart: number
  #epochs: number
  #best: Best | undefined
  #bestParams: Float32Array | undefined
  #saved = performance.now()

  constructor(runtime: Runtime, trainer: Trainer, data: DataSource, options: Settings) {
    this.#runtime = runtime
    this.#trainer = trainer
    this.#data = data
    this.#o = options
    this.#step = options.resume?.step ?? 0
    const { perEpoch } = options
    this.#epochs = perEpoch ? Math.floor(this.#step / perEpoch) : 0
    this.#epochStart = perEpoch ? this.#epochs * perEpoch : this.#step
    this.#best = options.resume?.best
    this.#bestParams = options.resume?.bestParams
  }

  get #seconds(): number {
    return (performance.now() - this.#o.began) / 1000
  }

  /** Steps of the whole run. */
  get #steps(): number | undefined {
    const { perEpoch, epochs } = this.#o
    return perEpoch && perEpoch * epochs
  }

  readonly #rate = (step: number): number =>
    this.#o.optimizer.lr * this.#o.schedule.at(step - 1, this.#steps ?? Number.POSITIVE_INFINITY)

  async run(): Promise<FitResult> {
    const { until, epochs, resume, signal } = this.#o
    await this.#prepare()
    const setupSeconds = this.#seconds
    await this.#o.onReady?.()
    let end: FitResult['end'] = until < epochs ? 'until' : 'done'
    for (let epoch = this.#epochs; epoch < until; epoch++) {
      if (!this.#patient(epoch)) {
        end = 'patience'
        break
      }
      const before = this.#epochStart < this.#step ? resume?.sums : undefined
      const counter = new EpochCounter(this.#trainer.sums(ONLY, before), before)
      this.#counters.push(counter)
      const { lr, whole } = await this.#learn(epoch, counter)
      if (whole) {
        await this.#judge(epoch, counter, lr)
        this.#epochStart = this.#step
        this.#epochs = epoch + 1
      }
      if (signal?.aborted && (!whole || epoch + 1 < until)) {
        end = 'signal'
        // Whoever asked may not wait for what follows: the work is saved first.
        if (!whole) await this.#o.onSave?.(await this.#stateNow(counter.sums))
        break
      }
    }
    return this.#finish(end, setupSeconds)
  }

  #patient(epoch: number): boolean {
    const { patience } = this.#o
    return patience === undefined || !this.#best || epoch - this.#best.epoch < patience
  }

  /** Compiles the programs of the sizes that will come, so that the first step need not wait. */
  async #prepare(): Promise<void> {
    const { batch, accumulate, stepsPerRun } = this.#o
    const { size } = this.#data.train
    const { executor } = this.#trainer
    const symbols = Object.values(portsOf(executor.plan(ONLY).task)).flatMap(({ shape }) =>
      shape.filter(d => typeof d === 'string'),
    )
    if (size === undefined || symbols.some(s => s !== 'batch')) return
    const single = (count: number) =>
      accumulate > 1
        ? executor.prepareParts(ONLY, { batch: count })
        : executor.prepare(ONLY, { batch: count })
    const whole = Math.floor(size / batch)
    if (accumulate === 1 && whole >= stepsPerRun) await executor.prepare(ONLY, { batch }, stepsPerRun)
    if (accumulate > 1 ? whole : whole % stepsPerRun) await single(batch)
    if (size % batch) await single(size % batch)
  }

  #work(work: Work): Promise<StepAnswer[]> {
    return 'micro' in work
      ? this.#trainer.accumulate(ONLY, work.micro, nth(work.rates, 0)).then(answer => [answer])
      : this.#trainer.run(ONLY, work.examples, work.rates)
  }

  /** The steps of an epoch. @returns the last learning rate, and whether the epoch came to its end */
  async #learn(epoch: number, counter: EpochCounter): Promise<{ lr: number; whole: boolean }> {
    const { signal, perEpoch, onSave, saveEvery = 120 } = this.#o
    const within = this.#step - this.#epochStart
    let stopped = false
    const { allocate, parallel } = this.#runtime
    const ports = portsOf(this.#trainer.executor.plan(ONLY).task)
    const options = { ...this.#o, rate: this.#rate, allocate, ports }
    const { train } = this.#data
    const from = this.#step
    async function* plan() {
      for await (const work of workOf(train, epoch, from, within, options)) {
        yield work
        if (!signal?.aborted) continue
        stopped = true
        return
      }
    }
    let lr = 0
    for await (const [work, answers] of prefetch(plan(), w => this.#work(w), parallel ? 2 : 1)) {
      const sizes = 'micro' in work ? work.micro.map(e => e.sizes) : [work.examples.sizes]
      const examples = sizes.reduce((n, s) => n + Number(s.batch ?? 1), 0)
      for (const [i, answer] of answers.entries()) {
        lr = nth(work.rates, i)
        if (!isSound(answer)) throw await this.#diverged(work, i, answer, epoch, counter)
        counter.add(examples, answer)
        this.#step = work.first + i
        await this.#tell(epoch, counter, answer, lr)
      }
      const last = perEpoch !== undefined && this.#step === this.#epochStart + perEpoch
      if (!onSave || last || performance.now() - this.#saved <= 1000 * saveEvery) continue
      await onSave(await this.#stateNow(counter.sums))
      this.#saved = performance.now()
    }
    const whole = perEpoch === undefined ? !stopped : this.#step === this.#epochStart + perEpoch
    if (!whole && !stopped)
      throw new UserError(
        `${train.name}: gave batches for ${this.#step - this.#epochStart} of the ${perEpoch} steps of an epoch`,
      )
    return { lr, whole }
  }

  async #tell(epoch: number, counter: EpochCounter, answer: StepAnswer, lr: number): Promise<void> {
    const { onStep, epochs } = this.#o
    if (!onStep) return
    const { gradNorm, ...last } = await this.#trainer.resultOf(ONLY, answer)
    const averages = counter.statistics.averages()
    const measures = this.#trainer.measures(ONLY)
    const mean = Object.fromEntries(
      Object.entries(measures.objectives).map(([name, objective]) => {
        const at = statisticOf(measures, objective)
        // A function of averages is computed at the end of the epoch.
        return [name, at === undefined ? last[name] : (averages[at] ?? Number.NaN)]
      }),
    ) as Measured
    const { examplesPerSecond } = speed([counter])
    const progress = { epoch: epoch + 1, epochs, step: this.#step, steps: this.#steps, lr }
    await onStep({ ...progress, mean, last, gradNorm, examplesPerSecond }, this.#running(counter))
  }

  #running(counter?: EpochCounter): RunningFit {
    // What is of this step is taken now; whoever asks may do so later.
    const [step, sums] = [this.#step, counter?.sums]
    return {
      state: () => this.#stateNow(sums, step),
      trained: async () => this.#modelOf(await this.#vectorsAt(step, this.#trainer.answers)),
    }
  }

  /** @throws UserError where several steps ran together, and the state after one of them is nowhere */
  #vectorsAt(step: number, only?: (vector: string) => boolean): Promise<State> {
    const { states } = this.#trainer.executor
    if (!states.has(step))
      throw new UserError(
        `the state after step ${step} was released: several steps ran together, or later ones were done; read it immediately, with stepsPerRun: 1`,
      )
    return states.read(step, only)
  }

  #modelOf(vectors: State): TrainedModel {
    const {
      train: { classes },
      preprocessing,
    } = this.#data
    const { model } = this.#o
    return {
      model,
      params: this.#trainer.answering(vectors),
      ...(classes ? { classes } : {}),
      ...(preprocessing ? { preprocessing } : {}),
    }
  }

  async #stateNow(sums?: EpochSums, step = this.#step): Promise<RunState> {
    // Reading takes time, in which other steps may follow.
    const now = { step, steps: { [ONLY]: step }, sums, best: this.#best, bestParams: this.#bestParams }
    return { ...now, vectors: await this.#vectorsAt(step) }
  }

  async #diverged(work: Work, at: number, answer: StepAnswer, epoch: number, counter: EpochCounter) {
    const { seed, findNode = false } = this.#o
    const found = { trainer: this.#trainer, runtime: this.#runtime, seed, findNode }
    const more = { best: this.#best, bestParams: this.#bestParams, sums: counter.sums }
    return diverged(found, { work, at, answer, epoch: epoch + 1 }, more)
  }

  /** What an epoch came to. */
  async #judge(epoch: number, counter: EpochCounter, lr: number): Promise<void> {
    const train = await this.#trainer.measured(ONLY, counter.statistics)
    const { val, test } = this.#data
    const held = val ?? test
    const measured = held && (await this.#measure(held))
    const finite = measured ? Number.isFinite(measured.loss) : await this.#isFinite()
    // The loss before the last update was fine; what that update made is seen here, before anything is saved.
    if (!finite) throw divergedAtLast(measured?.loss ?? Number.NaN, this.#step, epoch + 1, lr)
    const result: EpochResult = {
      epoch: epoch + 1,
      step: this.#step,
      lr,
      train,
      ...(measured && { [val ? 'val' : 'test']: measured }),
      gradNorm: counter.gradNorm,
      ...speed([counter]),
      stepSeconds: counter.ms / 1000,
      epochSeconds: counter.seconds,
      seconds: this.#seconds,
    }
    this.#results.push(result)
    const own = judged(result)?.measured
    const better = own !== undefined && (!this.#best || isBetter(own, this.#best.measured, this.#o.monitor))
    if (better) {
      this.#best = { epoch: epoch + 1, step: this.#step, measured: own }
      this.#bestParams = this.#trainer.answering(await this.#vectorsAt(this.#step, this.#trainer.answers))
    }
    await this.#o.onEpoch?.(result, this.#running(), better)
    this.#saved = performance.now()
  }

  async #measure(set: Dataset): Promise<Measured> {
    const { count: _, ...measured } = await this.#trainer.evaluate(set)
    return measured
  }

  async #isFinite(): Promise<boolean> {
    const { vectors } = await this.#trainer.state()
    return Object.values(vectors).every(v => v.every(Number.isFinite))
  }

  async #finish(end: FitResult['end'], setupSeconds: number): Promise<FitResult> {
    const { val, test, train } = this.#data
    const state = await this.#trainer.state()
    const last = this.#trainer.answering(state.vectors)
    const params = val && this.#bestParams ? this.#bestParams : last
    this.#trainer.show(params)
    const counter = this.#counters.at(-1)
    // The best epoch was measured on the validation set already.
    const known = val && this.#bestParams ? this.#best?.measured : undefined
    return {
      model: { ...this.#modelOf(state.vectors), params },
      layout: layoutOf(this.#trainer.model.parameters),
      state,
      epochs: this.#results,
      epoch: this.#epochs,
      best: this.#best,
      ...(train.size === undefined ? {} : { train: await this.#measure(train) }),
      ...(val ? { val: known ?? (await this.#measure(val)) } : {}),
      ...(test ? { test: await this.#measure(test) } : {}),
      steps: this.#step,
      ...(this.#step > this.#epochStart && counter ? { sums: counter.sums } : {}),
      end,
      stopped: end === 'signal',
      seconds: this.#seconds,
      setupSeconds,
      ...speed(this.#counters),
    }
  }
}
