import { copyElements } from '../../graph/array.ts'
import { lookup } from '../../graph/present.ts'
import type { Held, HeldTensors, Runtime } from '../../runtime/session.ts'
import type { StateVector } from './state.ts'

/** Flat vectors by name: the parameters of each block (`params` where one task trains all), moments, averages. */
export type State = Readonly<Record<string, Float32Array>>

/**
 * A state is read by one run while the next is asked for, and stays until that one has been looked at: two that are on
 * their way, and the one before them.
 */
const KEPT = 3

interface Kept {
  readonly step: number
  readonly held: ReadonlyMap<string, Held>
}

/**
 * The state of a training with its runtime, and those that it was in before. A run replaces some of the vectors; the
 * others are shared with the state before.
 */
export class HeldStates {
  readonly #runtime: Runtime
  readonly #vectors: readonly StateVector[]
  #present: Kept
  /** Those before it, the latest first. */
  #earlier: Kept[] = []
  /** Memory that no kept state uses, by name of the vector. */
  readonly #free = new Map<string, Held[]>()

  /** @param vectors all vectors, in parts as the runtime's device prefers them */
  constructor(runtime: Runtime, vectors: readonly StateVector[], state: State, step: number) {
    this.#runtime = runtime
    this.#vectors = vectors
    const held = new Map(vectors.map(v => [v.name, this.#hold(v, lookup(state, v.vector))]))
    this.#present = { step, held }
  }

  #hold({ part: { offset, size } }: StateVector, whole: Float32Array): Held {
    return this.#runtime.hold('float32', [size], whole.subarray(offset, offset + size))
  }

  /** What the next run reads, as it names it. @param vectors those that it reads */
  feeds(vectors: readonly StateVector[]): HeldTensors {
    return Object.fromEntries(vectors.map(v => [`state.${v.name}`, this.present(v)]))
  }

  /** The present place of a vector. */
  present = (v: StateVector): Held => lookup(this.#present.held, v.name)

  /**
   * Where a run writes the vectors that it replaces, as it names them. The run after it will read them.
   * @param step what the state comes to; several runs may make one step, such as those of micro-batches
   */
  next(vectors: readonly StateVector[], step: number): HeldTensors {
    const own = vectors.map(v => [v.name, this.#take(v)] as const)
    this.#put({ step, held: new Map([...this.#present.held, ...own]) })
    return Object.fromEntries(own.map(([name, held]) => [`next.${name}`, held]))
  }

  #put(state: Kept): void {
    const continued = this.#present.step === state.step
    this.#earlier = continued ? this.#earlier : [this.#present, ...this.#earlier]
    const gone = continued ? [this.#present] : this.#earlier.splice(KEPT - 1)
    this.#present = state
    this.#recycle(gone)
  }

  get #states(): readonly Kept[] {
    return [this.#present, ...this.#earlier]
  }

  #take({ name, part }: StateVector): Held {
    return this.#free.get(name)?.pop() ?? this.#runtime.hold('float32', [part.size])
  }

  /** Lets states go that are not kept any more: what only they use can be written again. */
  #recycle(gone: readonly Kept[]): void {
    const used = new Set(this.#states.flatMap(s => [...s.held.values()]))
    for (const { held } of gone)
      for (const [name, h] of held) {
        if (used.has(h)) continue
        used.add(h)
        this.#free.set(name, [...(this.#free.get(name) ?? []), h])
      }
  }

  /** Whether the state of a step is still there. */
  has = (step: number): boolean => this.#states.some(s => s.step === step)

  /**
   * Makes an earlier state the present one: that before the last run that was asked for, or before the one before that. No
   * run may be on its way.
   * @returns false when it was released
   */
  rewind(step: number): boolean {
    const states = this.#states
    const at = states.findIndex(s => s.step === step)
    const [present, ...earlier] = at < 0 ? [] : states.slice(at)
    if (!present) return false
    this.#present = present
    this.#earlier = earlier
    this.#recycle(states.slice(0, at))
    return true
  }

  /** A copy of the present state, or of an earlier one that is still there. @param step what it came to */
  async read(step = this.#present.step, only: (vector: string) => boolean = () => true): Promise<State> {
    const found = this.#states.find(s => s.step === step)
    if (!found) throw new Error(`internal: the state of step ${step} was released`)
    const vectors = this.#vectors.filter(v => only(v.vector))
    const sizes = new Map<string, number>()
    for (const { vector, part } of vectors)
      sizes.set(vector, Math.max(sizes.get(vector) ?? 0, part.offset + part.size))
    const whole = Object.fromEntries([...sizes].map(([name, size]) => [name, new Float32Array(size)]))
    const read = vectors.map(async ({ name, vector, part }) => {
      const values = await this.#runtime.read(lookup(found.held, name))
      copyElements(lookup(whole, vector), values, part.offset)
    })
    await Promise.all(read)
    return whole
  }

  /** Replaces the values of whole vectors, without a step. What was before cannot be gone back to. */
  write(state: State): void {
    const { step, held } = this.#present
    const changed = this.#vectors.flatMap(v => {
      const values = state[v.vector]
      return values ? [[v, values] as const] : []
    })
    // Memory that is free cannot be written from here: new memory takes its place.
    for (const [{ name }] of changed) {
      const spare = this.#free.get(name)?.pop()
      if (spare) this.#runtime.release(spare)
    }
    const own = changed.map(([v, values]) => [v.name, this.#hold(v, values)] as const)
    this.#put({ step, held: new Map([...held, ...own]) })
  }

  release(): void {
    const all = new Set([
      ...this.#states.flatMap(s => [...s.held.values()]),
      ...[...this.#free.values()].flat(),
    ])
    for (const held of all) this.#runtime.release(held)
  }
}
