import { batches } from '../../../src/data/batches.ts'
import type { ImageDataset } from '../../../src/data/dataset.ts'
import { lookup, nth } from '../../../src/graph/present.ts'
import { argmaxAt, logSumExpAt } from '../../../src/train/scores.ts'
import type { EpochReport, Mistake } from '../protocol.ts'
import type { Reader } from './reader.ts'

/** How many wrong answers are shown. */
const MISTAKES = 24

/**
 * A model's predictions on a whole set: the confusion matrix, and its most confident mistakes.
 * @param passed called between batches
 */
export async function outcome(
  reader: Reader,
  params: Float32Array,
  set: ImageDataset,
  passed: () => Promise<void>,
): Promise<Pick<EpochReport, 'confusion' | 'mistakes'>> {
  let confusion: number[][] = []
  let mistakes: Mistake[] = []
  for (const batch of batches(set, { batch: 100, shuffle: false })) {
    await passed()
    const images = lookup(batch, 'image').data as Float32Array
    const labels = lookup(batch, 'label').data
    const count = labels.length
    const { logits } = await reader.read(params, images)
    const classes = logits.length / count
    if (!confusion.length)
      confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0))
    const size = images.length / count
    for (let i = 0; i < count; i++) {
      const truth = Number(labels[i])
      const guess = argmaxAt(logits, i * classes, classes)
      const row = nth(confusion, truth)
      row[guess] = nth(row, guess) + 1
      if (guess === truth) continue
      const certainty = Math.exp(
        Number(logits[i * classes + guess]) - logSumExpAt(logits, i * classes, classes),
      )
      const pixels = images.slice(i * size, (i + 1) * size)
      mistakes.push({ pixels, truth, guess, certainty })
    }
    mistakes = mistakes.sort((a, b) => b.certainty - a.certainty).slice(0, MISTAKES)
  }
  return { confusion, mistakes }
}
