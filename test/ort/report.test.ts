import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseHTML } from 'linkedom'
import sharp from 'sharp'
import { beforeAll, expect, test } from 'vitest'
import { Insides } from '../../lab/src/worker/look.ts'
import { MODELS } from '../../models/index.ts'
import { batches } from '../../src/data/batches.ts'
import {
  type ArrayDataset,
  type BatchedDataset,
  type DataSource,
  type Dataset,
  type ImageDataset,
  subset,
} from '../../src/data/dataset.ts'
import { fingerprints } from '../../src/data/fingerprint.ts'
import { textDataset, tokenize } from '../../src/data/text.ts'
import { type TrainedModel, weightsOf } from '../../src/nn/trained.ts'
import { attentionOf } from '../../src/report/attention.ts'
import { mixing, rollout } from '../../src/report/maths.ts'
import { type Reported, reportOf } from '../../src/report/report-node.ts'
import { reportOfRun } from '../../src/runs/report-node.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { classification } from '../../src/tasks/classification.ts'
import { evaluateModel } from '../../src/train/evaluate.ts'
import { openPredictor } from '../../src/train/predictor.ts'
import { temporaryFolder } from '../data/files.ts'
import { LOG, lively, noise } from '../report/example.ts'

let runtime: Runtime
beforeAll(async () => {
  runtime = await nodeRuntime('cpu')
})

const CLASSES = ['ant', 'bee', 'cat']
const CONFIG = { image: 8, channels: 3, patch: 2, dim: 6, depth: 3, heads: 2, mlp: 10, classes: 3 } as const
const VIT = lively('vit', CONFIG, CLASSES)
const data = noise([3, 8, 8], CLASSES, 60)
const config = { model: { name: 'vit', config: CONFIG }, epochs: 3, batch: 6, examples: 60 }

async function documentOf(about: Partial<Reported> = {}) {
  const page = await reportOf({ config, log: LOG, trained: VIT, data, runtime, ...about })
  return parseHTML(page).document
}
type Page = Awaited<ReturnType<typeof documentOf>>
const sections = (page: Page) => [...page.querySelectorAll('section')].map(s => s.id)
const cells = (page: Page, selector: string) =>
  [...page.querySelectorAll(selector)].map(row => [...row.children].map(c => c.textContent.trim()))

/** Pixels of a picture in the page, `[height, width, 4]`. */
async function picture(page: Page, selector: string) {
  const uri = page.querySelector(selector)!.getAttribute('src')!
  const png = Buffer.from(uri.replace('data:image/png;base64,', ''), 'base64')
  const { data: pixels, info } = await sharp(png)
    .toColourspace('srgb')
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
  return {
    ...info,
    at: (y: number, x: number) => [...pixels.subarray(4 * (y * info.width + x)).subarray(0, 4)],
  }
}

const evaluated = (trained: TrainedModel, set: Dataset = data.test) =>
  evaluateModel(runtime, trained, { task: classification(), data: set })

/** Logits of all images of a set. */
async function logitsOf(trained: TrainedModel, { images }: ImageDataset): Promise<Float32Array> {
  const predictor = await openPredictor(runtime, trained)
  const { logits } = await predictor.run({ image: Float32Array.from(images, v => v / 255) })
  await predictor.close()
  return logits!.data as Float32Array
}

test('a report of a ViT has everything, and its contents link to it', async () => {
  const page = await documentOf()
  const ids = 'curves confusion classes mistakes attention positions calibration timings settings'.split(' ')
  expect(sections(page)).toEqual(ids)
  expect([...page.querySelectorAll('nav a')].map(a => a.getAttribute('href'))).toEqual(ids.map(i => `#${i}`))
  expect(page.querySelectorAll('svg[role=img]').length).toBe(6)
  for (const picture of page.querySelectorAll('img')) expect(picture.getAttribute('alt')).toBeTruthy()
})

test('accuracy and confusion are those of an evaluation', async () => {
  const page = await documentOf()
  const { accuracy } = await evaluated(VIT)
  const logits = await logitsOf(VIT, data.test)
  const confusion = CLASSES.map(() => CLASSES.map(() => 0))
  for (const [i, truth] of data.test.labels.entries()) {
    const row = [...logits.subarray(3 * i, 3 * i + 3)]
    confusion[truth]![row.indexOf(Math.max(...row))]! += 1
  }
  expect(page.querySelector('.score b')!.textContent).toBe(`${(100 * accuracy!).toFixed(2)}\u00a0%`)
  expect(cells(page, '.confusion tbody tr')).toEqual(
    confusion.map((row, i) => [CLASSES[i], ...row.map(n => (n ? String(n) : '·'))]),
  )
  const counts = cells(page, '.classes tbody tr').map(([name, n]) => [name, n])
  expect(counts).toEqual(confusion.map((row, i) => [CLASSES[i], String(row.reduce((a, b) => a + b))]))
})

