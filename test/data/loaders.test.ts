import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { lenet } from '../../models/index.ts'
import { DIGITS_PATH } from '../../src/data/digits-node.ts'
import {
  devices,
  digits,
  fingerprints,
  idxData,
  imageFolder,
  imagePredictor,
  openRuntime,
  readPicture,
} from '../../src/node.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onnxgrad-loaders-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const big = (...values: readonly number[]) => {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i)
  return bytes
}

test('the packaged digits are the same by their file', async () => {
  const packaged = await digits()
  expect([packaged.train.size, packaged.test.size]).toEqual([8000, 2000])
  // Megabytes, compared by their hashes.
  const known = await fingerprints(packaged)
  expect(await fingerprints(await digits(DIGITS_PATH))).toEqual(known)
  expect(await fingerprints(await digits(pathToFileURL(DIGITS_PATH)))).toEqual(known)
  await expect(digits(join(folder, 'none.bin'))).rejects.toThrow('none.bin')
})

test('IDX files are told apart by their content and names; one that is missing is named', async () => {
  const write = async (name: string, count: number) => {
    const [images, labels] = [join(folder, `${name}-images`), join(folder, `${name}-labels`)]
    await writeFile(images, Buffer.concat([big(0x803, count, 2, 2), Buffer.alloc(4 * count, 7)]))
    await writeFile(labels, Buffer.concat([big(0x801, count), Buffer.alloc(count, 1)]))
    return [labels, images] as const
  }
  const [train, test] = [await write('train', 6), await write('t10k', 3)]
  const source = await idxData([...test, ...train], ['a', 'b'])
  expect([source.train.size, source.test.size]).toEqual([6, 3])
  expect(source.train.shape).toEqual([1, 2, 2])
  await expect(idxData([train[0]], ['a', 'b'])).rejects.toThrow('no images among')
})

test('a folder per class is data, and its pictures are classified by their paths', async () => {
  const pictures = join(folder, 'pictures')
  for (const [label, shade] of [
    ['dark', 20],
    ['light', 230],
  ] as const) {
    await mkdir(join(pictures, label), { recursive: true })
    const background = { r: shade, g: shade, b: shade }
    for (let i = 0; i < 5; i++)
      await sharp({ create: { width: 40, height: 30, channels: 3, background } })
        .png()
        .toFile(join(pictures, label, `${i}.png`))
  }
  const source = await imageFolder(pictures, [1, 28, 28])
  expect(source.train.classes).toEqual(['dark', 'light'])
  expect([source.train.size, source.test.size]).toEqual([8, 2])
  const picture = join(pictures, 'light/0.png')
  expect(await readPicture(picture, 'it', [1, 28, 28])).toEqual(new Uint8Array(28 * 28).fill(230))

  const model = lenet({ image: 28, channels: 1, classes: 10 })
  const predictor = await imagePredictor(model, { threads: 1 })
  try {
    expect(predictor.shape).toEqual([1, 28, 28])
    const pixels = new Float32Array(28 * 28).fill(0.5)
    const { probabilities, label } = await predictor.predict(pixels)
    expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 5)
    expect(label).toBeLessThan(10)
    await expect(predictor.predict(join(folder, 'none.png'))).rejects.toThrow('none.png')
  } finally {
    await predictor.close()
  }
})

test('a runtime is opened on a device that works here, and others say why they do not', async () => {
  const found = await devices()
  expect(found.map(d => d.name)).toEqual(['cpu', 'webgpu', 'cuda', 'wasm'])
  expect(found.find(d => d.name === 'wasm')?.available).toBe(true)
  for (const { name, available, reason } of found) if (!available) expect(reason).toContain(name)
  const runtime = await openRuntime({ device: 'wasm' })
  expect(runtime.device.name).toBe('wasm')
  await runtime.close()
})
