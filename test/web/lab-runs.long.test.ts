import { describe, expect, test } from 'vitest'
import { MODELS } from '../../models/index.ts'
import { readOnnx } from '../../src/export/read.ts'
import { readSafetensors } from '../../src/export/safetensors.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { noBrowser } from './browser.ts'
import {
  choose,
  downloaded,
  ends,
  field,
  goTo,
  labPage,
  logitsOf,
  reaches,
  ready,
  shot,
  shows,
  startButton,
  stepOf,
} from './lab-page.ts'

if (noBrowser) console.warn(`lab training ${noBrowser}`)

describe.skipIf(noBrowser)(`training in the lab${noBrowser ? ` (${noBrowser})` : ''}`, () => {
  const lab = labPage()

  test('100 steps of the lecture’s ViT halve its loss, and its .onnx gives the page’s logits in Node', async () => {
    const { page, complaints } = await lab.open()
    await ready(page)
    await field(page, 'Epochs').fill('1')
    await startButton(page).click()
    await reaches(page, 100)
    await page.getByRole('button', { name: 'Stop' }).click()
    await ends(page)
    await shot(page, 'train-stopped')
    const curve = await page.evaluate(() => window.lab.curve.value)
    const [first] = curve
    const after = curve.find(point => point.step >= 100)!
    expect(first!.step).toBe(1)
    expect(after.loss).toBeLessThan(first!.loss / 2)

    await goTo(page, 'keep')
    const { name, bytes } = await downloaded(page, '#save-onnx')
    await shot(page, 'keep')
    expect(name).toBe('vit.onnx')
    expect(readOnnx(bytes, name).model).toEqual({ name: 'vit', config: MODELS.vit.presets.lecture })
    const examples = await page.evaluate(async () => {
      const some = await Promise.all([0, 1, 2, 3, 4].map(i => window.lab.ask('example', i)))
      return some.map(({ pixels }) => [...pixels])
    })
    const here = await logitsOf(page, examples)
    const runtime = await nodeRuntime('cpu')
    const session = await runtime.load(bytes)
    const image = runtime.tensor('float32', Float32Array.from(examples.flat()), [5, 1, 28, 28])
    const { logits } = await session.run({ image })
    expect(Math.max(...here.map((v, i) => Math.abs(v - Number(logits!.data[i]))))).toBeLessThanOrEqual(1e-4)
    expect(complaints).toEqual([])
  })

  test('shows after each epoch who is taken for whom, and opens a mistake in See', async () => {
    // With threads.
    const { page, complaints } = await lab.open({ isolated: true })
    await ready(page)
    await field(page, 'Architecture').selectOption('mlp')
    await field(page, 'Epochs').fill('2')
    await startButton(page).click()
    await shows(page, '#outcome-title', 50_000).toBe('After epoch 2')
    await ends(page)
    await shot(page, 'train-done')
    const cells = await page.locator('.confusion td.right, .confusion td.wrong').allTextContents()
    expect(cells.reduce((sum, text) => sum + Number(text), 0)).toBe(2000)
    const right = await page.locator('.confusion td.right').allTextContents()
    const [report] = await page.evaluate(() => window.lab.reports.value.slice(-1))
    expect(right.reduce((sum, text) => sum + Number(text), 0) / 2000).toBeCloseTo(report!.testAccuracy, 9)
    expect(report!.testAccuracy).toBeGreaterThan(0.8)

    const [worst] = report!.mistakes
    expect(worst!.guess).not.toBe(worst!.truth)
    const look = await page.evaluate(async () => {
      const { pixels } = window.lab.reports.value.at(-1)!.mistakes[0]!
      return [...(await window.lab.ask('look', pixels, false)).probabilities]
    })
    expect(look.indexOf(Math.max(...look))).toBe(worst!.guess)
    expect(look[worst!.guess]).toBeCloseTo(worst!.certainty, 3)
    await page.locator('.mistakes button').first().click()
    await shows(page, '[role=tab][aria-selected=true]').toBe('See')
    expect(complaints).toEqual([])
  })

  test('pauses, is looked at meanwhile, goes on and stops', async () => {
    const { page, complaints } = await lab.open()
    await ready(page)
    await field(page, 'Architecture').selectOption('mlp')
    await field(page, 'Epochs').fill('500')
    await startButton(page).click()
    await reaches(page, 20)
    // Also while it trains, between two steps.
    const blank = Array<number>(784).fill(0)
    const during = await logitsOf(page, [blank])
    await page.getByRole('button', { name: 'Pause' }).click()
    await shows(page, '#standing-title').toMatch(/^Paused in epoch/)
    await page.waitForTimeout(500)
    const paused = await stepOf(page)
    const looks = [await logitsOf(page, [blank]), await logitsOf(page, [blank])]
    expect(looks[0]).toEqual(looks[1])
    expect(looks[0]).not.toEqual(during)
    expect(await stepOf(page)).toBe(paused)
    await page.getByRole('button', { name: 'Continue' }).click()
    await reaches(page, paused + 50)
    await page.getByRole('button', { name: 'Stop' }).click()
    await ends(page)
    await shows(page, '#standing-title').toMatch(/^Stopped in epoch/)
    expect(await logitsOf(page, [blank])).not.toEqual(looks[0])
    expect(complaints).toEqual([])
  })

  test('keeps a checkpoint with which the training goes on, in another page too', async () => {
    const one = await lab.open()
    await ready(one.page)
    await field(one.page, 'Architecture').selectOption('mlp')
    await field(one.page, 'Epochs').fill('2')
    await startButton(one.page).click()
    await ends(one.page)
    const whole = await one.page.evaluate(() => window.lab.reports.value)

    // The same run, stopped on its way.
    const { page, complaints } = await lab.open()
    await ready(page)
    await field(page, 'Architecture').selectOption('mlp')
    await field(page, 'Epochs').fill('2')
    await startButton(page).click()
    await reaches(page, 30)
    await page.getByRole('button', { name: 'Stop' }).click()
    await ends(page)
    await goTo(page, 'keep')
    const { name, bytes } = await downloaded(page, '#save-checkpoint')
    expect(name).toBe('mlp.safetensors')
    const { tensors, metadata } = readSafetensors(bytes, name)
    const run = JSON.parse(metadata.run!)
    expect(run.step).toBeGreaterThanOrEqual(30)
    expect(run).toMatchObject({
      model: { name: 'mlp', config: MODELS.mlp.presets.small },
      epochs: 2,
      batch: 64,
      seed: 0,
      optimizer: { name: 'adam', lr: 0.002 },
      schedule: { name: 'cosine' },
    })
    expect(Object.keys(tensors)).toContain('optimizer.m')

    const another = await lab.open()
    await ready(another.page)
    await choose(another.page, name, bytes)
    await shows(another.page, '.resume').toContain('mlp.safetensors')
    await shot(another.page, 'train-resume')
    await another.page.getByRole('button', { name: 'Resume', exact: true }).click()
    await expect
      .poll(() => another.page.evaluate(() => window.lab.reports.value.length), { timeout: 50_000 })
      .toBe(2)
    await ends(another.page)
    const [first] = await another.page.evaluate(() => window.lab.curve.value)
    expect(first!.step).toBe(run.step + 1)
    // As if it had never been stopped.
    const last = await another.page.evaluate(() => window.lab.reports.value.at(-1)!)
    expect(last.testLoss).toBeCloseTo(whole.at(-1)!.testLoss, 6)
    expect([...complaints, ...one.complaints, ...another.complaints]).toEqual([])
  })
})
