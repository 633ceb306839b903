import type { Page } from 'playwright-core'
import sharp from 'sharp'
import { beforeAll, describe, expect, test } from 'vitest'
import { mixing, rollout } from '../../lab/src/see/maths.ts'
import { Insides } from '../../lab/src/worker/look.ts'
import { buildModel, MODELS } from '../../models/index.ts'
import { MNIST_DIGIT } from '../../src/data/preprocess.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { rng } from '../../src/graph/random.ts'
import { initialize, layoutOf } from '../../src/nn/layout.ts'
import { normalized } from '../../src/nn/normalize.ts'
import type { TrainedModel } from '../../src/nn/trained.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { noBrowser } from './browser.ts'
import { choose, drawOne, goTo, labPage, shot, shows, stroke, textOf } from './lab-page.ts'

if (noBrowser) console.warn(`see ${noBrowser}`)

/** A model whose attention is far from even, though it has learned nothing. */
function lively(name: string, config: object, normalization = { mean: [0.13], std: [0.31] }): TrainedModel {
  const model = normalized(buildModel(name, config), 'image', normalization)
  const layout = layoutOf(model.parameters)
  const random = rng(11)
  const params = initialize(layout, 1).map(v => v + 0.15 * random.normal())
  return { model, params }
}

const lecture: TrainedModel = {
  ...lively('vit', MODELS.vit.presets.lecture),
  preprocessing: MNIST_DIGIT,
}
const small = lively('vit', { ...MODELS.vit.presets.small, dim: 48, mlp: 48 })
const colour: TrainedModel = {
  ...lively(
    'vit',
    { image: 16, channels: 3, patch: 8, classes: 2, dim: 12, depth: 1, heads: 2, mlp: 12 },
    { mean: [0.4, 0.4, 0.4], std: [0.2, 0.2, 0.2] },
  ),
  classes: ['frog', 'bird'],
}
const lenet = lively('lenet', MODELS.lenet.presets.mnist)

const percent = (share: number): string => `${(100 * share).toFixed(1)}\u00a0%`
const largest = (row: ArrayLike<number>): number[] =>
  Array.from(row, (_, i) => i).sort((a, b) => row[b]! - row[a]!)

/** What the page says of a token's attention. */
const said = (row: ArrayLike<number>): string =>
  largest(row)
    .slice(0, 3)
    .map(i => `${i ? `patch ${i}` : 'CLS'} ${percent(row[i]!)}`)
    .join(', ')

