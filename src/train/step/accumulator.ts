import type { Bindings } from '../../graph/bind.ts'
import { lookup, nth, present } from '../../graph/present.ts'
import type { Feeds, HeldTensors, Runtime } from '../../runtime/session.ts'
import { answerOf, type StepAnswer } from './answer.ts'
import { lossStatistics, scaleName } from './backward.ts'
import { LruCache } from './cache.ts'
import type { Examples } from './examples.ts'
import { compileCounts } from './forward.ts'
import type { HeldStates } from './held.ts'
import { closeLoaded, type Loaded, type Program, type ProgramOptions } from './program.ts'
import { nextName, type StateVector, stateName } from './state.ts'
import { measuresOf } from './statistics.ts'
import { type BatchProgram, compileGradients, compileUpdate, isGradient, type TaskPlan } from './step.ts'

const MOST_PROGRAMS = 4

/** The part of the executor that micro-batches need. */
export interface Host {
  readonly compiling: ProgramOptions
  readonly states: HeldStates
  load<P extends Program>(program: P): Promise<Loaded<P>>
  feeds(task: string, examples: Examples): Feeds
  seed(task: string, program: Program, step: number, steps: number, part: number): Feeds
  scalars(task: string, step: number, rates: readonly number[]): Feeds
  inTurn<T>(load: () => Promise<T>): Promise<T>
}

/** Updates from several micro-batches: their gradients are added up, and one update follows. */
export class Accumulator {
  readonly #host: Host
  readonly #runtime: Runtime
  readonly #plan: TaskPlan
  readonly #gradients = new LruCache<Promise<Loaded<BatchProgram>>>(MOST_PROGRAMS, closeLoaded)
  #update: Promise<Loaded> | undefined
  #counts: Promise<Loaded | undefined> | undefined
  #last: Promise<void> = Promise.resolve()
  /** The gradient so far, and where the next run writes it. */
  #sums: readonly [HeldTensors, HeldTensors] | undefined

  constructor(host: Host, runtime: Runtime, plan: TaskPlan) {
    this.#host = host
    this.#runtime = runtime
    this.#plan = plan
  }

