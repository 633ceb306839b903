import { existsSync } from 'node:fs'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { complaint, onnxgrad, workFolder } from './program.ts'

const folder = await workFolder()
const SMALL = ['--hidden', '16', '--epochs', '6', '--batch', '8', '--no-verify', '--json']

/** A picture of one colour, with a darker corner in another place each time. */
async function picture(path: string, [red, green]: readonly [number, number], i: number): Promise<void> {
  const corner = { create: { width: 10, height: 10, channels: 3 as const, background: '#222' } }
  await sharp({ create: { width: 60, height: 40, channels: 3, background: { r: red, g: green, b: 90 } } })
    .composite([{ input: await sharp(corner).png().toBuffer(), left: 10 + (i % 30), top: i % 20 }])
    .toFile(path)
}

describe("a folder of one's own pictures, a folder for each class", async () => {
  const data = join(folder, 'leaves')
  const run = join(folder, 'leaves-run')
  for (const [name, colour] of [
    ['autumn', [220, 40]],
    ['spring', [30, 210]],
  ] as const) {
    await mkdir(join(data, name), { recursive: true })
    for (let i = 0; i < 20; i++) await picture(join(data, name, `${i}.${i % 2 ? 'jpg' : 'webp'}`), colour, i)
  }
  await writeFile(join(data, 'autumn', 'notes.txt'), 'brown')
  const trained = await onnxgrad(
    ...['train', 'mlp', '--data', data, '--image', '8', '--channels', '3', '--val-split', '0.25'],
    ...['--out', run, ...SMALL],
  )

  test('is trained on, with its classes, a validation split and a note of what was left out', () => {
    expect(complaint(trained)).toEqual([])
    expect(trained.code).toBe(0)
    expect(trained.stderr).toContain('2 classes in the folder')
    expect(trained.stderr).toMatch(/NOTE +Left out 1 entry that is not a picture .*: autumn\/notes\.txt/)
    // 40 pictures: a fifth to test on, a quarter of the rest to validate.
    expect(trained.json).toMatchObject({ epochs: 6, steps: 6 * 3, testAccuracy: 1 })
    expect(trained.json.valAccuracy).toBe(1)
  })

  test('is evaluated on by the same split, and predict calls a picture by its class', async () => {
    const evaluate = (...more: string[]) => onnxgrad('eval', run, '--data', data, '--json', ...more)
    expect((await evaluate()).json).toMatchObject({
      accuracy: 1,
      count: 8,
      confusion: [
        [4, 0],
        [0, 4],
      ],
    })
    expect((await evaluate('--split', 'val', '--val-split', '0.25')).json).toMatchObject({ count: 8 })
    expect((await evaluate('--split', 'val')).json).toMatchObject({ count: 8 })
    const elsewhere = join(folder, 'elsewhere.onnx')
    await copyFile(join(run, 'model.onnx'), elsewhere)
    const ofFile = await onnxgrad('eval', elsewhere, '--data', data, '--split', 'val')
    expect(complaint(ofFile)[0]).toMatch(/no validation set; give the --val-split of the training$/)
    const fresh = join(folder, 'new.png')
    await picture(fresh, [35, 200], 3)
    expect((await onnxgrad('predict', run, fresh, '--json')).json).toMatchObject({
      label: 'spring',
      class: 1,
    })
    expect((await onnxgrad('verify', run, '--data', data, '--images', '8', '--json')).json.ok).toBe(true)
  })

  test('of other classes than the model has is refused', async () => {
    const other = join(folder, 'other')
    for (const name of ['spring', 'winter']) {
      await mkdir(join(other, name), { recursive: true })
      for (let i = 0; i < 3; i++) await picture(join(other, name, `${i}.png`), [30, 210], i)
    }
    expect(complaint(await onnxgrad('eval', run, '--data', other))).toEqual([
      `onnxgrad: ${other}: has folders for unknown classes: winter; the known classes are autumn, spring`,
    ])
  })
})

test('CIFAR-10 decides the size, channels and classes of the model', async () => {
  const data = join(folder, 'cifar-10-batches-bin')
  await mkdir(data)
  // Class k has a band of white where the others have noise.
  const record = (k: number, i: number): Uint8Array =>
    Uint8Array.from({ length: 3073 }, (_, at) => {
      if (!at) return k
      return Math.floor(((at - 1) % 1024) / 32 / 3.2) === k ? 255 : (at * 31 + i * 17) % 100
    })
  const records = (from: number) =>
    Buffer.concat(Array.from({ length: 20 }, (_, i) => record(i % 10, from + i)))
  for (let file = 1; file <= 5; file++)
    await writeFile(join(data, `data_batch_${file}.bin`), records(file * 20))
  await writeFile(join(data, 'test_batch.bin'), records(0))
  await writeFile(join(data, 'batches.meta.txt'), 'a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n')
  const out = join(folder, 'cifar-run')
  const trained = await onnxgrad('train', 'mlp', '--data', data, '--out', out, ...SMALL)
  expect(complaint(trained)).toEqual([])
  expect(trained.json.testAccuracy).toBeGreaterThan(0.5)
  expect(trained.json.parameters).toBe((3072 + 1) * 16 + 17 * 10)
  expect((await onnxgrad('eval', out, '--data', data, '--json')).json).toMatchObject({ count: 20 })
})

test('data that cannot be used are one line, and cost no run folder', async () => {
  const refused = await onnxgrad('train', 'mlp', '--data', join(folder, 'none'), '--out', join(folder, 'no'))
  expect(refused.code).toBe(1)
  expect(existsSync(join(folder, 'no'))).toBe(false)
  expect(complaint(refused)).toEqual([
    `onnxgrad: data folder ${join(folder, 'none')}: does not exist; give a folder or one of mnist, fashion-mnist, digits`,
  ])
})
