import type { Allocate } from '../data/batches.ts'
import { lowerLoop } from '../export/loop.ts'
import { UserError } from '../graph/errors.ts'
import type { Model } from '../nn/model.ts'
import { SEED_SIZE, seedValues } from '../ops/random.ts'
import type { Held, OrtTensor, Runtime, Session, SessionSettings } from '../runtime/session.ts'
import type { Layout } from './layout.ts'
import {
  compileForward,
  compileStep,
  type StateVector,
  type StepOptions,
  type StepProgram,
  stateOf,
} from './step.ts'

/** What a step reports. */
export interface StepResult {
  /** Mean loss of the batch, before the update. */
  readonly loss: number
  /** Labels of the batch that got the highest logit. */
  readonly correct: number
  /** Milliseconds before the step in which the runtime had been given nothing to do. */
  readonly idle: number
}

export interface StepInput {
  /** Pixels in [0, 1], `[count, channels, height, width]`, or tokens `[count, T]`. */
  readonly input: Float32Array | Int32Array
  /** `[count]`, or `[count, T]` where each token has a label. */
  readonly label: Int32Array
  readonly count: number
}

/** What a run reads: one batch, or several of one size, one after the other. */
export interface RunInput extends StepInput {
  /** How many batches `input` and `label` hold; each has `count` examples. */
  readonly steps: number
}

/** Flat vectors by name: `params` and the optimizer's moments. */
export type State = Readonly<Record<string, Float32Array>>

interface Loaded {
  readonly program: StepProgram
  readonly session: Session
}

export type ExecutorOptions = Omit<StepOptions, 'batch' | 'target'> & {
  readonly seed: number
  readonly threads?: number
}

/**
 * Runs training steps. State is a few flat vectors, whatever the model's size, which stay with the runtime until
 * somebody asks. There are two of each: a step reads one and writes the other.
 */
export class Executor {
  readonly layout: Layout
  /** Memory that batches are best made in. */
  readonly allocate: Allocate
  readonly #model: Model
  readonly #runtime: Runtime
  readonly #options: ExecutorOptions
  readonly #programs = new Map<number, StepProgram>()
  readonly #loaded = new Map<string, Promise<Loaded>>()
  readonly #vectors: readonly StateVector[]
  #state: Record<string, Held>
  #spare: Record<string, Held>
  #evaluator: Promise<Session> | undefined
  /** A step that has to compile is not overtaken by one that need not. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(model: Model, runtime: Runtime, layout: Layout, state: State, options: ExecutorOptions) {
    this.#model = model
    this.#runtime = runtime
    this.#options = options
    this.layout = layout
    this.allocate = runtime.allocate
    const names = ['params', ...options.optimizer.state]
    for (const name of names) {
      const size = state[name]?.length ?? layout.size
      if (size !== layout.size)
        throw new UserError(`${name} has ${size} values, the model needs ${layout.size}`)
    }
    this.#vectors = stateOf(layout, runtime.device.target, names)
    const hold = (values: (v: StateVector) => Float32Array | undefined) =>
      Object.fromEntries(this.#vectors.map(v => [v.name, runtime.hold('float32', [v.part.size], values(v))]))
    this.#state = hold(({ vector, part: { offset, size } }) =>
      (state[vector] ?? new Float32Array(layout.size)).subarray(offset, offset + size),
    )
    this.#spare = hold(() => undefined)
  }

  /**
   * Compiles the step for a batch size, once, for runs of one step or of several. Call it ahead of the first run to have
   * it out of the way.
   */
  prepare(batch: number, steps = 1): Promise<Loaded> {
    const key = `${steps} × ${batch}`
    let loaded = this.#loaded.get(key)
    if (!loaded) {
      loaded = this.#load(batch, steps)
      this.#loaded.set(key, loaded)
    }
    return loaded
  }

  async #load(batch: number, steps: number): Promise<Loaded> {
    const target = this.#runtime.device.target
    const program = this.#programs.get(batch) ?? compileStep(this.#model, { ...this.#options, batch, target })
    this.#programs.set(batch, program)
    const carried = Object.fromEntries(program.state.map(({ name }) => [name, `next.${name}`]))
    const loop = { name: `${this.#model.name}-steps`, opset: 21, times: steps, carried }
    const bytes = steps === 1 ? program.bytes : lowerLoop(program.graph, loop)
    return { program, session: await this.#open(bytes, { held: Object.values(carried) }) }
  }

