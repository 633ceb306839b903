import type { StepResult } from './executor.ts'

/** Sums over the steps of an epoch, as far as it has come: part of a checkpoint that is made within an epoch. */
export interface TallySums {
  readonly images: number
  readonly labels: number
  readonly loss: number
  readonly correct: number
  readonly gradNorm: number
  readonly updates: number
}

/** Sums over the steps of an epoch; time counts from when it is made. */
export class Tally {
  /** Since it was made. */
  images = 0
  ms = 0
  /** Milliseconds in which no step could run. */
  waited = 0
  readonly #begin = performance.now()
  #sums: TallySums

  constructor(before?: TallySums) {
    this.#sums = before ?? { images: 0, labels: 0, loss: 0, correct: 0, gradNorm: 0, updates: 0 }
  }

  add(count: number, labels: number, { loss, correct, gradNorm, idle }: StepResult, updated = true): void {
    // What came before the first step was no wait for its batch.
    if (this.images) this.waited += idle
    this.images += count
    const s = this.#sums
    this.#sums = {
      images: s.images + count,
      labels: s.labels + labels,
      loss: s.loss + loss * count,
      correct: s.correct + correct,
      gradNorm: s.gradNorm + gradNorm,
      updates: s.updates + Number(updated),
    }
    this.ms = performance.now() - this.#begin
  }

  get sums(): TallySums {
    return this.#sums
  }

  get loss(): number {
    return this.#sums.loss / this.#sums.images
  }

  get accuracy(): number {
    return this.#sums.correct / this.#sums.labels
  }

  get gradNorm(): number {
    return this.#sums.gradNorm / this.#sums.updates
  }
}

/** Speed of the steps that were tallied, and the share of their time in which the next batch was not there. */
export function speed(tallies: readonly Tally[]) {
  const sum = (of: (t: Tally) => number): number => tallies.reduce((n, t) => n + of(t), 0)
  const ms = sum(t => t.ms)
  const perMs = (n: number): number => (ms ? n / ms : 0)
  return { imagesPerSecond: 1000 * perMs(sum(t => t.images)), dataWaitShare: perMs(sum(t => t.waited)) }
}