test('a mistake shows the pixels of the image whose number it tells', async () => {
  const page = await documentOf()
  const alt = page.querySelector('.mistakes img')!.getAttribute('alt')!
  const [, index, truth, guess] = alt.match(/^Test image (\d+): (\w+), predicted as (\w+)$/)!
  const { images, labels } = data.test
  expect(CLASSES[labels[Number(index)]!]).toBe(truth)
  expect(guess).not.toBe(truth)
  const { at, width, height } = await picture(page, '.mistakes img')
  expect([width, height]).toEqual([8, 8])
  for (const [y, x] of [
    [0, 0],
    [3, 6],
    [7, 7],
  ] as const) {
    const channel = (c: number) => images[((Number(index) * 3 + c) * 8 + y) * 8 + x]
    expect(at(y, x)).toEqual([channel(0), channel(1), channel(2), 255])
  }
})

test('attention is that of the row of the CLS token, and its way is the rollout that the lab shows', async () => {
  const [pixels, other] = [0.2, 0.7].map(base =>
    Float32Array.from({ length: 3 * 64 }, (_, i) => (base + 0.37 * i) % 1),
  ) as [Float32Array, Float32Array]
  const { side, gazes, reader } = (await attentionOf(runtime, VIT, [other, pixels]))!
  const insides = Insides.of(runtime, VIT.model)!
  const { attention } = await insides.look(VIT.params, pixels)
  await insides.close()
  expect([side, reader]).toEqual([4, 'the CLS token'])
  const near = (got: Float32Array, expected: Float32Array) => {
    expect(got).toHaveLength(16)
    for (const [i, v] of got.entries()) expect(v).toBeCloseTo(expected[i]!, 5)
  }
  for (const [block, { data: maps }] of attention!.entries())
    for (const head of [0, 1]) {
      const row = maps.subarray(head * 17 * 17, head * 17 * 17 + 17)
      near(gazes[1]!.heads[block]![head]!, row.subarray(1))
    }
  const cls = Float32Array.from({ length: 17 }, (_, i) => (i ? 0 : 1))
  const flow = rollout(
    attention!.map(stage => mixing(stage.data, 17)),
    cls,
  )
  near(gazes[1]!.reaching, flow.subarray(1))
})

test('where the head reads the mean of all places, so does the attention', async () => {
  const pixels = Float32Array.from({ length: 3 * 64 }, (_, i) => (0.37 * i) % 1)
  for (const trained of [
    lively('vit', { ...CONFIG, pool: 'mean' }),
    lively('cct', { ...MODELS.cct.presets.mnist, image: 8, channels: 3, planes: [], dim: 8 }),
  ]) {
    const { side, gazes, reader } = (await attentionOf(runtime, trained, [pixels]))!
    expect(reader).toBe('the mean of all 16 places')
    expect(side).toBe(4)
    // A mean of rows that sum to 1, but for what goes to the CLS token.
    const sum = gazes[0]!.heads[0]![0]!.reduce((a, b) => a + b)
    expect(sum).toBeLessThan(1.00001)
    expect(sum).toBeGreaterThan(0.5)
  }
})

test('similar positions are blue in the atlas, opposite ones orange, and the gaps between its maps clear', async () => {
  const trained = { ...VIT, params: VIT.params.slice() }
  const positions = weightsOf(trained).get('pos_embed')!
  const vector = (token: number) => positions.subarray(token * CONFIG.dim, (token + 1) * CONFIG.dim)
  // Patch 2 (row 0, column 2) is like patch 0, patch 5 (row 1, column 1) its opposite.
  vector(3).set(vector(1))
  vector(6).set(vector(1).map(v => -v))
  const page = await documentOf({ trained })
  const { at, width } = await picture(page, '.positions img')
  const cell = 7 // 28 pixels for 4 places
  const middle = (place: number) => Math.floor((place + 0.5) * cell)
  expect(width).toBe(4 * 4 * cell + 3 * 3)
  expect(at(middle(0), middle(2))).toEqual([36, 120, 214, 255])
  expect(at(middle(1), middle(1))).toEqual([226, 104, 32, 255])
  expect(at(0, 4 * cell + 1)[3]).toBe(0)
})

test('a model that does not attend has no attention, and one without mistakes says so', async () => {
  const trained = lively('mlp', { image: 8, channels: 3, classes: 3, hidden: [5] }, CLASSES)
  expect(sections(await documentOf({ trained }))).not.toContain('attention')
  const right = noise([3, 8, 8], CLASSES, 60)
  const logits = await logitsOf(trained, right.test)
  for (let i = 0; i < 60; i++) {
    const row = [...logits.subarray(3 * i, 3 * i + 3)]
    right.test.labels[i] = row.indexOf(Math.max(...row))
  }
  const page = await documentOf({ trained, data: right })
  expect(page.querySelector('.score b')!.textContent).toBe('100.00\u00a0%')
  expect(page.querySelector('#mistakes')!.textContent).toContain('None')
})

