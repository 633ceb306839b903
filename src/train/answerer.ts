import type { Model } from '../nn/model.ts'
import type { Runtime, Session } from '../runtime/session.ts'
import { EMA } from './ema.ts'
import type { ExecutorOptions, StepInput } from './executor.ts'
import { compileForward, type StateVector } from './forward.ts'
import { type HeldState, hold } from './held.ts'

/** Loads a graph of the training, which passes have rewritten already. @param held outputs that stay with the runtime */
export const load = (
  bytes: Uint8Array,
  runtime: Runtime,
  { threads }: Pick<ExecutorOptions, 'threads'>,
  held: readonly string[] = [],
): Promise<Session> => runtime.load(bytes, { held, optimize: 'basic', ...(threads ? { threads } : {}) })

/** Runs a model forward under the parameters of a training, where they are. */
export class Answerer {
  readonly #model: Model
  readonly #runtime: Runtime
  readonly #options: ExecutorOptions
  /** Of the parameters, and of what answers in their place: their average where one is kept. */
  readonly #params: readonly StateVector[]
  readonly #answering: readonly StateVector[]
  /** Parameters to answer with in place of the state's. */
  #shown: HeldState | undefined
  #session: Promise<Session> | undefined

  constructor(model: Model, runtime: Runtime, vectors: readonly StateVector[], options: ExecutorOptions) {
    this.#model = model
    this.#runtime = runtime
    this.#options = options
    const of = (name: string) => vectors.filter(v => v.vector === name)
    this.#params = of('params')
    this.#answering = of(options.ema === undefined ? 'params' : EMA)
  }

  /** Answers from now on with these parameters; without any, with the state's. */
  show(params?: Float32Array): void {
    for (const held of Object.values(this.#shown ?? {})) this.#runtime.release(held)
    const part = ({ part: { offset, size } }: StateVector) => params!.subarray(offset, offset + size)
    this.#shown = params && hold(this.#runtime, this.#params, part)
  }

  /** Logits `[count, classes]` (`[count, T, classes]`) of a batch. */
  async predict(
    { input: example, count }: Omit<StepInput, 'label'>,
    state: HeldState,
  ): Promise<Float32Array> {
    const { normalization } = this.#options
    const target = this.#runtime.device.target
    this.#session ??= load(
      compileForward(this.#model, { target, parts: true, ...(normalization ? { normalization } : {}) }).bytes,
      this.#runtime,
      this.#options,
    )
    const session = await this.#session
    const { name: key, dtype, shape } = this.#model.input
    const params = this.#params.map(({ name }, i) => [
      name,
      this.#shown?.[name] ?? state[this.#answering[i]!.name]!,
    ])
    const { logits } = await session.run({
      [key]: this.#runtime.tensor(dtype, example, [count, ...shape]),
      ...Object.fromEntries(params),
    })
    return logits!.data as Float32Array
  }

  async close(): Promise<void> {
    this.show()
    await this.#session?.then(
      session => session.close(),
      () => {},
    )
  }
}