describe.skipIf(noBrowser)(`looking into a model${noBrowser ? ` (${noBrowser})` : ''}`, () => {
  const lab = labPage()
  beforeAll(async () => {
    for (const [name, trained] of Object.entries({ lecture, small, lenet, colour }))
      await lab.put(`${name}.onnx`, exportOnnx(trained))
  })

  const see = async (name: string, options: Parameters<typeof lab.open>[0] = {}) => {
    const opened = await lab.open({ path: `/?model=${name}.onnx#see`, ...options })
    await opened.page.waitForSelector('.see-scores', { timeout: 30_000 })
    return opened
  }
  const example = (page: Page, index: number) =>
    page.evaluate(async at => {
      const { pixels, label } = await window.lab.ask('example', at)
      return { pixels: [...pixels], label }
    }, index)
  const labels = (page: Page, selector: string): Promise<string[]> =>
    page.locator(selector).evaluateAll(all => all.map(e => e.getAttribute('aria-label') ?? ''))
  /** How many pixels of a canvas are of another colour than its first. */
  const variety = (page: Page, selector: string) =>
    page.locator(selector).evaluateAll(all =>
      all.map(element => {
        const canvas = element as HTMLCanvasElement
        const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height)
        return new Set(new Uint32Array(data.buffer)).size
      }),
    )

  test('shows the shapes on the way, and the attention and rollout that Node computes', async () => {
    const { page, complaints } = await see('lecture')
    expect(await page.locator('nav[aria-label="Shapes, step by step"] code').allTextContents()).toEqual([
      '[1, 28, 28]',
      '[16, 49]',
      '[16, 64]',
      '[17, 64]',
      '[17, 64]',
      '[64]',
      '[10]',
    ])
    const { pixels, label } = await example(page, 0)
    const runtime = await nodeRuntime('cpu')
    const insides = Insides.of(runtime, lecture.model)!
    const { attention, stages } = await insides.look(lecture.params, Float32Array.from(pixels))
    await insides.close()
    const maps = attention!.map(a => a.data)
    const T = 17
    const mixed = maps.map(map => mixing(map, T))
    const cls = Float32Array.from({ length: T }, (_, i) => (i ? 0 : 1))
    const shown = await labels(page, '.see-maps canvas')
    expect(shown).toHaveLength(4 * 5)
    const expected = maps.flatMap((map, block) => [
      ...[0, 1, 2, 3].map(
        head =>
          `CLS in block ${block + 1}, head ${head + 1}: ${said(map.subarray(head * T * T, head * T * T + T))}`,
      ),
      `Rollout of the CLS token up to block ${block + 1}: ${said(rollout(mixed.slice(0, block + 1), cls))}`,
    ])
    expect(shown).toEqual(expected)

    // The last of the head's answers on the way is the answer.
    const logits = stages!.find(s => s.name === 'logits')!.data
    const best = largest(logits)[0]!
    expect(await textOf(page, '.see-verdict p')).toMatch(
      new RegExp(`^Labeled ${label}, read as ${best} with [\\d.]+\\s% — (right|wrong)$`),
    )
    const answers = await page.locator('.see-answer b').allTextContents()
    expect(answers).toHaveLength(6)
    expect(answers.slice(-2)).toEqual([String(best), String(best)])
    const shares = (await page.locator('.see-scores tr td:last-child').allTextContents()).map(parseFloat)
    expect(shares).toHaveLength(10)
    expect(Math.abs(shares.reduce((a, b) => a + b) - 100)).toBeLessThan(1)
    // Every picture is painted: none is of one colour.
    expect(Math.min(...(await variety(page, '.see-pixels')))).toBeGreaterThan(1)
    await shot(page, 'see-desktop')
    expect(complaints).toEqual([])
  })

  test('the patch to follow and the token that looks are chosen with arrow keys', async () => {
    const { page } = await see('lecture')
    const patch = page.getByRole('radiogroup', { name: 'Patch to follow' })
    await patch.locator('[aria-checked="true"]').focus()
    await page.keyboard.press('Home')
    expect(await textOf(page, '.see-one h3')).toBe('One of them: patch 1, row 1, column 1')
    for (const key of ['ArrowDown', 'ArrowDown', 'ArrowRight']) await page.keyboard.press(key)
    expect(await textOf(page, '.see-one h3')).toBe('One of them: patch 10, row 3, column 2')
    expect(await textOf(page, '.see-positions .see-step:last-child h3')).toContain('Seen from patch 10')

    const query = page.getByRole('radiogroup', { name: 'Token whose attention is shown' })
    await query.locator('[aria-checked="true"]').focus()
    for (const key of ['ArrowRight', 'ArrowDown']) await page.keyboard.press(key)
    expect((await labels(page, '.see-maps canvas'))[0]).toMatch(/^Patch 5 in block 1, head 1: /)
    await page.keyboard.press('End')
    await page.keyboard.press('ArrowRight')
    expect((await labels(page, '.see-maps canvas'))[0]).toMatch(/^Patch 16 /)
    await page.keyboard.press('Home')
    expect((await labels(page, '.see-maps canvas'))[0]).toMatch(/^CLS /)
  })

  test('goes through the held-out examples, by steps and by number', async () => {
    const { page } = await see('lecture')
    const digit = () => page.locator('.see-large').getAttribute('aria-label')
    const is = async (index: number) => {
      const { label } = await example(page, index)
      await expect.poll(digit).toBe(`The image, labeled ${label}`)
      expect(await page.inputValue('#example')).toBe(String(index + 1))
    }
    await page.fill('#example', '3')
    await page.keyboard.press('Enter')
    await is(2)
    await page.click('[aria-label="Next example"]')
    await is(3)
    await page.fill('#example', '1')
    await page.keyboard.press('Enter')
    await is(0)
    await page.click('[aria-label="Previous example"]')
    await is((await page.evaluate(async () => (await window.lab.ask('example', 0)).count)) - 1)
    await page.fill('#example', '99999999')
    await page.keyboard.press('Enter')
    await is((await page.evaluate(async () => (await window.lab.ask('example', 0)).count)) - 1)
  })

  test('a model of 49 patches and 6 heads fits a phone, light and dark', async () => {
    const { page, complaints } = await see('small', {
      viewport: { width: 375, height: 740 },
      hasTouch: true,
      isMobile: true,
    })
    expect(await page.locator('nav code').allTextContents()).toContain('[50, 48]')
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      await shot(page, `see-phone-${colorScheme}`)
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(375)
    }
    expect(complaints).toEqual([])
  })

  test('of a model that is no ViT it shows the answer, and says what there is not', async () => {
    const { page, complaints } = await see('lenet')
    expect(await textOf(page, '.see-intro')).toMatch(
      /^The architecture of lenet\.onnx is lenet: it has no patches/,
    )
    expect(await page.locator('.see-scores tbody tr').count()).toBe(10)
    expect(await page.locator('.see-maps').count()).toBe(0)
    expect(complaints).toEqual([])
  })

  test('says that the examples do not fit a model, which then reads a picture from Try', async () => {
    const { page, complaints } = await lab.open({ path: '/?model=colour.onnx#see' })
    await shows(page, '#message').toMatch(
      /^colour\.onnx takes images of 3 × 16 × 16 .*, and the examples here have 784 pixels: choose/,
    )
    await goTo(page, 'try')
    const frog = await sharp({ create: { width: 90, height: 60, channels: 3, background: '#4a4' } })
      .extend({ bottom: 30, background: '#8cf' })
      .png()
      .toBuffer()
    await choose(page, 'frog.png', frog, '#picture')
    await shows(page, '#certainty').toMatch(/%$/)
    await page.click('#inside')
    await page.waitForSelector('.see-scores')
    expect(await page.locator('nav code').allTextContents()).toContain('[4, 192]')
    expect(await textOf(page, '.see-verdict p')).toMatch(/^It is read as (frog|bird) with [\d.]+\s%\.$/)
    expect(complaints).toEqual([])
  })

  test('a drawing is read one look at a time, the last one wins, and See opens it', async () => {
    const { page, complaints } = await lab.open({ path: '/?model=lecture.onnx#try' })
    await shows(page, '#certainty').toBe('draw a digit')
    await page.evaluate(() => {
      const { lab } = window
      const { ask } = lab
      const counts = { now: 0, most: 0 }
      Object.assign(window, { counts })
      const counting = async (...call: Parameters<typeof ask>) => {
        if (call[0] !== 'look') return ask.apply(lab, call)
        counts.most = Math.max(counts.most, ++counts.now)
        try {
          return await ask.apply(lab, call)
        } finally {
          counts.now--
        }
      }
      lab.ask = counting as typeof ask
    })
    await stroke(
      page,
      [
        [0.3, 0.25],
        [0.7, 0.25],
        [0.45, 0.85],
      ],
      12,
    )
    await shows(page, '#certainty').toMatch(/%$/)
    await page.waitForFunction(() => (window as never as { counts: { now: number } }).counts.now === 0)
    const counts = await page.evaluate(() => (window as never as { counts: { most: number } }).counts)
    expect(counts.most).toBe(1)
    expect(await textOf(page, '#latency')).toMatch(/^[\d.]+ ms for this reading$/)
    expect(Math.min(...(await variety(page, '.try-eye')))).toBeGreaterThan(2)

    await page.click('#inside')
    await page.waitForSelector('.see-scores')
    expect(await textOf(page, '.see-choose .quiet:last-child')).toMatch(/^What you drew or chose in Try\./)
    const seen = await page.evaluate(async () => {
      const { pixels } = window.lab.subject.value!
      return [...(await window.lab.ask('look', pixels, false)).probabilities]
    })
    await goTo(page, 'try')
    await shows(page, '#certainty').toBe(percent(Math.max(...seen)))
    await page.click('#clear')
    await shows(page, '#predicted').toBe('–')
    expect(complaints).toEqual([])
  })

  test('reads a picture in the place of the drawing, and says of another file that it is none', async () => {
    const { page, complaints } = await lab.open({ path: '/?model=lecture.onnx#try' })
    await shows(page, '#certainty').toBe('draw a digit')
    const bar = await sharp({ create: { width: 40, height: 200, channels: 3, background: 'black' } })
      .extend({ top: 60, bottom: 60, left: 140, right: 140, background: 'white' })
      .png()
      .toBuffer()
    await choose(page, 'one.png', bar, '#picture')
    await shows(page, '#board-title').toBe('one.png')
    await shows(page, '#certainty').toMatch(/%$/)
    // Dark ink on paper becomes light ink on black: a bar, 20 pixels high and 4 wide.
    const lit = await page.locator('#seen').evaluate(
      e =>
        (e as HTMLCanvasElement)
          .getContext('2d')!
          .getImageData(0, 0, 28, 28)
          .data.filter((v, i) => i % 4 === 0 && v > 128).length,
    )
    expect(lit).toBe(80)
    await choose(page, 'notes.txt', new TextEncoder().encode('no picture'), '#picture')
    await shows(page, '#message').toMatch(/^notes\.txt: is not a picture/)
    await shows(page, '#board-title').toBe('Drawing')
    await drawOne(page)
    await shows(page, '#certainty').toMatch(/%$/)
    expect(complaints).toEqual([])
  })
})
