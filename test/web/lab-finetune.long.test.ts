import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { buildModel } from '../../models/index.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { readOnnx, readWeights } from '../../src/export/read.ts'
import { conv2d } from '../../src/nn/conv.ts'
import { linear } from '../../src/nn/layers.ts'
import { imageInput, model } from '../../src/nn/model.ts'
import { initialized } from '../../src/nn/trained.ts'
import { relu } from '../../src/ops/elementwise.ts'
import { mean } from '../../src/ops/reduce.ts'
import { readSavedBytes } from '../../src/runs/saved.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { temporaryFolder } from '../data/files.ts'
import { noBrowser } from './browser.ts'
import {
  choose,
  downloaded,
  drop,
  ends,
  field,
  goTo,
  labPage,
  logitsOf,
  ready,
  shot,
  shows,
  startButton,
  textOf,
} from './lab-page.ts'

if (noBrowser) console.warn(`lab fine-tuning ${noBrowser}`)

const SIDE = 16
const CLASSES = ['bars', 'dots', 'plain']

/** A small CNN of five classes, with names of its own for what it reads and returns. */
const net = model({
  name: 'tiny',
  inputs: { pixels: imageInput(3, SIDE) },
  layers: { stem: conv2d(3, 12, 3, { padding: 1 }), body: conv2d(12, 16, 3), head: linear(16, 5) },
  forward: (self, { pixels }) => {
    const seen = relu(self.body(relu(self.stem(pixels))))
    return { scores: self.head(mean(seen, [2, 3])) }
  },
})

/** Pixels of a picture of a class, in shades that say nothing about it. */
function pixelsOf(kind: string, seed: number): Buffer {
  const side = 20
  const shade = 60 + ((seed * 37) % 100)
  const isInk = (x: number, y: number) =>
    kind === 'bars' ? (x + seed) % 4 < 2 : kind === 'dots' ? (x + seed) % 4 < 2 && y % 4 < 2 : false
  return Buffer.from(
    Array.from({ length: side * side * 3 }, (_, i) => {
      const at = Math.floor(i / 3)
      return shade + (isInk(at % side, Math.floor(at / side)) ? 95 : 0) + ((at * seed) % 7)
    }),
  )
}

/** A folder of 20 pictures per class. */
async function pictures(): Promise<string> {
  const folder = await temporaryFolder()
  for (const kind of CLASSES) {
    await mkdir(join(folder, kind))
    for (let i = 0; i < 20; i++)
      await sharp(pixelsOf(kind, i), { raw: { width: 20, height: 20, channels: 3 } })
        .png()
        .toFile(join(folder, kind, `${i}.png`))
  }
  return folder
}

