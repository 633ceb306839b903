import type { Allocate } from '../data/batches.ts'
import { lowerLoop } from '../export/loop.ts'
import { UserError } from '../graph/errors.ts'
import type { Model } from '../nn/model.ts'
import { SEED_SIZE, seedValues } from '../ops/random.ts'
import type { OrtTensor, Runtime, Session } from '../runtime/session.ts'
import { Answerer, load } from './answerer.ts'
import { checkEma, EMA } from './ema.ts'
import { type StateVector, stateOf } from './forward.ts'
import { asOutputs, type HeldState, HeldStates, hold } from './held.ts'
import type { Layout } from './layout.ts'
import { compileGradients, compileStep, compileUpdate, type StepOptions, type StepProgram } from './step.ts'
import { scalarValues, updatedVectors } from './update.ts'

/** What a step reports. */
export interface StepResult {
  /** Mean loss of the batch, before the update. */
  readonly loss: number
  /** Labels of the batch that got the highest logit. */
  readonly correct: number
  /** Global norm of the gradient, before clipping; 0 for a batch whose gradient waits for others. */
  readonly gradNorm: number
  /** Milliseconds before the step in which the runtime had been given nothing to do. */
  readonly idle: number
}

export interface StepInput {
  /** Pixels in [0, 1], `[count, channels, height, width]`, or tokens `[count, T]`. */
  readonly input: Float32Array | Int32Array
  /** `[count]`, or `[count, T]` where each token has a label. */
  readonly label: Int32Array
  readonly count: number
  /** Of examples mixed in pairs, `[count]` each: the second label, and the share of the first. */
  readonly mixed?: { readonly label: Int32Array; readonly share: Float32Array }
}

/** What a run reads: one batch, or several of one size, one after the other. */
export interface RunInput extends StepInput {
  /** How many batches `input` and `label` hold; each has `count` examples. */
  readonly steps: number
}

/** Flat vectors by name: `params`, the optimizer's moments, `ema`. */
export type State = Readonly<Record<string, Float32Array>>

/** Place of a batch among those whose gradients make one update. */
export interface Share {
  /** What its gradient counts; the weights of an update's batches make 1. */
  readonly weight: number
  readonly first: boolean
  readonly last: boolean
}

interface Loaded {
  readonly program: StepProgram
  readonly session: Session
}

export type ExecutorOptions = Omit<StepOptions, 'batch' | 'target' | 'mixed'> & {
  readonly seed: number
  readonly threads?: number
}

/**
 * Runs training steps. State is a few flat vectors, whatever the model's size, which stay with the runtime until
 * somebody asks. There are a few of each: a run reads one and writes the next.
 */
export class Executor {
  readonly layout: Layout
  /** Memory that batches are best made in. */
  readonly allocate: Allocate
  readonly #model: Model
  readonly #runtime: Runtime
  readonly #options: ExecutorOptions
  readonly #programs = new Map<string, StepProgram>()
  readonly #loaded = new Map<string, Promise<Loaded>>()
  readonly #vectors: readonly StateVector[]
  readonly #states: HeldStates
  #gradient: HeldState[] | undefined
  readonly #answerer: Answerer
  /** A step that has to compile is not overtaken by one that need not. */
  #turn: Promise<unknown> = Promise.resolve()

  /** @param step steps that the state has come to */
  constructor(
    model: Model,
    runtime: Runtime,
    layout: Layout,
    state: State,
    options: ExecutorOptions,
    step = 0,
  ) {
    checkEma(options.ema)
    this.#model = model
    this.#runtime = runtime
    this.#options = options
    this.layout = layout
    this.allocate = runtime.allocate
    const names = updatedVectors(options)
    for (const name of names) {
      const size = state[name]?.length ?? layout.size
      if (size !== layout.size)
        throw new UserError(`${name} has ${size} values, the model needs ${layout.size}`)
    }
    this.#vectors = stateOf(layout, runtime.device.target, names)
    this.#answerer = new Answerer(model, runtime, this.#vectors, options)
    const start = (vector: string): Float32Array =>
      // An average begins at the parameters, moments at zero.
      state[vector] ?? (vector === EMA ? state.params! : new Float32Array(layout.size))
    const values = ({ vector, part: { offset, size } }: StateVector) =>
      start(vector).subarray(offset, offset + size)
    this.#states = new HeldStates(runtime, layout, this.#vectors, values, step)
  }

