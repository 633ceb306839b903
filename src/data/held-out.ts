import { UserError } from '../graph/errors.ts'
import { permutation } from './batches.ts'
import type { ImageDataset } from './dataset.ts'

const SEED = 0

/** One image of so many is held out. */
const SHARE = 5

/**
 * Splits images of which no part is meant for tests: four fifths of each class to train, one fifth held out, both shuffled, always
 * in the same way.
 * @throws UserError when there are fewer than five
 */
export function heldOut(all: ImageDataset): { train: ImageDataset; test: ImageDataset } {
  const { name, size, shape, images, labels } = all
  if (size < SHARE)
    throw new UserError(`${name} has ${size} images; it takes ${SHARE} to hold out a fifth of them`)
  const pixels = shape[0] * shape[1] * shape[2]
  // Class after class, so that every fifth is a fifth of each class.
  const sorted = [...labels.keys()].sort((a, b) => labels[a]! - labels[b]! || a - b)
  const pick = (part: string, kept: (place: number) => boolean): ImageDataset => {
    const chosen = sorted.filter((_, place) => kept(place))
    const order = Array.from(permutation(chosen.length, SEED, 0), i => chosen[i]!)
    const picked = new Uint8Array(order.length * pixels)
    order.forEach((index, i) => {
      picked.set(images.subarray(index * pixels, (index + 1) * pixels), i * pixels)
    })
    return {
      ...all,
      name: `${name}/${part}`,
      size: order.length,
      images: picked,
      labels: Uint8Array.from(order, index => labels[index]!),
    }
  }
  const last = SHARE - 1
  return {
    train: pick('train', place => place % SHARE !== last),
    test: pick('held-out', place => place % SHARE === last),
  }
}
