import { type Allocate, alternating, batches } from '../data/batches.ts'
import type { Dataset } from '../data/dataset.ts'
import { UserError } from '../graph/errors.ts'
import { ahead } from './ahead.ts'

/** What answers logits for a batch: `[count, classes]`, or `[count, T, classes]` for tokens. */
export interface Predictor {
  predict(batch: { readonly input: Float32Array | Int32Array; readonly count: number }): Promise<Float32Array>
  /** Memory that batches are best made in. */
  readonly allocate: Allocate
}

export interface Evaluation {
  /** Share of labels that got the highest logit. */
  readonly accuracy: number
  /** Mean cross-entropy. */
  readonly loss: number
  /** Labels that were compared: one for each image, or for each token. */
  readonly count: number
  /** `confusion[truth][prediction]`: how many images. */
  readonly confusion: readonly (readonly number[])[]
}

/** Index of the largest of `size` values from `start`; the first at a tie. */
export function argmaxAt(values: ArrayLike<number>, start: number, size: number): number {
  let best = 0
  for (let i = 1; i < size; i++) if (values[start + i]! > values[start + best]!) best = i
  return best
}

/** ln Σ exp of `size` values from `start`. */
export function logSumExpAt(values: ArrayLike<number>, start: number, size: number): number {
  const top = values[start + argmaxAt(values, start, size)]!
  let sum = 0
  for (let i = 0; i < size; i++) sum += Math.exp(values[start + i]! - top)
  return top + Math.log(sum)
}

/** With more classes the table of confusions takes gigabytes. */
const MOST_CLASSES = 4096

/**
 * Accuracy, loss and confusion over a whole set, every image once.
 * @param batch images of one run
 * @throws UserError when what the model answers and the labels do not fit
 */
export async function evaluate(predictor: Predictor, dataset: Dataset, batch = 250): Promise<Evaluation> {
  let correct = 0
  let loss = 0
  let count = 0
  let confusion: number[][] = []
  const inTurn = alternating(batches(dataset, { batch, shuffle: false }), predictor.allocate)
  for await (const [b, logits] of ahead(inTurn, b => predictor.predict(b))) {
    const classes = logits.length / b.label.length
    if (!(classes >= 1 && classes <= MOST_CLASSES))
      throw new UserError(
        `the model answers ${logits.length} scores for ${b.label.length} labels; 1 to ${MOST_CLASSES} for each are compared`,
      )
    count += b.label.length
    if (!confusion.length)
      confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0))
    for (let i = 0; i < b.label.length; i++) {
      const truth = b.label[i]!
      if (!(truth < classes))
        throw new UserError(
          `the model answers ${classes} scores, and the data have a label ${truth}: they do not belong together`,
        )
      const guess = argmaxAt(logits, i * classes, classes)
      if (guess === truth) correct++
      loss += logSumExpAt(logits, i * classes, classes) - logits[i * classes + truth]!
      const row = confusion[truth]!
      row[guess] = row[guess]! + 1
    }
  }
  return { accuracy: correct / count, loss: loss / count, count, confusion }
}
