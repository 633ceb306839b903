import { readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadImages } from '../../src/data/images-node.ts'
import { UserError } from '../../src/graph/errors.ts'
import { temporaryFolder } from './files.ts'

const NAMES = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck']

/** A record: the bytes before the pixels, then planes of one colour whose first pixel is white. */
function record(label: readonly number[], [r, g, b]: readonly [number, number, number]): Uint8Array {
  const planes = [r, g, b].map(v => Uint8Array.from({ length: 1024 }, (_, i) => (i ? v : 255)))
  return Buffer.concat([Uint8Array.from(label), ...planes])
}

/** Two records in each of the six files; the pixels say which it is. */
async function cifar10(folder: string): Promise<void> {
  for (const file of [1, 2, 3, 4, 5]) {
    const records = [0, 1].map(i => record([(file * 2 + i) % 10], [file, i, 100]))
    await writeFile(join(folder, `data_batch_${file}.bin`), Buffer.concat(records))
  }
  await writeFile(
    join(folder, 'test_batch.bin'),
    Buffer.concat([record([9], [6, 0, 0]), record([0], [7, 0, 0])]),
  )
  await writeFile(join(folder, 'batches.meta.txt'), `${NAMES.join('\n')}\n\n`)
}

const load = (folder: string) => loadImages({ data: folder, shape: [1, 28, 28], env: {} })

async function problem(folder: string): Promise<string> {
  const error: unknown = await load(folder).catch(e => e)
  expect(error).toBeInstanceOf(UserError)
  return (error as UserError).message.replaceAll(folder, 'DIR')
}

describe('the binary version of CIFAR-10', () => {
  test('has file names in any case', async () => {
    const [folder, upper] = [await temporaryFolder(), await temporaryFolder()]
    for (const at of [folder, upper]) await cifar10(at)
    for (const name of await readdir(upper)) await rename(join(upper, name), join(upper, name.toUpperCase()))
    expect((await load(upper)).train).toEqual((await load(folder)).train)
  })

  test('is read from its six files, in planes of red, green and blue, with its names', async () => {
    const folder = await temporaryFolder()
    await cifar10(folder)
    const { train, test: held, normalization, origin } = await load(folder)
    expect(train.classes).toEqual(NAMES)
    expect([train.shape, train.size, held.size]).toEqual([[3, 32, 32], 10, 2])
    expect([...train.labels]).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
    expect([...held.labels]).toEqual([9, 0])
    // Image 5 is the second of the third file.
    const planes = [0, 1, 2].map(c => train.images.subarray((5 * 3 + c) * 1024, (5 * 3 + c + 1) * 1024))
    expect(planes.map(p => [p[0], p[1], p[1023]])).toEqual([
      [255, 3, 3],
      [255, 1, 1],
      [255, 100, 100],
    ])
    expect(normalization.mean[2]).toBeCloseTo((100 * 1023 + 255) / 1024 / 255, 4)
    expect(origin).toBe(`10 + 2 images from the folder ${folder}`)
  })

  test.each([
    [
      'a truncated file',
      'data_batch_3.bin',
      record([1], [1, 2, 3]).subarray(0, 3000),
      'DIR/data_batch_3.bin: has 3,000 bytes, not a whole number of records of 3073: the file is truncated or in another format',
    ],
    [
      'an empty file',
      'test_batch.bin',
      '',
      'DIR/test_batch.bin: has 0 bytes, not a whole number of records of 3073: the file is truncated or in another format',
    ],
    [
      'a label without a name',
      'data_batch_2.bin',
      Buffer.concat([record([9], [0, 0, 0]), record([10], [0, 0, 0])]),
      'DIR/data_batch_2.bin: label 1 is 10, but labels are 0 … 9',
    ],
    [
      'names that are too few',
      'batches.meta.txt',
      'airplane\nbird\n',
      'DIR/batches.meta.txt: lists 2 classes, but cifar-10 has 10; write one per line',
    ],
  ])('%s is refused by name', async (_, file, bytes, message) => {
    const folder = await temporaryFolder()
    await cifar10(folder)
    await writeFile(join(folder, file), bytes)
    expect(await problem(folder)).toBe(message)
  })

  test('a missing file is named', async () => {
    const folder = await temporaryFolder()
    await cifar10(folder)
    await rm(join(folder, 'data_batch_4.bin'))
    expect(await problem(folder)).toBe('DIR: has files of cifar-10 (binary version) but no data_batch_4.bin')
  })
})

test('CIFAR-100 is read with its fine labels', async () => {
  const folder = await temporaryFolder()
  await writeFile(
    join(folder, 'train.bin'),
    Buffer.concat([record([19, 99], [1, 2, 3]), record([0, 4], [4, 5, 6])]),
  )
  await writeFile(join(folder, 'test.bin'), record([1, 0], [7, 8, 9]))
  const names = Array.from({ length: 100 }, (_, i) => `class ${i}`)
  await writeFile(join(folder, 'fine_label_names.txt'), names.join('\n'))
  const { train, test: held } = await load(folder)
  expect(train.classes).toEqual(names)
  expect([...train.labels, ...held.labels]).toEqual([99, 4, 0])
  expect([train.images[1], train.images[1025], train.images[3 * 1024 + 2049]]).toEqual([1, 2, 6])
})
