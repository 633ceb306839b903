import { nth } from '../graph/present.ts'
import type { Confusion } from './confusion.ts'

/** How one class is told from the others. */
export interface ClassScore {
  /** Examples of the class. */
  readonly count: number
  /** Share of the answers that name the class and are right; NaN where none names it. */
  readonly precision: number
  /** Share of the class's examples that are answered right; NaN where there are none. */
  readonly recall: number
  /** 2 · right / (2 · right + wrongly named + missed); NaN where there is nothing of these. */
  readonly f1: number
  /** The other class that is answered most often, where one is. */
  readonly mistaken?: { readonly for: number; readonly count: number }
}

const total = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0)

/** Scores of all classes, by label. */
export function classScores(confusion: Confusion): ClassScore[] {
  const sums = Array.from({ length: confusion.classes }, () => ({ right: 0, count: 0, named: 0 }))
  const mistaken = new Map<number, { readonly for: number; readonly count: number }>()
  for (const { truth, answer, count } of confusion.pairs()) {
    nth(sums, truth).count += count
    nth(sums, answer).named += count
    if (truth === answer) nth(sums, truth).right = count
    else if (count > (mistaken.get(truth)?.count ?? 0)) mistaken.set(truth, { for: answer, count })
  }
  return sums.map(({ right, count, named }, label) => {
    const other = mistaken.get(label)
    return {
      count,
      precision: right / named,
      recall: right / count,
      f1: (2 * right) / (count + named),
      ...(other ? { mistaken: other } : {}),
    }
  })
}

/** Answers whose certainty lies in one interval. */
export interface Bin {
  readonly count: number
  /** Mean probability of the answers. */
  readonly certainty: number
  /** Share of the answers that are right. */
  readonly accuracy: number
}

/** Expected calibration error (Guo et al. 2017): Σ count / all · |accuracy − certainty|. */
export function calibrationError(bins: readonly Bin[]): number {
  const all = total(bins.map(bin => bin.count))
  return total(bins.filter(b => b.count).map(b => (b.count / all) * Math.abs(b.accuracy - b.certainty)))
}

/** Wilson's interval, in which a share lies with 95 % that was `k` of `n` in a sample. */
export function interval(k: number, n: number): readonly [number, number] {
  const z = 1.959964
  const share = k / n
  const middle = (share + z ** 2 / (2 * n)) / (1 + z ** 2 / n)
  const half = (z / (1 + z ** 2 / n)) * Math.sqrt((share * (1 - share)) / n + z ** 2 / (4 * n ** 2))
  return [Math.max(0, middle - half), Math.min(1, middle + half)]
}