test('a report of a text tells its perplexity, and of many characters shows no numbers in the matrix', async () => {
  const text = 'the quick brown fox jumps over the lazy dog.\n'.repeat(4)
  const tokens = tokenize(text)
  const set = textDataset('fox', tokens, 8)
  const trained = lively(
    'gpt',
    { vocabulary: tokens.vocabulary.length, context: 8, dim: 8, depth: 1, heads: 2, mlp: 8 },
    tokens.vocabulary,
  )
  const page = await documentOf({ trained, data: { train: set, test: set, origin: 'a fox' } })
  const { loss } = await evaluated(trained, set)
  expect(page.querySelector('.score')!.textContent).toContain(Math.exp(loss).toFixed(2))
  expect(page.querySelector('.score')!.textContent).toContain(`of ${8 * set.size} characters`)
  expect(sections(page)).toEqual('curves confusion classes positions calibration timings settings'.split(' '))
  expect((await picture(page, '.matrix img')).width).toBe(tokens.vocabulary.length)
  expect((await picture(page, '.positions img')).width).toBe(8)
  // Characters that nobody sees are written as in a program.
  expect(cells(page, '.classes tbody tr').map(([name]) => name)).toContain('"\\n"')
})

test('a run that has recorded little is reported as far as it goes', async () => {
  const epochs = LOG.epochs.map(({ epoch, step, testLoss }) => ({ epoch, step, testLoss }) as never)
  const page = await documentOf({ log: { epochs, steps: [] }, config: { model: {} } })
  expect(page.querySelectorAll('#curves figure').length).toBe(1)
  expect(page.querySelector('.chosen')!.textContent).toContain('not complete')
  expect(sections(page)).not.toContain('timings')
  const empty = await documentOf({ log: { epochs: [], steps: [] } })
  expect(sections(empty)[0]).toBe('confusion')
})

test('of arrays there are no pictures, and without a test set no answers', async () => {
  const { images, labels, size } = data.test
  const image = { data: Float32Array.from(images, v => v / 255), dims: [size, 3, 8, 8] }
  const label = { data: Int32Array.from(labels), dims: [size] }
  const arrays: ArrayDataset = { name: 'arrays', size, arrays: { image, label } }
  const source = { train: data.train, test: arrays, origin: 'arrays' }
  const page = await documentOf({ data: source })
  expect(sections(page)).toEqual('curves confusion classes positions calibration timings settings'.split(' '))
  expect(page.querySelector('.score b')!.textContent).toBe(
    (await documentOf()).querySelector('.score b')!.textContent,
  )
  const { test: _, ...without } = source
  expect(sections(await documentOf({ data: without }))).toEqual(['curves', 'timings', 'settings'])
})

test('how many examples there were is left out where nobody knows', async () => {
  const stream: BatchedDataset = { name: 'stream', batches: options => batches(data.test, options) }
  const about = { data: { train: stream, test: stream, origin: 'a stream' }, config: { model: {} } }
  const origin = (page: Page) => page.querySelector('.origin')!.textContent
  const page = await documentOf(about)
  expect(origin(page)).toBe('a stream')
  expect(sections(page)).not.toContain('timings')
  expect(origin(await documentOf())).toBe('Trained on 60 examples, tested on 60: noise')
})

test('a run folder is reported on with its own test set, and with no other', async () => {
  const folder = await temporaryFolder()
  const write = (name: string, text: string) => writeFile(join(folder, name), text)
  const report = (source: DataSource) => reportOfRun(folder, { trained: VIT, data: source, runtime })
  const own = { ...config, data: { test: 60 }, fingerprints: await fingerprints(data) }
  await write('config.json', JSON.stringify(own))
  const last = { final: true, ...LOG.final, end: 'done' }
  await write('metrics.jsonl', [...LOG.epochs, last].map(line => `${JSON.stringify(line)}\n`).join(''))
  const page = parseHTML(await report(data)).document
  expect(sections(page)[0]).toBe('curves')
  expect(page.querySelector('.quiet')!.textContent).toMatch(/^Finished \d{4}-/)
  const { images, size } = data.test
  const inverted = { ...data.test, images: images.map(v => 255 - v) }
  await expect(report({ ...data, test: inverted })).rejects.toThrow(
    'was not tested on these data: the test set has the same number of examples but different content',
  )
  await expect(report({ ...data, test: subset(data.test, size - 1) })).rejects.toThrow(
    'was tested on 60 examples, and noise has 59',
  )
  const { test: _, ...without } = data
  await expect(report(without)).rejects.toThrow('there is no test set, but the run has one of 60 examples')
})
