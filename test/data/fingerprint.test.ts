import { describe, expect, test } from 'vitest'
import type { BatchedDataset, BatchOptions, ImageDataset, UserBatch } from '../../src/data/dataset.ts'
import { areFingerprints, compare, type Fingerprints, fingerprint } from '../../src/data/fingerprint.ts'
import { textDataset, tokenize } from '../../src/data/text.ts'

/** So many images of 12 × 12 pixels: more bytes than are looked at. */
const set = (size = 20_000): ImageDataset => ({
  name: 'set',
  size,
  shape: [1, 12, 12],
  classes: ['a', 'b', 'c'],
  images: Uint8Array.from({ length: size * 144 }, (_, i) => (i * 31 + (i >> 9)) % 251),
  labels: Uint8Array.from({ length: size }, (_, i) => i % 3),
})

/** Whether a change is seen, and where. */
async function seen(changed: Partial<ImageDataset>, of: ImageDataset = whole): Promise<string[]> {
  const before = await fingerprint(of)
  const after = await fingerprint({ ...of, ...changed })
  return (['size', 'shape', 'classes', 'content'] as const).filter(
    key => JSON.stringify(before[key]) !== JSON.stringify(after[key]),
  )
}
const whole = set()

describe('the fingerprint of images', () => {
  test('is the same for the same data, whatever they are called', async () => {
    expect(await fingerprint(set())).toEqual(await fingerprint(whole))
    expect(await seen({ name: 'another' })).toEqual([])
    expect((await fingerprint(whole)).content).toMatch(/^[0-9a-f]{32}$/)
  })

  test('leaves the data as they are, and does not depend on what holds them', async () => {
    const images = Buffer.from(whole.images)
    const labels = Buffer.from(whole.labels)
    expect(await fingerprint({ ...whole, images, labels })).toEqual(await fingerprint(whole))
    expect(images.equals(whole.images)).toBe(true)
    expect([...labels]).toEqual([...whole.labels])
  })

  test('differs where pixels are inverted, one image is another, or two have changed places', async () => {
    expect(await seen({ images: whole.images.map(v => 255 - v) })).toEqual(['content'])
    for (const index of [0, 1, 777, 19_999]) {
      const images = whole.images.slice()
      images.fill(7, index * 144, (index + 1) * 144)
      expect(await seen({ images })).toEqual(['content'])
    }
    const images = whole.images.slice()
    images.copyWithin(0, 144, 288)
    images.set(whole.images.subarray(0, 144), 144)
    expect(await seen({ images })).toEqual(['content'])
  })

  test('differs where one label does, or the classes do', async () => {
    for (const index of [0, 9_999, 19_999]) {
      const labels = whole.labels.slice()
      labels[index] = (labels[index]! + 1) % 3
      expect(await seen({ labels })).toEqual(['content'])
    }
    expect(await seen({ classes: ['a', 'c', 'b'] })).toEqual(['classes'])
    expect(await seen({ classes: ['a', 'b', 'c', 'd'] })).toEqual(['classes'])
    expect(await seen({ shape: [1, 9, 16] })).toEqual(['shape'])
  })

  test('has some of each image of few, and of many large ones', async () => {
    const large: ImageDataset = { ...set(3), shape: [1, 1000, 1000], images: new Uint8Array(3e6) }
    const images = large.images.slice()
    images.fill(1, 2e6 + 500_000, 2e6 + 500_100)
    expect(await seen({ images }, large)).toEqual(['content'])
    expect(await seen({ images: set(3).images.map(v => v + 1) }, set(3))).toEqual(['content'])
  })
})

