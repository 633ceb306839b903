import type { Allocate } from '../data/batches.ts'
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
  readonly #loaded = new Map<number, Promise<Loaded>>()
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

  /** Compiles the step for a batch size, once. Call it ahead of the first step to have it out of the way. */
  prepare(batch: number): Promise<Loaded> {
    let loaded = this.#loaded.get(batch)
    if (!loaded) {
      loaded = this.#load(batch)
      this.#loaded.set(batch, loaded)
    }
    return loaded
  }

  async #load(batch: number): Promise<Loaded> {
    const program = compileStep(this.#model, { ...this.#options, batch, target: this.#runtime.device.target })
    const held = program.state.map(v => `next.${v.name}`)
    return { program, session: await this.#open(program.bytes, { held }) }
  }

  #open(bytes: Uint8Array, settings: SessionSettings = {}): Promise<Session> {
    const { threads } = this.#options
    return this.#runtime.load(bytes, { ...settings, optimize: 'basic', ...(threads ? { threads } : {}) })
  }

  /**
   * One update of the parameters. The next may be asked for before this one has answered; they are done in order.
   * @param step counted from 1 @param lr learning rate of this step
   */
  async step({ input: example, label, count }: StepInput, step: number, lr: number): Promise<StepResult> {
    const loaded = this.#turn.catch(() => {}).then(() => this.prepare(count))
    this.#turn = loaded
    const { program, session } = await loaded
    const { optimizer, seed } = this.#options
    const scalars = Object.entries(optimizer.scalars(step, lr)).map(
      ([name, value]) => [name, this.#runtime.tensor('float32', Float32Array.of(value), [])] as const,
    )
    const feeds = {
      [this.#model.input.name]: this.#tensor(example, count),
      label: this.#labels(label, count),
      ...this.#state,
      ...Object.fromEntries(scalars),
      ...(program.random
        ? { seed: this.#runtime.tensor('float32', seedValues(seed, step), [SEED_SIZE]) }
        : {}),
    }
    const into = Object.fromEntries(program.state.map(({ name }) => [`next.${name}`, this.#spare[name]!]))
    const running = session.run(feeds, into)
    // The step after this one reads what this one will have written.
    ;[this.#state, this.#spare] = [this.#spare, this.#state]
    const { loss, correct } = await running
    return { loss: Number(loss!.data[0]), correct: Number(correct!.data[0]), idle: session.idle }
  }

  /** Logits `[count, classes]` (`[count, T, classes]`) of a batch under the present parameters. */
  async predict({ input: example, count }: Omit<StepInput, 'label'>): Promise<Float32Array> {
    const { normalization } = this.#options
    const target = this.#runtime.device.target
    this.#evaluator ??= this.#open(
      compileForward(this.#model, { target, parts: true, ...(normalization ? { normalization } : {}) }).bytes,
    )
    const session = await this.#evaluator
    const params = this.#vectors.filter(v => v.vector === 'params')
    const { logits } = await session.run({
      [this.#model.input.name]: this.#tensor(example, count),
      ...Object.fromEntries(params.map(({ name }) => [name, this.#state[name]!])),
    })
    return logits!.data as Float32Array
  }

  #tensor(example: Float32Array | Int32Array, count: number): OrtTensor {
    const { dtype, shape } = this.#model.input
    return this.#runtime.tensor(dtype, example, [count, ...shape])
  }

  #labels(label: Int32Array, count: number): OrtTensor {
    const dims = label.length === count ? [count] : [count, label.length / count]
    return this.#runtime.tensor('int32', label, dims)
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
