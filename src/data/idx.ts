import { UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import type { ImageDataset } from './dataset.ts'
import { DIGITS, inkOf } from './digit.ts'
import { MNIST_DIGIT, type Preprocessing, RESIZE } from './preprocess.ts'

/**
 * The IDX files that MNIST and its relatives come in: a big-endian header (magic number, count and, for images, height
 * and width), then one byte per pixel or label.
 *
 * Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", file formats.
 */
const IMAGES = { magic: 0x00000803, fields: 4, what: 'images' } as const
const LABELS = { magic: 0x00000801, fields: 2, what: 'labels' } as const

/** A header that claims more than this is broken or hostile; MNIST's largest file has 47 million bytes. */
const MAX_BYTES = 2 ** 30

/** The bytes of a file and the name that errors call it by. */
export interface NamedBytes {
  readonly name: string
  readonly bytes: Uint8Array
}

interface Header {
  readonly kind: typeof IMAGES | typeof LABELS
  /** Count, then height and width for images. */
  readonly dims: readonly number[]
  /** Of the whole file. */
  readonly bytes: number
}

/**
 * The size in bytes, header included, that an uncompressed IDX file claims in its header, for which its first 16 bytes
 * are enough. Throws a `UserError` where the file is not an IDX file or the size is absurd.
 */
export function idxBytes(file: NamedBytes): number {
  return header(file).bytes
}

/** What an IDX file holds. @throws UserError where this is none */
export const idxKind = (file: NamedBytes): 'images' | 'labels' => header(file).kind.what

/**
 * Images and their labels as a data set with one channel. Throws a `UserError` that names the file where one is
 * no IDX file of its kind, is truncated or too long, has a label outside of `classes`, or the counts differ.
 */
export function idxDataset(
  name: string,
  images: NamedBytes,
  labels: NamedBytes,
  classes: readonly string[],
): ImageDataset {
  const dims = check(images, IMAGES)
  const count = nth(dims, 0)
  const labelled = nth(check(labels, LABELS), 0)
  if (count !== labelled) {
    throw new UserError(
      `${labels.name}: has ${number(labelled)} labels for the ${number(count)} images of ${images.name}`,
    )
  }
  const values = labels.bytes.subarray(LABELS.fields * 4)
  const wrong = values.findIndex(label => label >= classes.length)
  if (wrong >= 0) {
    throw new UserError(
      `${labels.name}: label ${number(wrong)} is ${values[wrong]}, but labels are 0 … ${classes.length - 1}`,
    )
  }
  return {
    name,
    size: count,
    shape: [1, nth(dims, 1), nth(dims, 2)],
    classes,
    images: images.bytes.subarray(IMAGES.fields * 4),
    labels: values,
  }
}

/** Images that are looked at to see how a data set was made. */
const SAMPLE = 200

/**
 * How pictures become images such as those of IDX files: of digits as MNIST's, light on dark, by the way that those were made; all others are
 * taken as they are.
 */
export function idxPreprocessing({ classes, shape, images, size }: ImageDataset): Preprocessing {
  if (classes.join() !== DIGITS.join()) return RESIZE
  const [, height, width] = shape
  const isLight = (i: number): boolean => {
    const data = images.subarray(i * height * width, (i + 1) * height * width)
    return inkOf({ data, width, height, channels: 1 }) === 'light'
  }
  const count = Math.min(size, SAMPLE)
  const light = Array.from({ length: count }, (_, i) => isLight(i)).filter(Boolean).length
  return light > count / 2 ? MNIST_DIGIT : RESIZE
}

/** Checks a whole file and returns its dims. */
function check(file: NamedBytes, kind: Header['kind']): readonly number[] {
  const found = header(file)
  if (found.kind !== kind) {
    throw new UserError(
      `${file.name}: holds ${found.kind.what} (magic ${hex(found.kind.magic)}), not ${kind.what}`,
    )
  }
  const size = file.bytes.length
  if (size !== found.bytes) {
    const dims = found.dims.map(number).join(' × ')
    throw new UserError(
      `${file.name}: has ${number(size)} bytes, but its header declares ${number(found.bytes)} (${dims}): ` +
        (size < found.bytes ? 'the file is truncated' : `${number(size - found.bytes)} bytes too many`),
    )
  }
  return found.dims
}

function header({ name, bytes }: NamedBytes): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const magic = bytes.length >= 4 ? view.getUint32(0) : undefined
  const kind = [IMAGES, LABELS].find(k => k.magic === magic)
  if (!kind) {
    const found = magic === undefined ? `has ${bytes.length} bytes` : `starts with ${hex(magic)}`
    throw new UserError(
      `${name}: not an IDX file: it ${found}; images start with ${hex(IMAGES.magic)} and labels with ${hex(LABELS.magic)}`,
    )
  }
  if (bytes.length < kind.fields * 4) {
    throw new UserError(
      `${name}: has ${bytes.length} bytes, but its header alone needs ${kind.fields * 4}: the file is truncated`,
    )
  }
  const dims = Array.from({ length: kind.fields - 1 }, (_, i) => view.getUint32(4 * (i + 1)))
  const total = kind.fields * 4 + dims.reduce((product, dim) => product * dim, 1)
  if (dims.includes(0) || total > MAX_BYTES) {
    throw new UserError(
      `${name}: its header claims ${dims.map(number).join(' × ')} bytes; it must be 1 … ${number(MAX_BYTES)}`,
    )
  }
  return { kind, dims, bytes: total }
}

const hex = (magic: number): string => `0x${magic.toString(16).padStart(8, '0')}`
const number = (value: number): string => value.toLocaleString('en-US')
