import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp, { type Sharp } from 'sharp'
import { describe, expect, test } from 'vitest'
import { buildModel } from '../../models/index.ts'
import { loadImages } from '../../src/data/images-node.ts'
import { readOnnx } from '../../src/export/read.ts'
import { readSafetensors } from '../../src/export/safetensors.ts'
import { adam } from '../../src/optim/optimizer.ts'
import { readRun } from '../../src/runs/saved-node.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { classification } from '../../src/tasks/classification.ts'
import { fit } from '../../src/train/fit.ts'
import { realDigits } from '../data/files.ts'
import { newPlan, resumedPlan } from './plans.ts'
import { complaint, onnxgrad, workFolder, writeDigits } from './program.ts'

const folder = await workFolder()
const QUICK = ['--no-verify', '--no-report', '--json']
const configOf = async (run: string) => JSON.parse(await readFile(join(run, 'config.json'), 'utf8'))
const plan = async (model: string, flags: Record<string, unknown>) =>
  newPlan(model, { ...flags, out: join(folder, 'never') })

/** A grayscale picture by a formula. */
const drawing = (side: number, at: (x: number, y: number) => number): Sharp => {
  const data = Uint8Array.from({ length: side * side }, (_, i) => at(i % side, Math.floor(i / side)))
  return sharp(data, { raw: { width: side, height: side, channels: 1 } })
}

async function write(path: string, picture: Sharp): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true })
  await picture.png().toFile(path)
}

/** A disc in the left or the right half, somewhere. */
function disc(isLeft: boolean, i: number, disc: number, ground: number): Sharp {
  const [x0, y0] = [(isLeft ? 7 : 20) + (i % 3) - 1, 9 + (i % 11)]
  return drawing(28, (x, y) => ((x - x0) ** 2 + (y - y0) ** 2 < 20 ? disc : ground) + ((x * 7 + y * i) % 9))
}

describe.each<[string, (i: number) => readonly [disc: number, ground: number]]>([
  ['dark discs', () => [30, 220]],
  ['white discs', () => [245, 30]],
  ['discs, some dark and some white,', i => (i % 4 < 2 ? [30, 220] : [245, 30])],
])('%s at the left or the right', async (name, colours) => {
  const data = join(folder, name)
  for (let i = 0; i < 200; i++)
    await write(join(data, i % 2 ? 'left' : 'right', `${i}.png`), disc(i % 2 === 1, i, ...colours(i >> 1)))

  test('are told apart, for nothing is centred and nothing inverted', async () => {
    const source = await loadImages({ data, shape: [1, 28, 28] })
    const model = buildModel('mlp', { image: 28, channels: 1, hidden: [32], classes: 2 })
    const optimizer = adam({ lr: 5e-3 })
    // biome-ignore lint/suspicious/noFocusedTests: fit trains, it is no test
    const run = await fit(await nodeRuntime('cpu'), model, {
      task: classification(),
      ...{ data: source, epochs: 12, batch: 16, optimizer },
    })
    expect(run.test?.accuracy).toBe(1)
  })
})

test('dark discs are trained on and predicted alike, which the program says', async () => {
  const [data, run, path] = ['dark discs', 'run', 'disc.png'].map(name => join(folder, name))
  const args = ['--channels', '1', '--hidden', '32', '--epochs', '12', '--batch', '16', '--lr', '0.005']
  const trained = await onnxgrad('train', 'mlp', '--data', data!, '--out', run!, ...args, ...QUICK)
  expect(complaint(trained)).toEqual([])
  expect(trained.json).toMatchObject({ testAccuracy: 1 })
  const says = 'resize: shorter side resized, center crop to 28 × 28, grayscale'
  expect(trained.stderr).toMatch(new RegExp(`^images +${says}$`, 'm'))
  expect((await configOf(run!)).preprocessing).toEqual({ kind: 'resize' })
  await disc(true, 5, 30, 220).toFile(path!)
  const { json, stderr } = await onnxgrad('predict', run!, path!, '--json')
  expect(json).toMatchObject({ label: 'left', preprocessing: { kind: 'resize' }, inverted: false })
  expect(stderr).toContain(`prepared as ${says}\n`)
})