describe('the fingerprint of data that come in batches', () => {
  /** Asked for more than it should be, it fails. */
  const drawn = (seed: number, size = 1e6): BatchedDataset => ({
    name: `drawn ${seed}`,
    size,
    features: { x: { dtype: 'float32', shape: [4] }, label: { dtype: 'int32', shape: [] } },
    classes: ['a', 'b'],
    *batches({ batch, skip = 0 }: BatchOptions) {
      const data = new Float32Array(batch * 4)
      const label = new Int32Array(batch)
      for (let start = skip * batch; start < size; start += batch) {
        if (start > 5000) throw new Error('asked for too much')
        data.forEach((_, i) => {
          data[i] = start * 4 + i + seed
        })
        yield { x: { data, dims: [batch, 4] }, label: label.fill(start % 2) }
      }
    },
  })

  test('is made of the first ones, and does not depend on the name', async () => {
    const first = await fingerprint(drawn(0))
    expect(await fingerprint({ ...drawn(0), name: 'other' })).toEqual(first)
    expect((await fingerprint(drawn(1))).content).not.toBe(first.content)
    expect((await fingerprint(drawn(0, 1e5))).content).toBe(first.content)
  })

  test('is made of all characters of a text', async () => {
    const text = 'the quick brown fox. '.repeat(2000)
    const data = (all: string) => fingerprint(textDataset('text', tokenize(all), 32))
    const first = await data(text)
    expect(await data(text)).toEqual(first)
    const swapped = `${text.slice(0, 30_000)}${text[30_001]}${text[30_000]}${text.slice(30_002)}`
    const other = await data(swapped)
    expect({ ...other, content: '' }).toEqual({ ...first, content: '' })
    expect(other.content).not.toBe(first.content)
  })

  test('is of the values, however batches hold them', async () => {
    const stream = (batch: () => UserBatch): BatchedDataset => ({
      name: 's',
      size: 2,
      batches: () => [batch()],
    })
    const nested = await fingerprint(
      stream(() => ({
        x: [
          [1, 2],
          [3, 4],
        ],
        y: [0, 1],
      })),
    )
    expect(
      await fingerprint(
        stream(() => ({
          x: [
            [1, 2],
            [3, 4],
          ],
          y: [0, 1],
        })),
      ),
    ).toEqual(nested)
    expect(
      (
        await fingerprint(
          stream(() => ({
            x: [
              [1, 2],
              [3, 5],
            ],
            y: [0, 1],
          })),
        )
      ).content,
    ).not.toBe(nested.content)
    const half = (last: number) =>
      stream(() => ({ x: { data: Uint16Array.of(1, 2, 3, last), dims: [2, 2] } }))
    expect((await fingerprint(half(4))).content).not.toBe((await fingerprint(half(5))).content)
    const long = (last: bigint) => stream(() => ({ x: BigInt64Array.of(1n, last) }))
    expect((await fingerprint(long(2n))).content).not.toBe((await fingerprint(long(3n))).content)
  })
})

describe('comparing', async () => {
  const one = await fingerprint(set(4))
  const run: Fingerprints = { train: one, val: one, test: one }

  test('says all that differs, and nothing where nothing does', () => {
    expect(compare(run, structuredClone(run))).toEqual({ differences: [] })
    const { val: _, ...without } = run
    expect(compare(run, without).differences).toEqual([
      'there is no validation set, but the run has one of 4 examples',
    ])
    expect(compare(without, run).differences).toEqual([
      'there is a validation set of 4 examples, but the run has none',
    ])
    const other = { size: 5, shape: [3, 1, 1], classes: 'x', content: 'y' }
    expect(compare(run, { ...run, test: other, val: { ...one, content: 'z' } }).differences).toEqual([
      'the validation set has the same number of examples but different content',
      "the test set has 5 examples, but the run's has 4 examples",
      "the test set has examples of 3×1×1, but the run's are 1×12×12",
      'the test set has different classes, or the same classes in a different order',
    ])
    expect(compare(run, { ...run, train: other }, ['test'])).toEqual({ differences: [] })
  })

  test('does not judge pictures that other programs prepared', () => {
    const prepared = { ...run, preparedBy: 'sharp 1' }
    const data = { ...prepared, train: { ...one, content: 'y' } }
    expect(compare(prepared, data).differences).toHaveLength(1)
    const newer = compare(prepared, { ...data, preparedBy: 'sharp 2' })
    expect(newer.differences).toEqual([])
    expect(newer.notice).toMatch(/^the pictures were prepared by sharp 1, now by sharp 2: /)
    expect(compare(prepared, { ...prepared, preparedBy: 'sharp 2' })).toEqual({ differences: [] })
    expect(
      compare(prepared, { ...data, preparedBy: 'sharp 2', test: { ...one, size: 9 } }).differences,
    ).toHaveLength(1)
  })

  test('knows what fingerprints are', () => {
    expect(areFingerprints(JSON.parse(JSON.stringify({ ...run, preparedBy: 'x' })))).toBe(true)
    for (const wrong of [
      undefined,
      null,
      3,
      {},
      { ...run, val: 1 },
      { ...run, test: { ...one, shape: 'x' } },
    ])
      expect(areFingerprints(wrong)).toBe(false)
  })
})
