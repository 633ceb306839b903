import { toNdArray } from '../data/arrays.ts'
import { batches } from '../data/batches.ts'
import type { Dataset, ImageDataset, UserBatch } from '../data/dataset.ts'
import { elementsOf, type NdArray } from '../graph/array.ts'
import { UserError } from '../graph/errors.ts'
import { lookup, nth } from '../graph/present.ts'
import { printable } from '../graph/printable.ts'
import { show } from '../graph/shape.ts'
import type { Predictor } from '../train/predictor.ts'
import { argmaxAt, logSumExpAt } from '../train/scores.ts'
import { Confusion } from './confusion.ts'
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

/** What a classifier answers on a whole set. */
export interface Answers {
  /** Share of labels that got the highest logit. */
  readonly accuracy: number
  /** Mean cross-entropy. */
  readonly loss: number
  /** Labels that were compared: one for each image, or for each token. */
  readonly count: number
  /** Who is taken for whom. */
  readonly confusion: Confusion
  /** Wrongly answered images, the largest loss first; none of other data. */
  readonly worst: readonly Answered[]
  /** The first image of each class that is answered right, in the set's order; none of other data. */
  readonly right: readonly Answered[]
  /** Answers by their certainty, in bins of equal width from 0 to 1. */
  readonly bins: readonly Bin[]
}

/** What answers inputs by name with outputs by name. */
export type Classifier = Pick<Predictor, 'inputs' | 'outputs' | 'run'>

const BINS = 10

const LABEL = 'label'

/** What a model reads of a batch, by name. The only input may have another name than the only array beside the labels. */
function inputsOf({ inputs }: Classifier, batch: UserBatch): UserBatch {
  const [name, ...more] = Object.keys(inputs)
  const [given, ...others] = Object.entries(batch).filter(([key]) => key !== LABEL)
  return name !== undefined && given && !more.length && !others.length ? { [name]: given[1] } : batch
}

/** @throws UserError for a batch without labels */
function labelsOf(set: string, { label }: UserBatch): ArrayLike<number> {
  if (label === undefined)
    throw new UserError(`${set}: has no ${LABEL}, so predictions cannot be compared with it`)
  const { data } = toNdArray(`${set}: ${LABEL}`, label, { dtype: 'int32', shape: ['batch'] })
  if (data instanceof Int32Array) return data
  throw new Error('internal: labels are not int32')
}

/** Logits of a batch, `labels × classes`. @throws UserError for what is not the scores of so many labels */
function logitsOf(
  { outputs }: Classifier,
  got: Readonly<Record<string, NdArray>>,
  labels: number,
): { readonly logits: Float32Array; readonly classes: number } {
  const name = outputs.includes('logits') ? 'logits' : nth(outputs, 0)
  const { data: logits, dims } = lookup(got, name)
  if (!(logits instanceof Float32Array))
    throw new UserError(
      `the model returned ${printable(name)}, ${elementsOf(logits)} ${show(dims)}; expected float32 [batch, classes]`,
    )
  const classes = logits.length / labels
  if (!(Number.isInteger(classes) && classes >= 1))
    throw new UserError(
      `the model returned ${logits.length} scores for ${labels} labels; expected one score per class for each label`,
    )
  return { logits, classes }
}

/** An image, `[channels, height, width]` in [0, 1]. */
export function imageAt({ images, size }: ImageDataset, index: number): Float32Array {
  const each = images.length / size
  return Float32Array.from(images.subarray(index * each, (index + 1) * each), byte => byte / 255)
}

/**
 * One pass over a set, every example once, in the set's order.
 * @param most images kept, of the wrong answers and of the right ones each
 * @param batch examples of one run
 * @throws UserError when the set has no labels, or they are not among the classes that the model scores
 */
export async function answersOf(
  classifier: Classifier,
  set: Dataset,
  most: { readonly worst: number; readonly right: number } = { worst: 0, right: 0 },
  batch = 250,
): Promise<Answers> {
  const images = 'images' in set ? set : undefined
  const worst: Answered[] = []
  const right = new Map<number, Answered>()
  const bins = Array.from({ length: BINS }, () => ({ count: 0, certainty: 0, right: 0 }))
  let confusion: Confusion | undefined
  let [count, correct, total] = [0, 0, 0]
  for await (const b of batches(set, { batch, shuffle: false })) {
    const labels = labelsOf(set.name, b)
    const { logits, classes } = logitsOf(
      classifier,
      await classifier.run(inputsOf(classifier, b)),
      labels.length,
    )
    confusion ??= new Confusion(classes)
    for (let i = 0; i < labels.length; i++) {
      const at = i * classes
      const truth = Number(labels[i])
      if (!(truth >= 0 && truth < classes))
        throw new UserError(
          `the model returns ${classes} scores, but the data have a label ${truth}: model and data do not match`,
        )
      const guess = argmaxAt(logits, at, classes)
      const all = logSumExpAt(logits, at, classes)
      const loss = all - Number(logits[at + truth])
      const certainty = Math.exp(Number(logits[at + guess]) - all)
      const index = count + i
      confusion.add(truth, guess)
      total += loss
      const bin = nth(bins, Math.min(BINS - 1, Math.floor(certainty * BINS) || 0))
      bin.count++
      bin.certainty += certainty
      const answered = (of: ImageDataset): Answered => ({
        ...{ index, truth, guess, certainty, loss },
        pixels: imageAt(of, index),
      })
      if (guess === truth) {
        correct++
        bin.right++
        if (images && right.size < most.right && !right.has(truth)) right.set(truth, answered(images))
      } else if (images && (worst.length < most.worst || loss > (worst.at(-1)?.loss ?? loss))) {
        worst.push(answered(images))
        worst.sort((a, b) => b.loss - a.loss)
        worst.length = Math.min(worst.length, most.worst)
      }
    }
    count += labels.length
  }
  return {
    accuracy: correct / count,
    loss: total / count,
    count,
    confusion: confusion ?? new Confusion(0),
    worst,
    right: [...right.values()],
    bins: bins.map(bin => ({
      count: bin.count,
      certainty: bin.certainty / bin.count,
      accuracy: bin.right / bin.count,
    })),
  }
}