describe('a model for pictures of one size', async () => {
  const data = join(folder, 'coloured')
  for (let i = 0; i < 10; i++) {
    const input = {
      create: { width: 5, height: 5, channels: 3 as const, background: i % 2 ? '#f00' : '#00f' },
    }
    const picture = drawing(32, (x, y) => (x * y * (i + 1)) % 256).toColourspace('srgb')
    await write(join(data, 'ab'[i % 2]!, `${i}.png`), picture.composite([{ input, left: i, top: 3 }]))
  }
  const configFor = async (flags: object, model = 'vit') =>
    (await plan(model, { data, ...flags })).model.config

  test('takes them as large and as coloured as they are, with a patch that divides them', async () => {
    expect(await configFor({})).toMatchObject({ image: 32, channels: 3, patch: 4, classes: 2 })
    expect(await configFor({ preset: 'small' })).toMatchObject({ image: 32, channels: 3, patch: 4 })
    expect(await configFor({}, 'lenet')).toMatchObject({ image: 32, channels: 3 })
  })

  test('makes them as large as flags say, or as a patch of a flag takes them', async () => {
    for (const [flags, config] of [
      [{ image: 21 }, { image: 21, channels: 3, patch: 7 }],
      [{ image: 30 }, { image: 30, channels: 3, patch: 6 }],
      [
        { channels: 1, patch: 8 },
        { image: 32, channels: 1, patch: 8 },
      ],
      [{ patch: 14 }, { image: 28, channels: 3, patch: 14 }],
      [{ patch: 11 }, { image: 33, channels: 3, patch: 11 }],
      [{ preprocess: 'digit' }, { image: 28, channels: 1, patch: 7 }],
    ] as const)
      expect(await configFor(flags), JSON.stringify(flags)).toMatchObject(config)
    await expect(configFor({ image: 30, patch: 7 })).rejects.toThrow(/patch/)
  })

  test('cuts images of a data set by a patch that divides them, too', async () => {
    const cifar = join(folder, 'cifar')
    await mkdir(cifar)
    const records = Uint8Array.from({ length: 3073 * 10 }, (_, i) => (i % 3073 ? (i * 31) % 200 : i / 3073))
    for (const file of [...[1, 2, 3, 4, 5].map(i => `data_batch_${i}.bin`), 'test_batch.bin'])
      await writeFile(join(cifar, file), records)
    await writeFile(join(cifar, 'batches.meta.txt'), 'a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n')
    const { model, record } = await plan('vit', { data: cifar })
    expect(model.config).toMatchObject({ image: 32, channels: 3, patch: 4, classes: 10 })
    expect(record.preprocessing).toEqual({ kind: 'resize' })
    expect((await plan('vit', { data: cifar, patch: 8 })).model.config).toMatchObject({ image: 32, patch: 8 })
  })

  test('leaves the preset’s size where it cannot be cut into patches, or is large', async () => {
    for (const side of [29, 96]) {
      const other = join(folder, `of ${side}`)
      for (let i = 0; i < 10; i++)
        await write(
          join(other, 'ab'[i % 2]!, `${i}.png`),
          drawing(side, (x, y) => (x * y + i) % 256),
        )
      expect((await plan('vit', { data: other })).model.config).toMatchObject({
        image: 28,
        channels: 1,
        patch: 7,
      })
      expect((await plan('vit', { data: other, image: side - 1 })).model.config).toMatchObject({
        image: side - 1,
      })
    }
  })
})

