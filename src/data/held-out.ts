import { UserError } from '../graph/errors.ts'
import type { Normalization } from '../graph/normalization.ts'
import { nth } from '../graph/present.ts'
import { permutation } from './batches.ts'
import { type DataSource, type ImageDataset, labelsFor, statistics } from './dataset.ts'
import { joined, listed } from './notice.ts'

const SEED = 0

/** One image of so many is held out. */
const SHARE = 5

/** Both sides of a split. */
export interface HeldOut {
  /** Four fifths of each class. */
  readonly train: ImageDataset
  /** The rest. */
  readonly test: ImageDataset
  /** Which classes have too few images to be on both sides. */
  readonly notice?: string
}

/**
 * Splits images that come without a test set: four fifths of each class to train, one fifth held out, both shuffled, always
 * in the same way. Every class keeps at least one image to train on.
 * @throws UserError when there are fewer than five, or no class has two
 */
export function heldOut(all: ImageDataset): HeldOut {
  const { name, size } = all
  if (size < SHARE)
    throw new UserError(
      `${name} has ${size} images; at least ${SHARE} are needed to hold out a fifth of them`,
    )
  const { kept, held, notice } = split(all, 1, SHARE, 'test')
  if (!held.size)
    throw new UserError(
      `${name} has one image per class, and each class keeps one for training: nothing is left for testing; give a separate test set`,
    )
  return {
    train: { ...kept, name: `${name}/train` },
    test: { ...held, name: `${name}/held-out` },
    ...(notice ? { notice } : {}),
  }
}

/** A source of images with a validation set. */
export type Validated<S extends DataSource> = Omit<S, 'train' | 'val' | 'normalization'> & {
  readonly train: ImageDataset
  readonly val: ImageDataset
  readonly normalization: Normalization
}

/**
 * Takes examples to validate on from those to train on: the same share of each class, always the same ones, whatever the
 * run's seed is. Every class keeps at least one example to train on; the source's notice names the classes of which there
 * are too few to validate on. The training images that remain are shuffled, and the normalization is theirs: nothing of
 * the validation set is known to the model.
 * @param valSplit how much: a share in (0, 1), or a whole number of examples
 * @throws UserError when it leaves no example on a side, or a class without an example to train on; when the data come in
 *   batches of their own, or with a validation set
 */
export function withValidation<S extends DataSource>(source: S, valSplit: number): Validated<S> {
  const { train, val } = source
  if (val)
    throw new UserError(
      `${source.origin} already has ${val.size} validation examples; remove the validation split of ${valSplit}`,
    )
  if (!('images' in train))
    throw new UserError(
      `${train.name} is a stream of batches, which cannot be split: give the validation examples as val`,
    )
  const count = validationCount(train.name, train.size, valSplit)
  const { kept, held, notice } = split(train, count, train.size, 'validate')
  // A share may be a little less; a number is meant.
  if (held.size < (valSplit < 1 ? 1 : count))
    throw new UserError(
      `a validation split of ${valSplit} takes ${count} of the ${train.size} training examples of ${train.name}; it can take at most ${held.size}, because each class keeps one for training`,
    )
  return {
    ...source,
    train: kept,
    val: { ...held, name: `${train.name}/val` },
    normalization: statistics(kept),
    ...joined(source.notice, notice),
  }
}

/**
 * How many of `size` examples a validation split takes.
 * @throws UserError when that is none or all of them, or `valSplit` is neither a share nor a count
 */
export function validationCount(name: string, size: number, valSplit: number): number {
  if (!(valSplit > 0) || (valSplit >= 1 && !Number.isInteger(valSplit)))
    throw new UserError(
      `a validation split must be a share between 0 and 1 or a whole number of examples, not ${valSplit}`,
    )
  const count = valSplit < 1 ? Math.round(valSplit * size) : valSplit
  if (count < 1 || count >= size)
    throw new UserError(
      `a validation split of ${valSplit} takes ${count} of the ${size} training examples of ${name}; it must take at least 1 and leave at least 1`,
    )
  return count
}

interface Split {
  readonly kept: ImageDataset
  readonly held: ImageDataset
  readonly notice?: string
}

/** Holds out `count` of every `of` images, evenly over the classes, or as many as leave each class one image. */
function split(all: ImageDataset, count: number, of: number, purpose: 'test' | 'validate'): Split {
  const { shape, images, labels, classes } = all
  const pixels = shape[0] * shape[1] * shape[2]
  // Class after class, so that a fifth in even steps is a fifth of each class.
  const sorted = [...labels.keys()].sort((a, b) => Number(labels[a]) - Number(labels[b]) || a - b)
  const isHeld = sorted.map((_, place) => ((place + 1) * count) % of < count)
  const groups = classRanges(sorted.map(index => Number(labels[index])))
  keepOneOfEach(isHeld, groups, count / of)
  const pick = (chosen: readonly number[]): ImageDataset => {
    const order = Array.from(permutation(chosen.length, SEED, 0), i => nth(chosen, i))
    const picked = new Uint8Array(order.length * pixels)
    const label = labelsFor(classes, order.length)
    order.forEach((index, i) => {
      picked.set(images.subarray(index * pixels, (index + 1) * pixels), i * pixels)
      label[i] = Number(labels[index])
    })
    return { ...all, size: order.length, images: picked, labels: label }
  }
  const few = groups
    .filter(({ from, to }) => !isHeld.slice(from, to).includes(true))
    .map(({ label, from, to }) => `${classes[label]} (${to - from})`)
  return {
    kept: pick(sorted.filter((_, place) => !isHeld[place])),
    held: pick(sorted.filter((_, place) => isHeld[place])),
    ...(few.length
      ? {
          notice: `${few.length} of ${groups.length} classes have too few examples to ${purpose} on; all of them are used for training: ${listed(few)}`,
        }
      : {}),
  }
}

/** Where the examples of a class stand: `from` … `to` − 1. */
interface ClassRange {
  readonly label: number
  readonly from: number
  readonly to: number
}

function classRanges(labels: readonly number[]): ClassRange[] {
  const ranges: ClassRange[] = []
  for (let from = 0; from < labels.length; ) {
    let to = from
    while (labels[to] === labels[from]) to++
    ranges.push({ label: nth(labels, from), from, to })
    from = to
  }
  return ranges
}

/**
 * Gives a class that would lose all its examples one back. In its place another one is held out, of the class that is
 * furthest below its share.
 * @param share of all examples, how many are held out
 */
function keepOneOfEach(isHeld: boolean[], groups: readonly ClassRange[], share: number): void {
  const all = groups.map(({ from, to }) => {
    const held = isHeld.slice(from, to).filter(Boolean).length
    return { from, to, size: to - from, held }
  })
  let owed = 0
  for (const group of all) {
    if (group.held < group.size) continue
    isHeld[group.from] = false
    group.held--
    owed++
  }
  const missing = ({ size, held }: { size: number; held: number }): number => size * share - held
  for (; owed; owed--) {
    const [first, ...others] = all.filter(({ size, held }) => size - held > 1)
    if (!first) return
    const most = others.reduce((best, group) => (missing(group) > missing(best) ? group : best), first)
    isHeld[isHeld.lastIndexOf(false, most.to - 1)] = true
    most.held++
  }
}