  #open(bytes: Uint8Array, settings: SessionSettings = {}): Promise<Session> {
    const { threads } = this.#options
    return this.#runtime.load(bytes, { ...settings, optimize: 'basic', ...(threads ? { threads } : {}) })
  }

  /** One update of the parameters, as {@link run} does it. */
  async step(batch: StepInput, step: number, lr: number): Promise<StepResult> {
    const [result] = await this.run({ ...batch, steps: 1 }, step, [lr])
    return result!
  }

  /**
   * Updates the parameters once for each batch, in one run. The next run may be asked for before this one has answered;
   * they are done in order.
   * @param first number of the first step, counted from 1 @param rates learning rate of each step
   */
  async run(
    { input: examples, label, count, steps }: RunInput,
    first: number,
    rates: readonly number[],
  ): Promise<StepResult[]> {
    const loaded = this.#turn.catch(() => {}).then(() => this.prepare(count, steps))
    this.#turn = loaded
    const { program, session } = await loaded
    const { tensor } = this.#runtime
    const { optimizer, seed } = this.#options
    const { name, dtype, shape } = this.#model.input
    // One step takes and gives its values bare, several have them along a first axis.
    const times = steps === 1 ? [] : [steps]
    const perExample = label.length / (steps * count)
    const scalars = rates.map((lr, i) => optimizer.scalars(first + i, lr))
    const seeds = () => rates.flatMap((_, i) => [...seedValues(seed, first + i)])
    const feeds: Record<string, OrtTensor | Held> = {
      [name]: tensor(dtype, examples, [...times, count, ...shape]),
      label: tensor('int32', label, [...times, count, ...(perExample === 1 ? [] : [perExample])]),
      ...this.#state,
      ...(program.random
        ? { seed: tensor('float32', Float32Array.from(seeds()), [...times, SEED_SIZE]) }
        : {}),
    }
    for (const key of Object.keys(scalars[0]!))
      feeds[key] = tensor(
        'float32',
        Float32Array.from(scalars, s => s[key]!),
        times,
      )
    const into = Object.fromEntries(program.state.map(({ name: n }) => [`next.${n}`, this.#spare[n]!]))
    const running = session.run(feeds, into)
    // The run after this one reads what this one will have written.
    ;[this.#state, this.#spare] = [this.#spare, this.#state]
    const { loss, correct } = await running
    return rates.map((_, i) => ({
      loss: Number(loss!.data[i]),
      correct: Number(correct!.data[i]),
      idle: i ? 0 : session.idle,
    }))
  }

  /** Logits `[count, classes]` (`[count, T, classes]`) of a batch under the present parameters. */
  async predict({ input: example, count }: Omit<StepInput, 'label'>): Promise<Float32Array> {
    const { normalization } = this.#options
    const target = this.#runtime.device.target
    this.#evaluator ??= this.#open(
      compileForward(this.#model, { target, parts: true, ...(normalization ? { normalization } : {}) }).bytes,
    )
    const session = await this.#evaluator
    const { name: key, dtype, shape } = this.#model.input
    const params = this.#vectors.filter(v => v.vector === 'params')
    const { logits } = await session.run({
      [key]: this.#runtime.tensor(dtype, example, [count, ...shape]),
      ...Object.fromEntries(params.map(({ name }) => [name, this.#state[name]!])),
    })
    return logits!.data as Float32Array
  }

  /** A copy of the state. */
  async state(): Promise<State> {
    const whole: Record<string, Float32Array> = {}
    const read = this.#vectors.map(async ({ name, vector, part }) => {
      const values = (await this.#runtime.read(this.#state[name]!)) as Float32Array
      whole[vector] ??= new Float32Array(this.layout.size)
      whole[vector].set(values, part.offset)
    })
    await Promise.all(read)
    return whole
  }

  async close(): Promise<void> {
    for (const held of [this.#state, this.#spare].flatMap(Object.values)) this.#runtime.release(held)
    for (const loaded of this.#loaded.values()) await (await loaded).session.close()
    await (await this.#evaluator)?.close()
  }
}
