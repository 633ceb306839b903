import { alternating, batches } from '../data/batches.ts'
import type { Dataset } from '../data/dataset.ts'
import { ahead } from '../train/ahead.ts'
import { argmaxAt, type Evaluation, logSumExpAt, type Predictor } from '../train/evaluate.ts'
import type { Bin } from './scores.ts'

/** An image of a set, and what a model answered. */
export interface Answered {
  /** Where it is in the set, from 0. */
  readonly index: number
  readonly truth: number
  readonly guess: number
  /** Probability of the guess. */
  readonly certainty: number
  /** −ln of the truth's probability. */
  readonly loss: number
  /** `[channels, height, width]` in [0, 1]. */
  readonly pixels: Float32Array
}

/** What a model answers on a whole set. */
export interface Answers extends Evaluation {
  /** Wrongly answered images, the largest loss first; none of tokens. */
  readonly worst: readonly Answered[]
  /** The first image of each class that is answered right, in the set's order; none of tokens. */
  readonly right: readonly Answered[]
  /** Answers by their certainty, in bins of equal width from 0 to 1. */
  readonly bins: readonly Bin[]
}

const BINS = 10

/**
 * One pass over a set, every example once.
 * @param most images kept, of the wrong answers and of the right ones each
 * @param batch examples of one run
 */
export async function answersOf(
  predictor: Predictor,
  set: Dataset,
  most: { readonly worst: number; readonly right: number },
  batch = 250,
): Promise<Answers> {
  const areImages = set.shape.length === 3
  const worst: Answered[] = []
  const right = new Map<number, Answered>()
  const bins = Array.from({ length: BINS }, () => ({ count: 0, certainty: 0, right: 0 }))
  let confusion: number[][] = []
  let [count, correct, total] = [0, 0, 0]
  const inTurn = alternating(batches(set, { batch, shuffle: false }), predictor.allocate)
  for await (const [b, logits] of ahead(inTurn, b => predictor.predict(b))) {
    const classes = logits.length / b.label.length
    const size = b.input.length / b.count
    confusion = confusion.length
      ? confusion
      : Array.from({ length: classes }, () => new Array(classes).fill(0))
    for (let i = 0; i < b.label.length; i++) {
      const at = i * classes
      const truth = b.label[i]!
      const guess = argmaxAt(logits, at, classes)
      const all = logSumExpAt(logits, at, classes)
      const loss = all - logits[at + truth]!
      const certainty = Math.exp(logits[at + guess]! - all)
      const index = count + i
      confusion[truth]![guess]! += 1
      total += loss
      const bin = bins[Math.min(BINS - 1, Math.floor(certainty * BINS) || 0)]!
      bin.count++
      bin.certainty += certainty
      const answered = (): Answered => {
        const pixels = (b.input as Float32Array).slice(i * size, (i + 1) * size)
        return { index, truth, guess, certainty, loss, pixels }
      }
      if (guess === truth) {
        correct++
        bin.right++
        if (areImages && right.size < most.right && !right.has(truth)) right.set(truth, answered())
      } else if (areImages && (worst.length < most.worst || loss > (worst.at(-1)?.loss ?? loss))) {
        worst.push(answered())
        worst.sort((a, b) => b.loss - a.loss)
        worst.length = Math.min(worst.length, most.worst)
      }
    }
    count += b.label.length
  }
  return {
    accuracy: correct / count,
    loss: total / count,
    count,
    confusion,
    worst,
    right: [...right.values()],
    bins: bins.map(bin => ({
      count: bin.count,
      certainty: bin.certainty / bin.count,
      accuracy: bin.right / bin.count,
    })),
  }
}
