import { UserError } from '../graph/errors.ts'
import { type ImageDataset, labelsFor } from './dataset.ts'
import type { NamedBytes } from './idx.ts'

/**
 * The binary version of CIFAR-10 and CIFAR-100: records of the class's number and 3 × 32 × 32 bytes, the planes of red, green
 * and blue, row-major. In CIFAR-100 a byte for the superclass comes first, which is not used.
 *
 * Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; https://www.cs.toronto.edu/~kriz/cifar.html.
 */
const SHAPE = [3, 32, 32] as const
const PIXELS = 3 * 32 * 32

export interface CifarFormat {
  readonly name: string
  readonly classes: number
  /** Bytes before the pixels; the last of them is the class. */
  readonly labelBytes: number
  /** The name of each class, one a line. */
  readonly names: string
  readonly train: readonly string[]
  readonly test: string
}

export const CIFAR: readonly CifarFormat[] = [
  {
    name: 'cifar-10',
    classes: 10,
    labelBytes: 1,
    names: 'batches.meta.txt',
    train: [1, 2, 3, 4, 5].map(i => `data_batch_${i}.bin`),
    test: 'test_batch.bin',
  },
  {
    name: 'cifar-100',
    classes: 100,
    labelBytes: 2,
    names: 'fine_label_names.txt',
    train: ['train.bin'],
    test: 'test.bin',
  },
]

/** The names in a file of them. @throws UserError when they are not as many as the format has classes */
export function cifarClasses({ name, bytes }: NamedBytes, format: CifarFormat): readonly string[] {
  const names = new TextDecoder().decode(bytes).split(/\r?\n/)
  const classes = names.map(line => line.trim()).filter(line => line !== '')
  if (classes.length !== format.classes)
    throw new UserError(
      `${name}: lists ${classes.length} classes, but ${format.name} has ${format.classes}; write one per line`,
    )
  return classes
}

/** The records of all files, in their order. @throws UserError that names the file with a broken size or label */
export function cifarDataset(
  name: string,
  files: readonly NamedBytes[],
  classes: readonly string[],
  { labelBytes }: CifarFormat,
): ImageDataset {
  const record = labelBytes + PIXELS
  for (const { name, bytes } of files)
    if (!bytes.length || bytes.length % record)
      throw new UserError(
        `${name}: has ${bytes.length.toLocaleString('en-US')} bytes, not a whole number of records of ${record}: the file is truncated or in another format`,
      )
  const size = files.reduce((n, { bytes }) => n + bytes.length / record, 0)
  const images = new Uint8Array(size * PIXELS)
  const labels = labelsFor(classes, size)
  let at = 0
  for (const { name, bytes } of files)
    for (let start = 0; start < bytes.length; start += record, at++) {
      const label = Number(bytes[start + labelBytes - 1])
      if (label >= classes.length)
        throw new UserError(
          `${name}: label ${start / record} is ${label}, but labels are 0 … ${classes.length - 1}`,
        )
      labels[at] = label
      images.set(bytes.subarray(start + labelBytes, start + record), at * PIXELS)
    }
  return { name, size, shape: SHAPE, classes, images, labels }
}
