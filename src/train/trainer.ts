/// <reference lib="esnext.disposable" preserve="true" />

import type { UserBatch } from '../data/dataset.ts'
import { type DataInput, datasetOf } from '../data/source.ts'
import { UserError } from '../graph/errors.ts'
import { lookup, nth, present } from '../graph/present.ts'
import { initialize } from '../nn/layout.ts'
import type { Model } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import type { Runtime } from '../runtime/session.ts'
import type { Task } from '../tasks/task.ts'
import { readCheckpoint, stateCheckpoint, vectorsOf } from './checkpoint.ts'
import { DivergenceError, divergenceMessage, isSound } from './divergence.ts'
import { examplesOf, portsOf } from './examples.ts'
import { Forward, type HeldParams, holdParams, type Parameters } from './forward.ts'
import type { Evaluation, Measured } from './measured.ts'
import { arraysOf, type InputArrays, type OutputArrays } from './model-arrays.ts'
import { moved, namedWeights, plansOf } from './plans.ts'
import { answeringVector, completeVectors, fillParams, flatParams, type TrainState } from './state.ts'
import type { StepAnswer } from './step/answer.ts'
import type { Examples, ExamplesOfSteps } from './step/examples.ts'
import { Executor } from './step/executor.ts'
import { ONLY, type StateLayout } from './step/state.ts'
import { type Measures, measuresOf, Sums, statisticOf } from './step/statistics.ts'
import type { TaskPlan } from './step/step.ts'
import type { MetricsOf, SingleStep, StepSpecs, TrainerOptions } from './trainer-options.ts'

/** The state that a training is resumed from. @throws UserError when a checkpoint is damaged, or of another model */
function resumed(layout: StateLayout, from: TrainState | Uint8Array): TrainState {
  if (!(from instanceof Uint8Array)) return from
  const file = readCheckpoint(from, 'resume')
  const { steps } = file
  if (!steps)
    throw new UserError(
      'resume: the file has no step number; pass its values as weights and start a new training',
    )
  return { vectors: vectorsOf(file, layout), steps, step: Object.values(steps).reduce((a, b) => a + b, 0) }
}

/** Result of a step: loss and metrics of its batch, before the update, and the gradient's global norm, before clipping. */
export type StepResult<M extends string = string> = {
  readonly loss: number
  readonly gradNorm: number
} & Readonly<Record<M, number>>

/** Arrays by name: the model's inputs and the task's targets. An array of several is the micro-batches of one update. */
export type BatchInput = UserBatch | readonly UserBatch[]

const disposal: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')

/**
 * Trains a model step by step, in the caller's loop. The state stays in the runtime between steps. A `Trainer` runs on a given
 * runtime; `trainer` of `onnxgrad/node` and `onnxgrad/web` opens one.
 */
export class Trainer<S extends StepSpecs = StepSpecs, M extends Model = Model> {
  /** The model that is trained. */
  readonly model: M
  /** @internal */
  readonly plans: readonly TaskPlan[]
  /** @internal */
  readonly layout: StateLayout
  /** @internal */
  readonly executor: Executor
  /** Base learning rate of each task's next step, by the task's name. */
  readonly rates: { [N in keyof S]: number }
  readonly #runtime: Runtime
  readonly #forward: Forward
  readonly #steps: Record<string, number>
  readonly #measures: ReadonlyMap<string, Measures>
  /** Where parameters lie that are answered with in place of the state's. */
  #shown: HeldParams | undefined

  /** @throws UserError when options, task and model do not match */
  constructor(runtime: Runtime, model: M, options: TrainerOptions) {
    const { seed = 0, weights, dtype, recompute, threads } = options
    const { plans, layout } = plansOf(model, options)
    const resume = options.resume && resumed(layout, options.resume)
    this.model = model
    this.plans = plans
    this.layout = layout
    this.rates = Object.fromEntries(plans.map(p => [p.name, p.optimizer.lr])) as { [N in keyof S]: number }
    this.#measures = new Map(plans.map(p => [p.name, measuresOf(p.task)]))
    this.#runtime = runtime
    this.#steps = { ...Object.fromEntries(plans.map(p => [p.name, 0])), ...resume?.steps }
    const params = initialize(layout.all, seed)
    if (weights) fillParams(layout.all, params, namedWeights(weights))
    const state = completeVectors(plans, layout, params, resume?.vectors)
    this.executor = new Executor(runtime, plans, state, { seed, threads, recompute, dtype }, this.steps)
    this.#forward = new Forward(model, runtime, layout, { threads, dtype })
  }