  #loadGradients(sizes: Bindings): Promise<Loaded<BatchProgram>> {
    return this.#gradients.get(JSON.stringify(sizes), async () =>
      this.#host.load(compileGradients(this.#plan, { ...this.#host.compiling, sizes })),
    )
  }

  #loadUpdate(): Promise<Loaded> {
    this.#update ??= Promise.resolve().then(() =>
      this.#host.load(compileUpdate(this.#plan, this.#host.compiling)),
    )
    return this.#update
  }

  async prepare(sizes: Bindings): Promise<void> {
    await this.#loadGradients(sizes)
    await this.#loadUpdate()
  }

  /** Updates are made one after the other, for they share the gradient's vectors. */
  run(micro: readonly Examples[], step: number, lr: number, at: number): Promise<StepAnswer> {
    const answer = this.#last.then(() => this.#run(micro, step, lr, at))
    this.#last = answer.then(
      () => {},
      () => {},
    )
    return answer
  }

  async #run(micro: readonly Examples[], step: number, lr: number, at: number): Promise<StepAnswer> {
    const { name } = this.#plan
    const totals = await this.#totals(micro)
    const answers: StepAnswer[] = []
    for (const [i, examples] of micro.entries()) {
      const own = { ...examples, steps: 1 }
      answers.push(await this.#add(own, i, step, totals, at))
    }
    const { program, session } = await this.#host.inTurn(() => this.#loadUpdate())
    const [gradient] = present(this.#sums, 'gradient')
    const got = await session.run(
      {
        ...this.#host.states.feeds(program.reads.filter(v => !isGradient(v))),
        ...gradient,
        ...this.#host.scalars(name, step, [lr]),
      },
      this.#host.states.next(program.writes, at),
    )
    return this.#together(answers, Number(lookup(got, 'gradNorm').data[0]))
  }

  /** Adds the gradient of one micro-batch to those before it. */
  async #add(
    examples: Examples,
    part: number,
    step: number,
    totals: ReadonlyMap<number, number>,
    at: number,
  ): Promise<StepAnswer> {
    const { program, session } = await this.#host.inTurn(() => this.#loadGradients(examples.sizes))
    const own = program.writes.filter(isGradient)
    const buffers = program.writes.filter(v => !isGradient(v))
    const [sum, next] = this.#sums ?? [this.#hold(own, true), this.#hold(own, false)]
    this.#sums = [next, sum]
    const scalar = (value: number) => this.#runtime.tensor('float32', Float32Array.of(value), [])
    const scales = [...totals].map(([i, n]) => [scaleName(i), scalar(n ? 1 / n : 0)] as const)
    const { name } = this.#plan
    const got = await session.run(
      {
        ...this.#host.feeds(name, examples),
        ...this.#host.seed(name, program, step, 1, part),
        ...this.#host.states.feeds(program.reads.filter(v => !isGradient(v))),
        ...sum,
        ...Object.fromEntries(scales),
        'scalar.keep': scalar(part ? 1 : 0),
      },
      {
        ...Object.fromEntries(own.map(v => [nextName(v), lookup(next, stateName(v))])),
        ...(buffers.length ? this.#host.states.next(buffers, at) : {}),
      },
    )
    return answerOf(program, got, 0, session.idle)
  }

  #hold(vectors: readonly StateVector[], zeros: boolean): HeldTensors {
    return Object.fromEntries(
      vectors.map(v => [
        stateName(v),
        this.#runtime.hold('float32', [v.part.size], zeros ? new Float32Array(v.part.size) : undefined),
      ]),
    )
  }

  /** Count of each of the loss's averages over all micro-batches: known from the sizes, or computed where masks decide. */
  async #totals(micro: readonly Examples[]): Promise<Map<number, number>> {
    const measures = measuresOf(this.#plan.task)
    const own = lossStatistics(measures)
    const totals = new Map(own.map(i => [i, 0]))
    for (const examples of micro) {
      const { program } = await this.#host.inTurn(() => this.#loadGradients(examples.sizes))
      const weighted = own.some(i => program.answers.counts[i] === undefined)
      const got = weighted ? await this.#count(examples) : undefined
      for (const i of own) {
        const n = program.answers.counts[i] ?? Number(got?.[`count.${i}`]?.data[0] ?? 0)
        totals.set(i, lookup(totals, i) + n)
      }
    }
    return totals
  }

  async #count(examples: Examples) {
    this.#counts ??= Promise.resolve().then(async () => {
      const program = compileCounts(this.#plan.task, this.#plan.layout, this.#host.compiling)
      return program && this.#host.load(program)
    })
    const { program, session } = present(await this.#host.inTurn(async () => this.#counts), 'count')
    const all = { ...this.#host.feeds(this.#plan.name, examples), ...this.#host.states.feeds(program.reads) }
    const read = Object.entries(all).filter(([name]) => session.inputs.includes(name))
    return session.run(Object.fromEntries(read))
  }

  /** What the micro-batches answer as one batch. */
  #together(answers: readonly StepAnswer[], gradNorm: number): StepAnswer {
    const total = (of: (a: StepAnswer) => readonly number[]): number[] =>
      of(nth(answers, 0)).map((_, i) => answers.reduce((n, a) => n + nth(of(a), i), 0))
    return {
      loss: answers.reduce((n, a) => n + a.loss, 0),
      derived: {},
      parts: answers.length,
      sums: total(a => a.sums),
      counts: total(a => a.counts),
      gradNorm,
      idle: answers.reduce((n, a) => n + a.idle, 0),
    }
  }

  async close(): Promise<void> {
    for (const held of (this.#sums ?? []).flatMap(h => Object.values(h))) this.#runtime.release(held)
    await this.#gradients.clear()
    await closeLoaded(this.#update)
    await closeLoaded(this.#counts)
  }
}