  /** The state that the next run reads. */
  get #state(): HeldState {
    return this.#states.present
  }

  /**
   * Compiles the step for a batch size, once, for runs of one step or of several. Call it ahead of the first run to have
   * it out of the way.
   */
  prepare(batch: number, steps = 1, mixed = false): Promise<Loaded> {
    return this.#load(`${batch}${mixed ? ' mixed' : ''}`, steps, target =>
      compileStep(this.#model, { ...this.#options, batch, mixed, target }),
    )
  }

  /** As {@link prepare}, for {@link accumulate}. */
  async prepareParts(batch: number, mixed = false): Promise<{ gradients: Loaded; update: Loaded }> {
    const gradients = this.#load(`gradients of ${batch}${mixed ? ' mixed' : ''}`, 1, target =>
      compileGradients(this.#model, { ...this.#options, batch, mixed, target }),
    )
    const update = this.#load('update', 1, target => compileUpdate(this.#model, { ...this.#options, target }))
    return { gradients: await gradients, update: await update }
  }

  #load(
    key: string,
    steps: number,
    compile: (target: Runtime['device']['target']) => StepProgram,
  ): Promise<Loaded> {
    const compiled = async () => {
      const program = this.#programs.get(key) ?? compile(this.#runtime.device.target)
      this.#programs.set(key, program)
      const carried = Object.fromEntries(program.state.map(({ name }) => [name, `next.${name}`]))
      const loop = { name: `${this.#model.name}-steps`, opset: 21, times: steps, carried }
      const bytes = steps === 1 ? program.bytes : lowerLoop(program.graph, loop)
      return { program, session: await load(bytes, this.#runtime, this.#options, Object.values(carried)) }
    }
    const name = `${steps} × ${key}`
    const loaded = this.#loaded.get(name) ?? compiled()
    this.#loaded.set(name, loaded)
    return loaded
  }

  /** What is loaded, once everything that was asked for before it is. */
  #inTurn<T>(load: () => Promise<T>): Promise<T> {
    const loaded = this.#turn.catch(() => {}).then(load)
    this.#turn = loaded
    return loaded
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
  async run(batch: RunInput, first: number, rates: readonly number[]): Promise<StepResult[]> {
    const { count, steps, mixed } = batch
    const { program, session } = await this.#inTurn(() => this.prepare(count, steps, mixed !== undefined))
    const feeds = {
      ...this.#examples(program, batch, first),
      ...this.#state,
      ...this.#scalars(first, rates),
    }
    const running = session.run(feeds, asOutputs(this.#states.next(first + steps - 1)))
    const { loss, correct, gradNorm } = await running
    return rates.map((_, i) => ({
      loss: Number(loss!.data[i]),
      correct: Number(correct!.data[i]),
      gradNorm: Number(gradNorm!.data[i]),
      idle: i ? 0 : session.idle,
    }))
  }

  /**
   * One batch of the several that make a step: its gradient is added to those before it, and the last one's run is
   * followed by the update. Otherwise as {@link run}. @param step counted from 1
   */
  async accumulate(batch: StepInput, step: number, lr: number, share: Share): Promise<StepResult> {
    const { gradients, update } = await this.#inTurn(() =>
      this.prepareParts(batch.count, batch.mixed !== undefined),
    )
    const { state } = gradients.program
    this.#gradient ??= [
      hold(this.#runtime, state, ({ part }) => new Float32Array(part.size)),
      hold(this.#runtime, state),
    ]
    const [sum, next] = this.#gradient as [HeldState, HeldState]
    this.#gradient = [next, sum]
    const scalar = (value: number) => this.#runtime.tensor('float32', Float32Array.of(value), [])
    const params = this.#vectors.filter(v => v.vector === 'params')
    const running = gradients.session.run(
      {
        ...this.#examples(gradients.program, { ...batch, steps: 1 }, step),
        ...Object.fromEntries(params.map(({ name }) => [name, this.#state[name]!])),
        ...sum,
        weight: scalar(share.weight),
        keep: scalar(share.first ? 0 : 1),
      },
      asOutputs(next),
    )
    const updating = share.last
      ? update.session.run(
          { ...this.#state, ...next, ...this.#scalars(step, [lr]) },
          asOutputs(this.#states.next(step)),
        )
      : undefined
    const { loss, correct } = await running
    const idle = gradients.session.idle
    const updated = await updating
    return {
      loss: Number(loss!.data[0]),
      correct: Number(correct!.data[0]),
      gradNorm: Number(updated ? updated.gradNorm!.data[0] : 0),
      idle,
    }
  }

  /** The examples as a program reads them, and its random numbers. */
  #examples(program: StepProgram, { input: examples, label, count, steps, mixed }: RunInput, first: number) {
    const { tensor } = this.#runtime
    const { name, dtype, shape } = this.#model.input
    // One step takes and gives its values bare, several have them along a first axis.
    const times = steps === 1 ? [] : [steps]
    const perExample = label.length / (steps * count)
    const seeds = () =>
      Array.from({ length: steps }, (_, i) => [...seedValues(this.#options.seed, first + i)]).flat()
    const labels = [...times, count, ...(perExample === 1 ? [] : [perExample])]
    const feeds: Record<string, OrtTensor> = {
      [name]: tensor(dtype, examples, [...times, count, ...shape]),
      label: tensor('int32', label, labels),
    }
    if (mixed) {
      feeds['label.other'] = tensor('int32', mixed.label, labels)
      feeds['label.share'] = tensor('float32', mixed.share, labels)
    }
    if (program.random) feeds.seed = tensor('float32', Float32Array.from(seeds()), [...times, SEED_SIZE])
    return feeds
  }

  #scalars(first: number, rates: readonly number[]): Record<string, OrtTensor> {
    const each = rates.map((lr, i) => scalarValues(this.#options, first + i, lr))
    const of = (key: string) => Float32Array.from(each, values => values[key]!)
    return Object.fromEntries(
      Object.keys(each[0]!).map(key => [
        key,
        this.#runtime.tensor('float32', of(key), rates.length === 1 ? [] : [rates.length]),
      ]),
    )
  }

  /** As {@link HeldStates.rewind}; nothing may be asked for meanwhile. */
  rewind = (step: number): Promise<boolean> => this.#states.rewind(step)

  /** Answers from now on with these parameters; without any, with the state's. */
  show = (params?: Float32Array): void => this.#answerer.show(params)

  /**
   * Logits `[count, classes]` (`[count, T, classes]`) of a batch under the present parameters, or their average where one
   * is kept.
   */
  predict = (batch: Omit<StepInput, 'label'>): Promise<Float32Array> =>
    this.#answerer.predict(batch, this.#states.present)

  /** A copy of the state, or of the one before a run that has been asked for meanwhile. @param step what it came to */
  state = (step?: number): Promise<State> => this.#states.read(step)

  async close(): Promise<void> {
    this.#states.release()
    for (const held of (this.#gradient ?? []).flatMap(h => Object.values(h))) this.#runtime.release(held)
    // One that could not be loaded has told so already.
    for (const loaded of this.#loaded.values())
      await loaded.then(
        ({ session }) => session.close(),
        () => {},
      )
    await this.#answerer.close()
  }
}
