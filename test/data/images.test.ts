import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadImages } from '../../src/data/images-node.ts'
import { temporaryFolder, writeTiny } from './files.ts'

const shape = [1, 2, 3]

test('a folder of IDX files is read as MNIST is, with the classes that a model knows', async () => {
  const folder = await temporaryFolder()
  await writeTiny(folder)
  const plain = await loadImages({ data: folder, shape, env: {} })
  expect(plain.train.classes).toEqual([...'0123456789'])
  const classes = ['a', 'b', 'c', 'd', 'e']
  const known = await loadImages({ data: folder, shape, classes, env: {} })
  expect([known.train.classes, known.train.labels]).toEqual([classes, plain.train.labels])
})

test('data of other classes than the model knows are refused', async () => {
  await expect(loadImages({ data: 'digits', shape: [1, 28, 28], classes: ['cat', 'dog'] })).rejects.toThrow(
    /their classes are 0, 1, 2, 3, 4, … \(10\), but the model has cat, dog: give the data it was trained on with --data$/,
  )
})

test('a folder without data is refused with what was looked for', async () => {
  const folder = await temporaryFolder()
  const load = (data: string, env = {}) => loadImages({ data, shape, env })
  const wanted =
    "but not MNIST's four IDX files (train-images-idx3-ubyte …), CIFAR's binary files (data_batch_1.bin … or train.bin), or a folder of pictures for each class"
  await expect(load(folder)).rejects.toThrow(`data folder ${folder}: is empty, ${wanted}`)
  for (const name of ['b.py', 'a.csv']) await writeFile(join(folder, name), '')
  await expect(load(folder)).rejects.toThrow(`data folder ${folder}: has a.csv, b.py, ${wanted}`)
  const missing = join(folder, 'none')
  await expect(load(missing)).rejects.toThrow(
    `data folder ${missing}: does not exist; give a folder or one of mnist, fashion-mnist, digits`,
  )
  await expect(loadImages({ shape, env: { ONNXGRAD_DATA: missing } })).rejects.toThrow(
    `ONNXGRAD_DATA ${missing}: does not exist`,
  )
})