  /** Steps done, of all tasks. */
  get steps(): number {
    return Object.values(this.#steps).reduce((a, b) => a + b, 0)
  }

  /** Steps of one task. */
  stepsOf = (task: string = ONLY): number => this.#steps[this.executor.plan(task).name] ?? 0

  /** Base learning rate of the next step of the only task; with several tasks, see `rates`. */
  get lr(): number {
    return this.rates[this.executor.plan(ONLY).name as keyof S]
  }

  set lr(value: number) {
    this.rates[this.executor.plan(ONLY).name as keyof S] = value
  }

  /**
   * One update of the parameters that the (named) task trains. An array of micro-batches makes one update, as if they were one
   * batch.
   * @throws UserError for a batch that does not match model and task
   * @throws DivergenceError when the loss or gradient is not finite; the state is then restored to before the step
   */
  step<M extends string>(this: Trainer<SingleStep<M>>, batch: BatchInput): Promise<StepResult<M>>
  step<N extends keyof S & string>(name: N, batch: BatchInput): Promise<StepResult<MetricsOf<S[N]>>>
  async step(
    ...args: readonly [BatchInput] | readonly [name: string, batch: BatchInput]
  ): Promise<StepResult> {
    const [task, batch] = args.length === 1 ? [ONLY, args[0]] : args
    const plan = this.executor.plan(task)
    const ports = portsOf(plan.task)
    const micro: readonly UserBatch[] = Array.isArray(batch) ? batch : [batch]
    const examples = micro.map((b, i) =>
      examplesOf(micro.length > 1 ? `batch, part ${i + 1}` : 'batch', ports, b),
    )
    if (!examples.length) throw new UserError('batch: is an empty array; give arrays by name')
    const lr = this.rates[task as keyof S]
    const [before, own] = [this.steps, this.stepsOf(task)]
    try {
      const answer =
        examples.length > 1
          ? await this.accumulate(task, examples, lr)
          : nth(await this.run(task, { ...nth(examples, 0), steps: 1 }, [lr]), 0)
      if (isSound(answer)) return await this.resultOf(task, answer)
      throw new DivergenceError(divergenceMessage(answer, `at step ${before + 1}`, lr))
    } catch (error) {
      await this.rewind(task, own)
      throw error
    }
  }

  /** @internal Steps on batches that were checked, in one run; the next run may be asked for before this one has answered. */
  run(task: string, examples: ExamplesOfSteps, rates: readonly number[]): Promise<StepAnswer[]> {
    const first = this.stepsOf(task) + 1
    this.#steps[task] = first + examples.steps - 1
    return this.executor.run(task, examples, first, rates, this.steps)
  }

  /** @internal One step on micro-batches that were checked. */
  accumulate(task: string, micro: readonly Examples[], lr: number): Promise<StepAnswer> {
    const step = this.stepsOf(task) + 1
    this.#steps[task] = step
    return this.executor.accumulate(task, micro, step, lr, this.steps)
  }

  /** @internal Restores the state before the given steps. @returns false if it was released */
  async rewind(task: string, step: number): Promise<boolean> {
    await this.executor.settled()
    const back = this.stepsOf(task) - step
    if (!this.executor.states.rewind(this.steps - back)) return false
    this.#steps[task] = step
    return true
  }

  /** @internal The metrics of a step by name. */
  async resultOf(task: string, answer: StepAnswer): Promise<StepResult> {
    const measures = lookup(this.#measures, task)
    if (answer.parts > 1) {
      // What is a function of averages is computed from those of all micro-batches.
      const sums = this.sums(task)
      sums.add(answer.sums, answer.counts)
      return { ...(await this.measured(task, sums)), gradNorm: answer.gradNorm } as StepResult
    }
    const own = Object.entries(measures.objectives).map(([name, objective]) => {
      const at = statisticOf(measures, objective)
      if (at === undefined)
        return [name, name === 'loss' ? answer.loss : lookup(answer.derived, name)] as const
      return [name, nth(answer.sums, at) / (answer.counts[at] || 1)] as const
    })
    return { ...Object.fromEntries(own), gradNorm: answer.gradNorm } as StepResult
  }

  /** @internal What a task measures. */
  measures = (task: string): Measures => lookup(this.#measures, task)

  /** @internal Sums over several steps of a task, from which {@link measured} computes loss and metrics. */
  sums = (task: string, before?: ConstructorParameters<typeof Sums>[1]): Sums =>
    new Sums(lookup(this.#measures, task), before)

  /** @internal Loss and metrics from sums. */
  measured = (task: string, sums: Sums): Promise<Measured> =>
    this.#forward.finish(lookup(this.#measures, task), sums)

  /** A copy of the state: everything the next step depends on except settings and data. */
  async state(): Promise<TrainState> {
    await this.executor.settled()
    const [step, steps] = [this.steps, { ...this.#steps }]
    return { step, steps, vectors: await this.executor.states.read(step) }
  }

  /** The state as a safetensors file, which the `resume` option reads. */
  async checkpoint(): Promise<Uint8Array> {
    return stateCheckpoint(this.layout, await this.state())
  }

  /** The model with its current weights, or the averaged weights if `ema` is set. */
  async trained(): Promise<TrainedModel<M>> {
    await this.executor.settled()
    return {
      model: this.model,
      params: this.answering(await this.executor.states.read(undefined, this.answers)),
    }
  }

  /** @internal Whether a vector is one that a state answers with: what {@link answering} needs of it. */
  answers = (vector: string): boolean =>
    this.layout.blocks.some(block => answeringVector(this.plans, block) === vector)

  /** @internal The parameters that a state answers with, flat, in the model's order. */
  answering = (vectors: TrainState['vectors']): Float32Array =>
    flatParams(this.layout, vectors, block => answeringVector(this.plans, block))

  readonly #parameters: Parameters = v => {
    if (this.#shown) return this.#shown.of(v)
    const block = present(
      this.layout.blocks.find(b => b.name === v.vector),
      `block ${v.vector}`,
    )
    return this.executor.states.present({
      ...v,
      name: v.name.replace(v.vector, answeringVector(this.plans, block)),
    })
  }

  /** @internal Answers from now on with these parameters; without any, with the state's. @param params in the model's order */
  show(params?: Float32Array): void {
    this.#shown?.release()
    this.#shown = params && holdParams(this.#runtime, this.layout, params)
  }

  /**
   * Outputs of the model by name, with its current weights, or the averaged weights if `ema` is set.
   * @param inputs arrays by name @throws UserError for inputs that do not match the model's
   */
  async predict(inputs: InputArrays<M>): Promise<OutputArrays<M>> {
    const { arrays } = examplesOf('inputs', portsOf({ model: this.model, targets: {} }), inputs as UserBatch)
    await this.executor.settled()
    return arraysOf<M>(await this.#forward.predict(arrays, this.#parameters))
  }

  /**
   * Loss and metrics over a whole data set with the current weights, every example once.
   * @param options.task @default the evaluation of the (first) task @param options.batch examples per run
   */
  async evaluate(
    data: DataInput,
    options: { readonly task?: Task; readonly batch?: number } = {},
  ): Promise<Evaluation> {
    const objective = options.task ? options.task.trace(this.model) : nth(this.plans, 0).task.evaluation
    const dataset = datasetOf('data', data, portsOf(objective))
    await this.executor.settled()
    return this.#forward.evaluate(objective, dataset, this.#parameters, options.batch)
  }

  /**
   * Copies parameters from one part of the model to another, such as `q` to `target`: to ← to + rate · (from − to).
   * @param from, to paths of layers, or names of parameters @param rate 1 copies, less interpolates. @default 1
   * @throws UserError when the two parts do not have the same parameters
   */
  async copy(from: string, to: string, { rate = 1 }: { readonly rate?: number } = {}): Promise<void> {
    await this.executor.settled()
    const vectors = await this.executor.states.read()
    this.executor.states.write(moved(this.layout, vectors, from, to, rate))
  }

  /** Releases everything that the runtime holds. */
  async close(): Promise<void> {
    this.show()
    await this.executor.close()
    await this.#forward.close()
  }

  /** Closes the trainer; `await using` calls it. */
  [disposal](): Promise<void> {
    return this.close()
  }
}
