import { UserError } from '../graph/errors.ts'
import type { ImageDataset } from './dataset.ts'
import { DIGITS } from './digit.ts'
import type { NamedBytes } from './idx.ts'
import { packPixels, unpackPixels } from './pixel-code.ts'

// The file of the 10,000 digits bundled with onnxgrad, class after class: 'digits' and a version as ASCII, how many
// images each class has and a checksum of the pixels as little-endian uint32, then the packed pixels.

/** What the file is called, here and in the package. */
export const DIGITS_FILE = 'digits.bin'

const MAGIC = 'digits 1'
const SIDE = 28
const FIELDS = DIGITS.length + 1
const HEADER = MAGIC.length + 4 * FIELDS
/** A header that claims more images than MNIST has is damaged. */
const MOST = 70_000

/** FNV-1a. */
function checksum(bytes: Uint8Array): number {
  let hash = 0x811c9dc5
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}

/** @param images of 28 × 28 pixels in the order of their labels */
export function packDigits({ images, labels }: Pick<ImageDataset, 'images' | 'labels'>): Uint8Array {
  const packed = packPixels(images, SIDE)
  const file = new Uint8Array(HEADER + packed.length)
  file.set(new TextEncoder().encode(MAGIC))
  const all = Uint8Array.from(labels)
  const counts = DIGITS.map((_, digit) => all.filter(label => label === digit).length)
  const view = new DataView(file.buffer, MAGIC.length)
  for (const [i, field] of [...counts, checksum(images)].entries()) view.setUint32(4 * i, field, true)
  file.set(packed, HEADER)
  return file
}

/** @throws UserError when the file is another one, truncated or damaged */
export function unpackDigits({ name, bytes }: NamedBytes): ImageDataset {
  if (bytes.length < HEADER || new TextDecoder('latin1').decode(bytes.subarray(0, MAGIC.length)) !== MAGIC)
    throw new UserError(`${name}: is not ${DIGITS_FILE} of the onnxgrad package`)
  const view = new DataView(bytes.buffer, bytes.byteOffset + MAGIC.length)
  const fields = Array.from({ length: FIELDS }, (_, i) => view.getUint32(4 * i, true))
  const sum = fields.pop()
  const size = fields.reduce((a, b) => a + b, 0)
  const images = size <= MOST ? unpackPixels(bytes.subarray(HEADER), size, SIDE) : undefined
  if (!images || checksum(images) !== sum)
    throw new UserError(`${name}: is damaged or truncated; reinstall onnxgrad`)
  const labels = Uint8Array.from(fields.flatMap((count, digit) => new Array<number>(count).fill(digit)))
  return { name: 'digits', size, shape: [1, SIDE, SIDE], classes: DIGITS, images, labels }
}
