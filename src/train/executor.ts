import { lower } from '../export/lower.ts'
import { UserError } from '../graph/errors.ts'
import { input } from '../graph/leaf.ts'
import type { Model } from '../nn/model.ts'
import { SEED_SIZE, seedValues } from '../ops/random.ts'
import type { OrtTensor, Runtime, Session, SessionSettings } from '../runtime/session.ts'
import type { Layout } from './layout.ts'
import { compileForward, compileStep, type StepOptions, type StepProgram } from './step.ts'

/** What a step reports. */
export interface StepResult {
  /** Mean loss of the batch, before the update. */
  readonly loss: number
  /** Labels of the batch that got the highest logit. */
  readonly correct: number
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
  readonly outputs: Record<string, OrtTensor>
}

export type ExecutorOptions = Omit<StepOptions, 'batch' | 'target'> & {
  readonly seed: number
  readonly threads?: number
}

/**
 * Runs training steps. State is a few flat vectors, whatever the model's size: where the runtime writes into given
 * tensors there are two of each and a step reads one and writes the other; where tensors can stay on the device, they
 * stay there until somebody asks.
 */
export class Executor {
  readonly layout: Layout
  readonly #model: Model
  readonly #runtime: Runtime
  readonly #options: ExecutorOptions
  readonly #loaded = new Map<number, Promise<Loaded>>()
  readonly #scalars: Record<string, OrtTensor> = {}
  readonly #seed: OrtTensor
  #state: Record<string, OrtTensor>
  #spare: Record<string, OrtTensor>
  #reader: Session | undefined
  #evaluator: Promise<Session> | undefined

  constructor(model: Model, runtime: Runtime, layout: Layout, state: State, options: ExecutorOptions) {
    this.#model = model
    this.#runtime = runtime
    this.#options = options
    this.layout = layout
    const vector = (data: Float32Array) => runtime.tensor('float32', data, [layout.size])
    const names = ['params', ...options.optimizer.state]
    this.#state = Object.fromEntries(
      names.map(n => {
        const data = state[n] ?? new Float32Array(layout.size)
        if (data.length !== layout.size)
          throw new UserError(`${n} has ${data.length} values, the model needs ${layout.size}`)
        return [n, vector(data.slice())]
      }),
    )
    this.#spare = runtime.device.preallocated
      ? Object.fromEntries(names.map(n => [n, vector(new Float32Array(layout.size))]))
      : {}
    for (const name of Object.keys(options.optimizer.scalars(1, 0)))
      this.#scalars[name] = runtime.tensor('float32', new Float32Array(1), [])
    this.#seed = runtime.tensor('float32', seedValues(options.seed, 0), [SEED_SIZE])
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
    const next = program.state.map(n => `next.${n}`)
    const settings: SessionSettings = {
      optimize: 'basic',
      resident: this.#runtime.device.resident ? next : [],
    }
    const session = await this.#runtime.load(program.bytes, this.#withThreads(settings))
    const scalar = () => this.#runtime.tensor('float32', new Float32Array(1), [])
    return { program, session, outputs: { loss: scalar(), correct: scalar() } }
  }

  #withThreads = (settings: SessionSettings): SessionSettings =>
    this.#options.threads ? { ...settings, threads: this.#options.threads } : settings

  /**
   * One update of the parameters.
   * @param step counted from 1 @param lr learning rate of this step
   */
  async step({ input: example, label, count }: StepInput, step: number, lr: number): Promise<StepResult> {
    const { program, session, outputs } = await this.prepare(count)
    const runtime = this.#runtime
    const scalars = this.#options.optimizer.scalars(step, lr)
    for (const [name, t] of Object.entries(this.#scalars)) (t.data as Float32Array)[0] = scalars[name]!
    const feeds: Record<string, OrtTensor> = {
      [this.#model.input.name]: this.#tensor(example, count),
      label: runtime.tensor('int32', label, label.length === count ? [count] : [count, label.length / count]),
      ...this.#state,
      ...this.#scalars,
    }
    if (program.random) {
      ;(this.#seed.data as Float32Array).set(seedValues(this.#options.seed, step))
      feeds.seed = this.#seed
    }
    const into = { ...outputs }
    for (const [name, t] of Object.entries(this.#spare)) into[`next.${name}`] = t
    const got = await session.run(feeds, into)
    const old = this.#state
    this.#state = Object.fromEntries(program.state.map(n => [n, got[`next.${n}`]!]))
    if (runtime.device.preallocated) this.#spare = old
    else for (const t of Object.values(old)) t.dispose()
    return { loss: Number(got.loss!.data[0]), correct: Number(got.correct!.data[0]) }
  }

  /** Logits `[count, classes]` (`[count, T, classes]`) of a batch under the present parameters. */
  async predict({ input: example, count }: Omit<StepInput, 'label'>): Promise<Float32Array> {
    const { normalization } = this.#options
    const target = this.#runtime.device.target
    this.#evaluator ??= this.#runtime.load(
      compileForward(this.#model, { target, ...(normalization ? { normalization } : {}) }).bytes,
      this.#withThreads({ optimize: 'basic' }),
    )
    const session = await this.#evaluator
    const { logits } = await session.run({
      [this.#model.input.name]: this.#tensor(example, count),
      params: this.#state.params!,
    })
    return logits!.data as Float32Array
  }

  #tensor(example: Float32Array | Int32Array, count: number): OrtTensor {
    const { dtype, shape } = this.#model.input
    return this.#runtime.tensor(dtype, example, [count, ...shape])
  }

  /** A copy of the state. */
  async state(): Promise<State> {
    const entries: [string, Float32Array][] = []
    for (const [name, t] of Object.entries(this.#state)) entries.push([name, await this.#read(t)])
    return Object.fromEntries(entries)
  }

  async #read(t: OrtTensor): Promise<Float32Array> {
    if (t.location !== 'gpu-buffer') return (t.data as Float32Array).slice()
    // getData() on a GPU tensor aborts the Node process (onnxruntime 1.30): a graph that returns it on the CPU does not.
    this.#reader ??= await this.#runtime.load(identityBytes(this.layout.size))
    const { y } = await this.#reader.run({ x: t })
    return (y!.data as Float32Array).slice()
  }

  async close(): Promise<void> {
    for (const loaded of this.#loaded.values()) await (await loaded).session.close()
    await (await this.#evaluator)?.close()
    await this.#reader?.close()
  }
}

/** A graph whose output is its input, for reading what lies on a device. */
function identityBytes(size: number): Uint8Array {
  const x = input('x', 'float32', [size])
  return lower({ inputs: { x }, parameters: {}, outputs: { y: x } }, { name: 'read', opset: 21 })
}
