import { batches } from '../data/batches.ts'
import type { Dataset, UserBatch } from '../data/dataset.ts'
import type { NdArray } from '../graph/array.ts'
import type { Bindings } from '../graph/bind.ts'
import { lookup, nth } from '../graph/present.ts'
import { layoutOf } from '../nn/layout.ts'
import type { Model } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import { evaluate as evaluateGraph } from '../runtime/evaluate.ts'
import type { Feeds, Held, HeldTensors, OrtTensors, Runtime } from '../runtime/session.ts'
import type { TracedObjective } from '../tasks/task.ts'
import { examplesOf, type Ports, portsOf, staged } from './examples.ts'
import type { Evaluation, Measured } from './measured.ts'
import { partOf } from './plans.ts'
import { prefetch } from './prefetch.ts'
import { LruCache } from './step/cache.ts'
import type { Examples } from './step/examples.ts'
import { compileEvaluation, compilePrediction, type EvaluationProgram, isSizeless } from './step/forward.ts'
import { closeLoaded, type Loaded, type Program, type ProgramOptions } from './step/program.ts'
import { ONLY, type StateLayout, type StateVector, statePartsOf, wholeLayout } from './step/state.ts'
import { type Evaluate, type Measures, measured, measuresOf, Sums } from './step/statistics.ts'

export interface ForwardOptions extends Omit<ProgramOptions, 'target'> {
  readonly threads?: number | undefined
}

/** Where the parameters of a forward run lie. */
export type Parameters = (v: StateVector) => Held

const MOST_PROGRAMS = 4

/** Examples of one run of an evaluation. */
const BATCH = 250

/** Runs a model forward under parameters that lie with the runtime: predictions and evaluations. */
export class Forward {
  readonly #model: Model
  readonly #runtime: Runtime
  readonly #layout: StateLayout
  readonly #options: ForwardOptions
  readonly #evaluations = new Map<TracedObjective, LruCache<Promise<Loaded<EvaluationProgram>>>>()
  #prediction: Promise<Loaded<Program>> | undefined

  constructor(model: Model, runtime: Runtime, layout: StateLayout, options: ForwardOptions = {}) {
    this.#model = model
    this.#runtime = runtime
    this.#layout = layout
    this.#options = options
  }

  get #compiling(): ProgramOptions {
    return { ...this.#options, target: this.#runtime.device.target }
  }

  async #load<P extends Program>(program: P): Promise<Loaded<P>> {
    const { threads } = this.#options
    const settings = { optimize: 'basic', ...(threads ? { threads } : {}) } as const
    return { program, session: await this.#runtime.load(program.bytes, settings) }
  }

  /** The model's outputs for inputs that were checked. */
  async predict(arrays: Readonly<Record<string, NdArray>>, parameters: Parameters): Promise<OrtTensors> {
    this.#prediction ??= this.#load(compilePrediction(this.#model, this.#layout, this.#compiling))
    const { program, session } = await this.#prediction
    const inputs = this.#feeds(portsOf({ model: this.#model, targets: {} }), arrays)
    return session.run({ ...inputs, ...stateFeeds(program, parameters) })
  }

