import { lowerLoop } from '../../export/loop.ts'
import type { Bindings } from '../../graph/bind.ts'
import { UserError } from '../../graph/errors.ts'
import { lookup } from '../../graph/present.ts'
import { hash } from '../../graph/random.ts'
import { SEED_SIZE, seedValues } from '../../ops/random.ts'
import { momentNames, scalarValues } from '../../optim/update.ts'
import type { Feeds, Runtime } from '../../runtime/session.ts'
import { Accumulator } from './accumulator.ts'
import { answerOf, type StepAnswer } from './answer.ts'
import { LruCache } from './cache.ts'
import type { Examples, ExamplesOfSteps } from './examples.ts'
import { HeldStates, type State } from './held.ts'
import { closeLoaded, type Loaded, type Program, type ProgramOptions, SEED, seedOfPart } from './program.ts'
import { nextName, type StateVector, stateName, statePartsOf } from './state.ts'
import { type BatchProgram, compileStep, type TaskPlan } from './step.ts'

export interface ExecutorOptions extends Omit<ProgramOptions, 'target'> {
  readonly seed: number
  /** Threads of one op; left out, the runtime takes the physical cores. */
  readonly threads?: number | undefined
}

/** Programs that are kept loaded: each size that batches come in takes one. */
const MOST_PROGRAMS = 8

const sizeKey = (sizes: Bindings): string =>
  Object.entries(sizes)
    .map(([name, size]) => `${name}=${size}`)
    .sort()
    .join()

/** All vectors of a training's state: parameters of each block, and each task's moments. */
function stateVectors(plans: readonly TaskPlan[], runtime: Runtime): StateVector[] {
  const { target } = runtime.device
  const vectors = new Map<string, StateVector>()
  for (const plan of plans)
    for (const block of plan.layout.blocks) {
      const moments = block.trainedBy.includes(plan.name) ? momentNames(plan) : []
      for (const p of statePartsOf([block], target, plan.name, moments))
        for (const v of [p.params, ...Object.values(p.moments)]) vectors.set(v.name, v)
    }
  return [...vectors.values()]
}

/**
 * Runs training steps of one or several tasks on one state. The state is a few flat vectors, whatever the model's size,
 * which stay with the runtime until somebody asks.
 */
export class Executor {
  readonly states: HeldStates
  readonly #runtime: Runtime
  readonly #plans: ReadonlyMap<string, TaskPlan>
  readonly #options: ExecutorOptions
  readonly #programs = new LruCache<BatchProgram>(MOST_PROGRAMS)
  readonly #loaded = new LruCache<Promise<Loaded<BatchProgram>>>(MOST_PROGRAMS, closeLoaded)
  readonly #accumulators = new Map<string, Accumulator>()
  /** Runs that were asked for and have not answered. */
  readonly #asked = new Set<Promise<void>>()
  /** A step that has to compile is not overtaken by one that need not. */
  #turn: Promise<unknown> = Promise.resolve()

  /** @param state whole vectors @param step steps that the state has come to */
  constructor(
    runtime: Runtime,
    plans: readonly TaskPlan[],
    state: State,
    options: ExecutorOptions,
    step = 0,
  ) {
    this.#runtime = runtime
    this.#plans = new Map(plans.map(p => [p.name, p]))
    this.#options = options
    this.states = new HeldStates(runtime, stateVectors(plans, runtime), state, step)
  }

  plan(task: string): TaskPlan {
    const plan = this.#plans.get(task)
    if (plan) return plan
    const names = [...this.#plans.keys()].join(', ')
    throw new UserError(
      task ? `${task} is not one of the steps; they are ${names}` : `name the step; they are ${names}`,
    )
  }

  /** How programs are compiled here. */
  get compiling(): ProgramOptions {
    return { ...this.#options, target: this.#runtime.device.target }
  }

  async load<P extends Program>(program: P, bytes = program.bytes): Promise<Loaded<P>> {
    const { threads } = this.#options
    const settings = {
      held: program.writes.map(nextName),
      optimize: 'basic',
      ...(threads ? { threads } : {}),
    } as const
    return { program, session: await this.#runtime.load(bytes, settings) }
  }

  /** Compiles the step of a task for batches of these sizes, once, for runs of one step or of several. */
  prepare(task: string, sizes: Bindings, steps = 1): Promise<Loaded<BatchProgram>> {
    const key = `${task}|${sizeKey(sizes)}`
    return this.#loaded.get(`${steps} × ${key}`, async () => {
      const plan = this.plan(task)
      const program = this.#programs.get(key, () => compileStep(plan, { ...this.compiling, sizes }))
      if (steps === 1) return this.load(program)
      const written = new Set(program.writes.map(v => v.name))
      const bytes = lowerLoop(program.graph, {
        name: `${plan.task.model.name}-steps`,
        opset: 21,
        times: steps,
        carried: Object.fromEntries(program.writes.map(v => [stateName(v), nextName(v)])),
        fixed: program.reads.filter(v => !written.has(v.name)).map(stateName),
      })
      return this.load(program, bytes)
    })
  }

  /** The programs of {@link accumulate}. */
  #accumulator(task: string): Accumulator {
    const known = this.#accumulators.get(task) ?? new Accumulator(this, this.#runtime, this.plan(task))
    this.#accumulators.set(task, known)
    return known
  }

