import { UserError } from '../graph/errors.ts'
import { permutation } from './batches.ts'
import { type DataSource, type ImageDataset, labelsFor, statistics } from './dataset.ts'

const SEED = 0

/** One image of so many is held out. */
const SHARE = 5

/**
 * Splits images of which no part is meant for tests: four fifths of each class to train, one fifth held out, both shuffled, always
 * in the same way.
 * @throws UserError when there are fewer than five
 */
export function heldOut(all: ImageDataset): { train: ImageDataset; test: ImageDataset } {
  const { name, size } = all
  if (size < SHARE)
    throw new UserError(`${name} has ${size} images; it takes ${SHARE} to hold out a fifth of them`)
  const [train, test] = split(all, 1, SHARE)
  return { train: { ...train, name: `${name}/train` }, test: { ...test, name: `${name}/held-out` } }
}

/**
 * Takes examples to validate on from those to train on: of each class the same share, always the same ones, whatever the
 * run's seed is. The training images that remain are shuffled, and the normalization is theirs: nothing of the validation set is known
 * to the model.
 * @param valSplit how much: a share in (0, 1), or a whole number of examples
 * @throws UserError when it leaves no example on a side, the data come in batches of their own, or with a validation set
 */
export function withValidation(source: DataSource, valSplit: number): DataSource {
  const { train, val } = source
  if (val)
    throw new UserError(
      `${source.origin} come with ${val.size} examples to validate on; leave the validation split of ${valSplit} out`,
    )
  const count = validationCount(train.name, train.size, valSplit)
  if (!('images' in train))
    throw new UserError(
      `${train.name} comes in batches of its own, which cannot be split: give its validation examples as val`,
    )
  const [rest, held] = split(train, count, train.size)
  return {
    ...source,
    train: rest,
    val: { ...held, name: `${train.name}/val` },
    normalization: statistics(rest),
  }
}

/**
 * How many of `size` examples a validation split takes.
 * @throws UserError when that is none or all of them, or `valSplit` is neither a share nor a count
 */
export function validationCount(name: string, size: number, valSplit: number): number {
  if (!(valSplit > 0) || (valSplit >= 1 && !Number.isInteger(valSplit)))
    throw new UserError(
      `a validation split is a share between 0 and 1, or a whole number of examples, not ${valSplit}`,
    )
  const count = valSplit < 1 ? Math.round(valSplit * size) : valSplit
  if (count < 1 || count >= size)
    throw new UserError(
      `a validation split of ${valSplit} takes ${count} of the ${size} training examples of ${name}; it takes at least 1 and leaves at least 1`,
    )
  return count
}

/** Holds out `count` of every `of` images, evenly over the classes; what is kept, then what is held out. */
function split(all: ImageDataset, count: number, of: number): [kept: ImageDataset, held: ImageDataset] {
  const { shape, images, labels } = all
  const pixels = shape[0] * shape[1] * shape[2]
  // Class after class, so that a fifth in even steps is a fifth of each class.
  const sorted = [...labels.keys()].sort((a, b) => labels[a]! - labels[b]! || a - b)
  const isHeld = (place: number): boolean => ((place + 1) * count) % of < count
  const pick = (chosen: readonly number[]): ImageDataset => {
    const order = Array.from(permutation(chosen.length, SEED, 0), i => chosen[i]!)
    const picked = new Uint8Array(order.length * pixels)
    const label = labelsFor(all.classes, order.length)
    order.forEach((index, i) => {
      picked.set(images.subarray(index * pixels, (index + 1) * pixels), i * pixels)
      label[i] = labels[index]!
    })
    return { ...all, size: order.length, images: picked, labels: label }
  }
  return [pick(sorted.filter((_, place) => !isHeld(place))), pick(sorted.filter((_, place) => isHeld(place)))]
}