describe.skipIf(noBrowser)(`fine-tuning in the lab${noBrowser ? ` (${noBrowser})` : ''}`, () => {
  const lab = labPage()
  const bytes = exportOnnx(initialized(net, 3))

  /** With the pictures as data. */
  async function choosePictures(page: Page, folder: string): Promise<void> {
    await page.getByLabel('Your own pictures').check()
    await page.locator('.choice input[type=file]').setInputFiles(folder)
    await shows(page, '.found').toMatch(/^48 to train on, 12 held out · 16 × 16 in colour · 3 classes/)
  }
  const fill = async (page: Page, values: Readonly<Record<string, string>>) => {
    for (const [name, text] of Object.entries(values)) await field(page, name).fill(text)
  }
  const reportsOf = (page: Page) => page.evaluate(() => window.lab.reports.value)

  test('trains a file on a folder of pictures, keeps it with its classes, and resumes it beside the file', async () => {
    const folder = await pictures()
    const { page, complaints } = await lab.open()
    await ready(page)
    await field(page, 'Architecture').selectOption('file')
    expect(await startButton(page).isDisabled()).toBe(true)
    await choose(page, 'tiny.onnx', bytes, '#base')
    await shows(page, '.base').toBe(
      'tiny.onnx · pictures of 16 × 16 in colour · 2,165 parameters · 5 classes',
    )
    await shows(page, '.setup .problem').toMatch(
      /^The file takes pictures of 16 × 16 in colour, and the data have 28 × 28 in gray/,
    )
    await choosePictures(page, folder)
    const form = await textOf(page, '.setup')
    expect(form).toContain('It gets a new head for the 3 classes of the data.')
    expect(form).toContain(
      'tiny.onnx does not say how its pictures were normalized: mean and deviation of ImageNet',
    )
    await shot(page, 'finetune-setup')
    await page.setViewportSize({ width: 375, height: 800 })
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(375)
    await shot(page, 'finetune-narrow')
    await page.setViewportSize({ width: 1280, height: 900 })

    await field(page, 'Trained layers').selectOption('all')
    await fill(page, { Epochs: '40', 'Batch images': '8', 'Learning rate': '0.01' })
    await startButton(page).click()
    await shows(page, '#outcome-title', 100_000).toBe('After epoch 40')
    await ends(page)
    const reports = await reportsOf(page)
    expect(reports.at(-1)!.testLoss).toBeLessThan(reports[0]!.testLoss / 2)
    expect(reports.at(-1)!.testAccuracy).toBeGreaterThanOrEqual(0.9)

    await goTo(page, 'see')
    await shows(page, '#outside-title').toBe('Only its answer can be shown')
    await shows(page, '.see-intro').toMatch(/^The graph of Trained here comes from a file \(tiny\)/)
    await goTo(page, 'try')
    await page.setInputFiles('#picture', join(folder, 'bars', '3.png'))
    await shows(page, '#predicted').toBe('bars')

    await goTo(page, 'keep')
    const kept = await downloaded(page, '#save-onnx')
    expect(kept.name).toBe('tiny.onnx')
    const info = readOnnx(kept.bytes, kept.name)
    expect(info).toMatchObject({ classes: CLASSES, preprocessing: { kind: 'resize' } })
    const examples = await page.evaluate(async () => {
      const some = await Promise.all([0, 1, 2, 3].map(i => window.lab.ask('example', i)))
      return some.map(({ pixels }) => [...pixels])
    })
    const here = await logitsOf(page, examples)
    const runtime = await nodeRuntime('cpu')
    const session = await runtime.load(kept.bytes)
    const image = runtime.tensor('float32', Float32Array.from(examples.flat()), [4, 3, SIDE, SIDE])
    const { logits } = await session.run({ image })
    expect(here).toHaveLength(12)
    expect(Math.max(...here.map((v, i) => Math.abs(v - Number(logits!.data[i]))))).toBeLessThanOrEqual(1e-4)
    const checkpoint = await downloaded(page, '#save-checkpoint')
    expect(await textOf(page, '.keep')).toContain('It fine-tunes tiny.onnx, which is needed beside it')
    expect(complaints).toEqual([])

    await expect(readSavedBytes(checkpoint.bytes, checkpoint.name, buildModel)).rejects.toThrow(
      'tiny.safetensors: fine-tunes tiny.onnx in the lab: open that file and the checkpoint there',
    )

    // Elsewhere it is resumed once its file is chosen.
    const other = await lab.open()
    await ready(other.page)
    await choose(other.page, checkpoint.name, checkpoint.bytes)
    await shows(other.page, '#message').toMatch(
      /fine-tunes tiny\.onnx: choose that file in Train, under Model/,
    )
    await field(other.page, 'Architecture').selectOption('file')
    await choose(other.page, 'tiny.onnx', bytes, '#base')
    await choosePictures(other.page, folder)
    await choose(other.page, checkpoint.name, checkpoint.bytes)
    await shows(other.page, '.resume').toContain('tiny, 240 steps, all 40 epochs done')
    await other.page.getByRole('button', { name: 'Resume', exact: true }).click()
    await shows(other.page, '#outcome-title', 100_000).toBe('After epoch 41')
    await ends(other.page)
    expect(other.complaints).toEqual([])
  })

  test('trains the head only, of a file that was opened to be tried, and all of it after an epoch', async () => {
    const folder = await pictures()
    const { page, complaints } = await lab.open()
    await ready(page)
    await drop(page, [{ name: 'tiny.onnx', bytes }])
    await shows(page, '#model').toContain('tiny.onnx')
    await page.getByRole('button', { name: 'Fine-tune this model' }).click()
    await shows(page, '.base').toContain('tiny.onnx')
    await choosePictures(page, folder)
    const trained = async (part: string, epochs: number) => {
      await field(page, 'Trained layers').selectOption(part)
      await fill(page, { Epochs: String(epochs), 'Batch images': '8', 'Learning rate': '0.01' })
      await startButton(page).click()
      await expect.poll(async () => (await reportsOf(page)).at(-1)?.epoch, { timeout: 100_000 }).toBe(epochs)
      await ends(page)
      return readWeights(readOnnx(await page.evaluate(async () => await window.lab.ask('onnx')), 'kept'))
    }
    const before = readWeights(readOnnx(bytes, 'tiny.onnx'))
    const head = await trained('head', 3)
    for (const [name, { data }] of before)
      if (!name.startsWith('head')) expect(head.get(name)!.data, name).toEqual(data)
    expect(head.get('head.weight')!.dims).toEqual([3, 16])
    const losses = (await reportsOf(page)).map(r => r.trainLoss)
    expect(losses.at(-1)).toBeLessThan(losses[0]!)

    const first = await trained('headFirst', 1)
    expect(first.get('stem.weight')!.data).toEqual(before.get('stem.weight')!.data)
    const second = await trained('headFirst', 2)
    expect(second.get('stem.weight')!.data).not.toEqual(before.get('stem.weight')!.data)

    // Where the form asks for a file, one that is dropped is that file; what is not a classifier is said to be none.
    await drop(page, [{ name: 'other.onnx', bytes }])
    await shows(page, '.base').toContain('other.onnx')
    await drop(page, [{ name: 'broken.onnx', bytes: bytes.slice(0, 99) }])
    await shows(page, '.base.problem').toMatch(/^broken\.onnx: /)
    expect(await startButton(page).isDisabled()).toBe(true)
    expect(complaints).toEqual([])
  })
})