  /** As {@link prepare}, for {@link accumulate}. */
  prepareParts = async (task: string, sizes: Bindings): Promise<void> =>
    this.#accumulator(task).prepare(sizes)

  /** What is loaded, once everything that was asked for before it is. */
  inTurn<T>(load: () => Promise<T>): Promise<T> {
    const loaded = this.#turn.catch(() => {}).then(load)
    this.#turn = loaded
    return loaded
  }

  #ask<T>(run: Promise<T>): Promise<T> {
    const done = run.then(
      () => {},
      () => {},
    )
    this.#asked.add(done)
    done.then(() => this.#asked.delete(done))
    return run
  }

  /** Waits until all runs that were asked for have answered, or failed. */
  async settled(): Promise<void> {
    while (this.#asked.size) await Promise.all(this.#asked)
  }

  /**
   * Updates the parameters once for each batch, in one run. The next run may be asked for before this one has answered;
   * they are done in order.
   * @param first number of the first step of this task, counted from 1 @param rates learning rate of each step
   * @param at the step that the state has come to after it
   */
  run(
    task: string,
    examples: ExamplesOfSteps,
    first: number,
    rates: readonly number[],
    at = first + examples.steps - 1,
  ): Promise<StepAnswer[]> {
    return this.#ask(this.#run(task, examples, first, rates, at))
  }

  async #run(
    task: string,
    examples: ExamplesOfSteps,
    first: number,
    rates: readonly number[],
    at: number,
  ): Promise<StepAnswer[]> {
    const { steps, sizes } = examples
    const { program, session } = await this.inTurn(() => this.prepare(task, sizes, steps))
    const feeds: Feeds = {
      ...this.feeds(task, examples),
      ...this.seed(task, program, first, steps),
      ...this.states.feeds(program.reads),
      ...this.scalars(task, first, rates),
    }
    const answer = await session.run(feeds, this.states.next(program.writes, at))
    return rates.map((_, i) => answerOf(program, answer, i, i ? 0 : session.idle))
  }

  /** One update of the parameters from several micro-batches, as if they were one batch; otherwise as {@link run}. */
  accumulate(
    task: string,
    micro: readonly Examples[],
    step: number,
    lr: number,
    at = step,
  ): Promise<StepAnswer> {
    return this.#ask(this.#accumulator(task).run(micro, step, lr, at))
  }

  /** Examples as the runtime takes them. */
  feeds(task: string, { arrays }: Examples): Feeds {
    const { model, targets } = this.plan(task).task
    const dtypeOf = (name: string) => (model.graph.inputs[name] ?? lookup(targets, name).leaf).dtype
    return Object.fromEntries(
      Object.entries(arrays).map(([name, { data, dims }]) => [
        name,
        this.#runtime.tensor(dtypeOf(name), data, dims),
      ]),
    )
  }

  /** The random numbers of steps: a function of the seed, the task, each step's number, and that of the micro-batch. */
  seed(task: string, { random }: Program, first: number, steps = 1, part = 0): Feeds {
    if (!random) return {}
    const own = task ? hash(this.#options.seed, task) : this.#options.seed
    const seed = seedOfPart(own, part)
    const seeds = Array.from({ length: steps }, (_, i) => [...seedValues(seed, first + i)]).flat()
    const dims = steps === 1 ? [SEED_SIZE] : [steps, SEED_SIZE]
    return { [SEED]: this.#runtime.tensor('float32', Float32Array.from(seeds), dims) }
  }

  scalars(task: string, first: number, rates: readonly number[]): Feeds {
    const each = rates.map((lr, i) => scalarValues(this.plan(task), first + i, lr))
    const of = (key: string) => Float32Array.from(each, values => lookup(values, key))
    const dims = rates.length === 1 ? [] : [rates.length]
    return Object.fromEntries(
      Object.keys(each[0] ?? {}).map(key => [
        `scalar.${key}`,
        this.#runtime.tensor('float32', of(key), dims),
      ]),
    )
  }

  async close(): Promise<void> {
    await this.settled()
    this.states.release()
    await this.#loaded.clear()
    for (const accumulator of this.#accumulators.values()) await accumulator.close()
  }
}