describe('digits', async () => {
  const data = join(folder, 'digits')
  const run = join(folder, 'digits run')
  await mkdir(data)
  await writeDigits(data, 1500, 100)
  const args = ['--data', data, '--out', run, '--hidden', '32', '--epochs', '4', '--batch', '32']
  await onnxgrad('train', 'mlp', ...args, ...QUICK)
  const path = join(folder, 'digit.png')
  const predict = async (picture: Sharp, ...more: string[]) => {
    await picture.png().toFile(path)
    return onnxgrad('predict', run, path, '--json', ...more)
  }

  test('are prepared as digits, which run, checkpoint and files say', async () => {
    const how = { kind: 'digit', ink: 'light' }
    expect((await configOf(run)).preprocessing).toEqual(how)
    expect(readOnnx(await readFile(join(run, 'model.onnx')), 'it').preprocessing).toEqual(how)
    const { metadata } = readSafetensors(await readFile(join(run, 'last.safetensors')), 'it')
    expect(JSON.parse(metadata.run!).preprocessing).toEqual(how)
    expect((await readRun(run, buildModel)).preprocessing).toEqual(how)
    expect((await onnxgrad('inspect', run)).stdout).toMatch(/^preprocessing +kind digit, ink light$/m)
  })

  test('drawn in a corner are read the same at 28 × 28 and, dark, ten times as large', async () => {
    const { test: held } = await realDigits()
    const seven = held.images.subarray(784 * held.labels.indexOf(7), 784 * (held.labels.indexOf(7) + 1))
    // Half as large, in a corner: not as MNIST has it.
    const half = sharp(seven, { raw: { width: 28, height: 28, channels: 1 } }).resize(14, 14)
    const corner = await sharp(await half.png().toBuffer())
      .extend({ right: 14, bottom: 14, background: 'black' })
      .png()
      .toBuffer()
    const large = await sharp(corner).resize(280, 280, { kernel: 'nearest' }).negate().png().toBuffer()
    const [light, dark] = [await predict(sharp(corner)), await predict(sharp(large))]
    expect(light.json).toMatchObject({ label: '7', preprocessing: { kind: 'digit' }, inverted: false })
    expect(dark.json).toMatchObject({ label: '7', inverted: true })
    const [a, b] = [light, dark].map(({ json }) => json.probabilities as number[])
    expect(Math.max(...a!.map((p, i) => Math.abs(p - b![i]!)))).toBeLessThan(0.01)
    expect(dark.stderr).toContain(
      'prepared as digit: cropped to its ink, centered by mass, light on dark, 28 × 28, grayscale, inverted\n',
    )
  })

  test('that are blank have nothing to centre, and are pictures where a flag says so', async () => {
    const blank = await predict(drawing(50, () => 200))
    expect(blank.code).toBe(1)
    expect(complaint(blank)).toEqual([`onnxgrad: ${path}: is blank: there is no ink to center`])
    const plain = await predict(
      drawing(50, () => 200),
      ...['--preprocess', 'resize'],
    )
    expect(plain.json).toMatchObject({ preprocessing: { kind: 'resize' }, inverted: false })
  })

  test('of a run that does not record it are still prepared so', async () => {
    const old = join(folder, 'old')
    await mkdir(old)
    const { preprocessing: _, ...config } = await configOf(run)
    await writeFile(join(old, 'config.json'), JSON.stringify(config))
    await writeFile(join(old, 'last.safetensors'), await readFile(join(run, 'last.safetensors')))
    expect((await readRun(old, buildModel)).preprocessing).toEqual({ kind: 'digit', ink: 'light' })
  })
})

describe('a folder of drawings of digits', async () => {
  const data = join(folder, 'strokes')
  const run = join(folder, 'strokes run')
  // A bar that stands or lies, anywhere on white paper.
  const bar = (stands: boolean, i: number) =>
    drawing(50, (x, y) => {
      const [along, across] = stands ? [y, x] : [x, y]
      return across > i && across < i + 5 && along > 20 - i && along < 48 - i ? 30 : 240
    })
  for (let i = 0; i < 20; i++) {
    await write(join(data, 'stands', `${i}.png`), bar(true, i))
    await write(join(data, 'lies', `${i}.png`), bar(false, i))
  }
  const args = ['train', 'mlp', '--data', data, '--out', run, '--preprocess', 'digit', '--hidden', '8']
  const trained = await onnxgrad(...args, '--epochs', '6', '--batch', '8', ...QUICK)

  test('is prepared as digits where a flag says so, in training and ever after', async () => {
    expect(complaint(trained)).toEqual([])
    expect((await configOf(run)).preprocessing).toEqual({ kind: 'digit', ink: 'dark' })
    const path = join(folder, 'bar.png')
    await bar(false, 7).resize(300, 300).png().toFile(path)
    expect((await onnxgrad('predict', run, path, '--json')).json).toMatchObject({
      label: 'lies',
      preprocessing: { kind: 'digit', ink: 'dark' },
      inverted: true,
    })
    expect((await onnxgrad('eval', run, '--data', data, '--json')).json.accuracy).toBe(
      trained.json.testAccuracy,
    )
  })

  test('is prepared in the same way when the run is resumed', async () => {
    const resumed = async (flags: object) => {
      const plan = await resumedPlan(run, { epochs: 7, ...flags })
      plan.folder.close()
      return plan
    }
    await expect(resumed({ preprocess: 'resize' })).rejects.toThrow(
      /--preprocess is digit in this run, not resize$/,
    )
    const { record, data } = await resumed({})
    expect([record.preprocessing, data.preprocessing]).toEqual([
      { kind: 'digit', ink: 'dark' },
      { kind: 'digit', ink: 'dark' },
    ])
  })

  test('is refused where an older release had prepared it in another way', async () => {
    const begun = join(folder, 'begun')
    await mkdir(begun)
    const { preprocessing: _, ...config } = await configOf(run)
    await writeFile(join(begun, 'config.json'), JSON.stringify(config))
    await expect(resumedPlan(begun)).rejects.toThrow(
      /the run's pictures were prepared in another way by onnxgrad 0\.1\.0; resume it with that release, or train it again from the start$/,
    )
  })
})
