import { readFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { DIGITS_PATH, packagedDigits } from '../../src/data/digits-node.ts'
import { digits } from '../../src/data/digits-web.ts'
import { heldOut } from '../../src/data/held-out.ts'
import { idxData } from '../../src/data/idx-web.ts'
import { UserError } from '../../src/graph/errors.ts'
import { idx, mirror, tiny } from './files.ts'

// What pages read files with runs in Node too; pictures need a browser and are tested in test/web.

const file = (name: string, bytes: Uint8Array) => new File([bytes as BlobPart], name)

/** The message of the UserError, which must be one line. */
async function problem(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(error instanceof UserError)) throw error ?? new Error('there was no error')
  expect(error.message).not.toContain('\n')
  return error.message
}

const [train, held] = [{ ...tiny(5), labels: idx(0x801, [5], [0, 1, 0, 1, 1]) }, tiny(2)]
const four = (changed: Readonly<Record<string, Uint8Array>> = {}): File[] =>
  Object.entries({
    'train-images-idx3-ubyte': train.images,
    'train-labels-idx1-ubyte': train.labels,
    't10k-images-idx3-ubyte': held.images,
    't10k-labels-idx1-ubyte': held.labels,
    ...changed,
  }).map(([name, bytes]) => file(name, bytes))

describe('IDX files chosen in a page', () => {
  test('make training and test set, in any order, plain or gzip', async () => {
    const [a, b, c, d] = four({ 'train-images-idx3-ubyte': gzipSync(train.images) })
    const source = await idxData([d!, a!, c!, b!])
    expect([source.train.size, source.test.size]).toEqual([5, 2])
    expect(source.train.shape).toEqual([1, 2, 3])
    expect([...source.train.images]).toEqual([...Array(30).keys()])
    expect([...source.test.labels]).toEqual([0, 1])
    expect(source.normalization.mean[0]).toBeCloseTo(14.5 / 255, 4)
  })

  test('are to train on where a name only ends in "test"', async () => {
    const [a, b] = four()
    const files = [new File([a!], 'latest-images'), new File([b!], 'latest-labels')]
    const source = await idxData(files)
    expect([source.train.size, source.test.size]).toEqual([4, 1])
  })

  test('images and labels alone hold out a fifth of each class', async () => {
    const labels = Array.from({ length: 50 }, (_, i) => i % 5)
    const images = labels.map((_, i) => i)
    const source = await idxData([
      file('some-images', idx(0x803, [50, 1, 1], images)),
      file('some-labels', idx(0x801, [50], labels)),
    ])
    expect([source.train.size, source.test.size]).toEqual([40, 10])
    for (const label of [0, 1, 2, 3, 4])
      expect([...source.test.labels].filter(l => l === label)).toHaveLength(2)
    // The pixel of each image is its number, so that its label is known.
    for (const set of [source.train, source.test])
      expect([...set.labels]).toEqual([...set.images].map(i => i % 5))
    expect(new Set([...source.train.images, ...source.test.images]).size).toBe(50)
  })

  test.each([
    ['no files', () => [], /^no files: choose MNIST's four IDX files/],
    ['no labels', () => four().slice(0, 1), /^no labels among train-images-idx3-ubyte; choose/],
    [
      'two of one kind',
      () => [...four(), file('more', train.images)],
      /^train-images-idx3-ubyte and more both hold images; choose/,
    ],
    [
      'no IDX',
      () => [file('notes.txt', new TextEncoder().encode('hello'))],
      /^notes.txt: not an IDX file: it starts with/,
    ],
    [
      'a truncated file',
      () => four({ 'train-images-idx3-ubyte': train.images.subarray(0, 30) }),
      /^train-images-idx3-ubyte: has 30 bytes, but its header declares 46/,
    ],
    [
      'a truncated gzip file',
      () => four({ 'train-images-idx3-ubyte': gzipSync(train.images).subarray(0, 30) }),
      /^train-images-idx3-ubyte: its gzip data is corrupt or truncated/,
    ],
    [
      'a gzip bomb',
      () => four({ 'train-labels-idx1-ubyte': gzipSync(Buffer.concat([train.labels, Buffer.alloc(1e7)])) }),
      /^train-labels-idx1-ubyte: unpacks to more bytes than its header declares/,
    ],
    [
      'other sizes in training and test set',
      () => four({ 't10k-images-idx3-ubyte': idx(0x803, [2, 1, 1], [1, 2]) }),
      /training images are 2 × 3, but test images are 1 × 1/,
    ],
  ])('%s: refused with what is wrong', async (_, files, message) => {
    expect(await problem(idxData(files()))).toMatch(message)
  })
})

describe('the bundled digits in a page', async () => {
  const packed = await readFile(DIGITS_PATH)

  test('are those that Node has without MNIST', async () => {
    const url = await mirror((_, response) => response.end(packed))
    const { train, test } = await digits(`${url}/digits.bin`)
    expect([train.size, test.size]).toEqual([8000, 2000])
    const node = heldOut(await packagedDigits())
    for (const [ours, theirs] of [
      [train, node.train],
      [test, node.test],
    ] as const) {
      expect(ours.name).toBe(theirs.name)
      expect(Buffer.compare(ours.images, theirs.images)).toBe(0)
      expect([...ours.labels]).toEqual([...theirs.labels])
    }
  })

  test('a file that is missing or damaged is reported with its address', async () => {
    const url = await mirror((request, response) => {
      if (request.url?.endsWith('missing')) response.statusCode = 404
      response.end(request.url?.endsWith('half') ? packed.subarray(0, packed.length >> 1) : 'no digits')
    })
    expect(await problem(digits(`${url}/missing`))).toMatch(
      /missing: the server responded with 404; the digits are in/,
    )
    expect(await problem(digits(`${url}/other`))).toMatch(/other: is not digits.bin of the onnxgrad package/)
    expect(await problem(digits(`${url}/half`))).toMatch(/half: is damaged or truncated; reinstall onnxgrad/)
    expect(await problem(digits('http://127.0.0.1:1/digits.bin'))).toMatch(/the server does not respond/)
  })
})
