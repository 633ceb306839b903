import type { StepAnswer } from './step/answer.ts'
import type { Sums } from './step/statistics.ts'

/** Sums over the steps of an epoch, as far as it has come: part of a checkpoint that is made within an epoch. */
export interface EpochSums {
  /** Examples of the steps so far. */
  readonly examples: number
  /** Sum and count of each of the task's averages. */
  readonly sums: readonly number[]
  /** Count of each average. */
  readonly counts: readonly number[]
  /** Sum of the global norms of the gradients. */
  readonly gradNorm: number
  /** Steps so far. */
  readonly updates: number
}

/** Counts the steps of an epoch; time counts from when it is made. */
export class EpochCounter {
  /** Since it was made. */
  examples = 0
  ms = 0
  /** Milliseconds in which no step could run. */
  waited = 0
  readonly statistics: Sums
  readonly #begin = performance.now()
  #before: number
  #gradNorm: number
  #updates: number

  /** @param statistics begun with those of `before` */
  constructor(statistics: Sums, before?: EpochSums) {
    this.statistics = statistics
    this.#before = before?.examples ?? 0
    this.#gradNorm = before?.gradNorm ?? 0
    this.#updates = before?.updates ?? 0
  }

  add(examples: number, { sums, counts, gradNorm, idle }: StepAnswer): void {
    // What came before the first step was no wait for its batch.
    if (this.examples) this.waited += idle
    this.examples += examples
    this.statistics.add(sums, counts)
    this.#gradNorm += gradNorm
    this.#updates++
    this.ms = performance.now() - this.#begin
  }

  /** Seconds since it was made. */
  get seconds(): number {
    return (performance.now() - this.#begin) / 1000
  }

  /** What a resumed run begins with. */
  get sums(): EpochSums {
    return {
      examples: this.#before + this.examples,
      sums: [...this.statistics.sums],
      counts: [...this.statistics.counts],
      gradNorm: this.#gradNorm,
      updates: this.#updates,
    }
  }

  get gradNorm(): number {
    return this.#gradNorm / this.#updates
  }
}

/** Speed of the steps that were counted, and the share of their time in which the next batch was not there. */
export function speed(counters: readonly EpochCounter[]) {
  const sum = (of: (c: EpochCounter) => number): number => counters.reduce((n, c) => n + of(c), 0)
  const ms = sum(c => c.ms)
  const perMs = (n: number): number => (ms ? n / ms : 0)
  return { examplesPerSecond: 1000 * perMs(sum(c => c.examples)), dataWaitShare: perMs(sum(c => c.waited)) }
}