  #feeds(ports: Ports, arrays: Readonly<Record<string, NdArray>>): Feeds {
    return Object.fromEntries(
      Object.entries(arrays).map(([name, { data, dims }]) => [
        name,
        this.#runtime.tensor(lookup(ports, name).dtype, data, dims),
      ]),
    )
  }

  #evaluation(objective: TracedObjective, sizes: Bindings): Promise<Loaded<EvaluationProgram>> {
    const known =
      this.#evaluations.get(objective) ??
      new LruCache<Promise<Loaded<EvaluationProgram>>>(MOST_PROGRAMS, closeLoaded)
    this.#evaluations.set(objective, known)
    const sizeless = isSizeless(objective)
    return known.get(sizeless ? '' : JSON.stringify(sizes), async () =>
      this.#load(
        compileEvaluation(objective, this.#layout, { ...this.#compiling, ...(sizeless ? {} : { sizes }) }),
      ),
    )
  }

  /** Adds the sums and counts of a batch. */
  async #count(objective: TracedObjective, { arrays, sizes }: Examples, parameters: Parameters, into: Sums) {
    const { program, session } = await this.#evaluation(objective, sizes)
    const feeds = { ...this.#feeds(portsOf(objective), arrays), ...stateFeeds(program, parameters) }
    const read = Object.entries(feeds).filter(([name]) => session.inputs.includes(name))
    const got = await session.run(Object.fromEntries(read))
    const value = (name: string) => Number(got[name]?.data[0] ?? 0)
    const counts = program.countsOf(sizes).map((n, i) => n ?? value(`count.${i}`))
    // A scalar that counts per example is answered as it is.
    const sums = program.measures.statistics.map(({ by }, i) =>
      by === 'examples' ? value(`sum.${i}`) * nth(counts, i) : value(`sum.${i}`),
    )
    into.add(sums, counts)
  }

  /**
   * Loss and metrics of a task over a whole data set, every example once.
   * @param batch examples of one run
   * @throws UserError for a batch that does not fit
   */
  async evaluate(
    objective: TracedObjective,
    data: Dataset,
    parameters: Parameters,
    batch = BATCH,
  ): Promise<Evaluation> {
    const ports = portsOf(objective)
    const measures = this.#measures(objective)
    const sums = new Sums(measures)
    let count = 0
    const source = examples(data.name, ports, batches(data, { batch, shuffle: false }))
    const inTurn = staged(source, ports, this.#runtime.allocate)
    const run = (e: Examples) => this.#count(objective, e, parameters, sums)
    for await (const [{ sizes }] of prefetch(inTurn, run, this.#runtime.parallel ? 2 : 1))
      count += Number(sizes.batch ?? 1)
    return { ...(await this.finish(measures, sums)), count }
  }

  #measures = (objective: TracedObjective): Measures => {
    const known = this.#known.get(objective) ?? measuresOf(objective)
    this.#known.set(objective, known)
    return known
  }
  readonly #known = new WeakMap<TracedObjective, Measures>()

  /** Loss and metrics from sums and counts. */
  finish = (measures: Measures, sums: Sums): Promise<Measured> =>
    measured(measures, sums.averages(), this.#compute)

  readonly #compute: Evaluate = async (outputs, feeds) => {
    const got = await evaluateGraph(this.#runtime, outputs, feeds)
    return Object.fromEntries(Object.entries(got).map(([name, { data }]) => [name, Number(data[0])]))
  }

  async close(): Promise<void> {
    for (const programs of this.#evaluations.values()) await programs.clear()
    await closeLoaded(this.#prediction)
  }
}

const stateFeeds = ({ reads }: Program, parameters: Parameters): HeldTensors =>
  Object.fromEntries(reads.map(v => [`state.${v.name}`, parameters(v)]))

/** Parameters that lie with a runtime. */
export interface HeldParams {
  readonly of: Parameters
  release(): void
}

/** @param params flat, in the model's order */
export function holdParams(runtime: Runtime, layout: StateLayout, params: Float32Array): HeldParams {
  const held = new Map<string, Held>(
    statePartsOf(layout.blocks, runtime.device.target, ONLY, []).map(({ params: v }) => [
      v.name,
      runtime.hold('float32', [v.part.size], partOf(layout, v, params)),
    ]),
  )
  return {
    of: v => lookup(held, v.name),
    release() {
      for (const h of held.values()) runtime.release(h)
    },
  }
}

/** A trained model with its weights on a runtime. */
export interface HeldModel {
  readonly forward: Forward
  readonly parameters: Parameters
  close(): Promise<void>
}

export function hold(
  runtime: Runtime,
  { model, params }: TrainedModel,
  options: ForwardOptions = {},
): HeldModel {
  const layout = wholeLayout(layoutOf(model.parameters))
  const forward = new Forward(model, runtime, layout, options)
  const held = holdParams(runtime, layout, params)
  return {
    forward,
    parameters: held.of,
    async close() {
      held.release()
      await forward.close()
    },
  }
}

/** Batches as programs take them; each is checked. */
export async function* examples(
  name: string,
  ports: Ports,
  source: Iterable<UserBatch> | AsyncIterable<UserBatch>,
  values = true,
): AsyncGenerator<Examples> {
  let number = 0
  for await (const batch of source) yield examplesOf(`${name}, batch ${++number}`, ports, batch, values)
}
