/** How often a class was answered with another, or with itself. */
export interface Pair {
  readonly truth: number
  readonly answer: number
  readonly count: number
}

/** Who is taken for whom. Only pairs that occur are held: of 10,000 classes a table would take a gigabyte. */
export class Confusion {
  readonly classes: number
  readonly #counts = new Map<number, number>()

  constructor(classes: number) {
    this.classes = classes
  }

  add(truth: number, answer: number, count = 1): void {
    const key = truth * this.classes + answer
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count)
  }

  /** What occurs, by truth, then by answer. */
  pairs(): Pair[] {
    return [...this.#counts]
      .sort(([a], [b]) => a - b)
      .map(([key, count]) => ({
        truth: Math.floor(key / this.classes),
        answer: key % this.classes,
        count,
      }))
  }

  /** What is answered wrong, the most frequent first. */
  mistakes(): Pair[] {
    return this.pairs()
      .filter(({ truth, answer }) => truth !== answer)
      .sort((a, b) => b.count - a.count)
  }

  /** `[truth][answer]`: how many. For few classes. */
  rows(): number[][] {
    const rows = Array.from({ length: this.classes }, () => new Array<number>(this.classes).fill(0))
    for (const { truth, answer, count } of this.pairs()) rows[truth]?.splice(answer, 1, count)
    return rows
  }
}
