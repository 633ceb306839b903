import type { Held, Runtime } from '../runtime/session.ts'
import type { State } from './executor.ts'
import type { StateVector } from './forward.ts'
import type { Layout } from './layout.ts'

/** Held tensors by name. */
export type HeldState = Readonly<Record<string, Held>>

/** State as a program's outputs name it. */
export const asOutputs = (held: HeldState): HeldState =>
  Object.fromEntries(Object.entries(held).map(([name, h]) => [`next.${name}`, h]))

/** Holds vectors with a runtime; without values they can be read once a run has written them. */
export const hold = (
  runtime: Runtime,
  vectors: readonly StateVector[],
  values?: (v: StateVector) => Float32Array,
): HeldState =>
  Object.fromEntries(vectors.map(v => [v.name, runtime.hold('float32', [v.part.size], values?.(v))]))

/**
 * A state is read by one run while the next is asked for, and stays until that one has been looked at: two that are on
 * their way, and the one before them.
 */
const KEPT = 3

/** The state of a training with its runtime, and those that it was in before. */
export class HeldStates {
  readonly #runtime: Runtime
  readonly #layout: Layout
  readonly #vectors: readonly StateVector[]
  /** Each with the number of steps that it has come to; the present one first. */
  #states: { readonly held: HeldState; readonly step: number }[]

  constructor(
    runtime: Runtime,
    layout: Layout,
    vectors: readonly StateVector[],
    values: (v: StateVector) => Float32Array,
    step: number,
  ) {
    this.#runtime = runtime
    this.#layout = layout
    this.#vectors = vectors
    const others = Array.from({ length: KEPT - 1 }, () => ({ held: hold(runtime, vectors), step: -1 }))
    this.#states = [{ held: hold(runtime, vectors, values), step }, ...others]
  }

  /** The state that the next run reads. */
  get present(): HeldState {
    return this.#states[0]!.held
  }

  /** Where a run writes the state that comes to `step`: the oldest one's place. The run after it will read it. */
  next(step: number): HeldState {
    const { held } = this.#states.pop()!
    this.#states.unshift({ held, step })
    return held
  }

  /**
   * Makes an earlier state the present one: that before the last run that was asked for, or before the one before that.
   * @returns false when it is there no more
   */
  async rewind(step: number): Promise<boolean> {
    const at = this.#states.findIndex(s => s.step === step)
    if (at < 0) return false
    // What is on its way writes into the states that are left behind.
    await this.read()
    const free = this.#states.splice(0, at).map(({ held }) => ({ held, step: -1 }))
    this.#states.push(...free)
    return true
  }

  /** A copy of the present state, or of an earlier one that is still there. @param step what it came to */
  async read(step = this.#states[0]!.step): Promise<State> {
    const found = this.#states.find(s => s.step === step)
    if (!found) throw new Error(`internal: the state of step ${step} is there no more`)
    const whole: Record<string, Float32Array> = {}
    const read = this.#vectors.map(async ({ name, vector, part }) => {
      const values = (await this.#runtime.read(found.held[name]!)) as Float32Array
      whole[vector] ??= new Float32Array(this.#layout.size)
      whole[vector].set(values, part.offset)
    })
    await Promise.all(read)
    return whole
  }

  release(): void {
    for (const { held } of this.#states)
      for (const tensor of Object.values(held)) this.#runtime.release(tensor)
  }
}
