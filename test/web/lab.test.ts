import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { MODELS } from '../../models/index.ts'
import { batches } from '../../src/data/batches.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { Executor } from '../../src/train/executor.ts'
import { initialize, layoutOf } from '../../src/train/layout.ts'
import { adam } from '../../src/train/optimizer.ts'
import { toOnnx } from '../../src/train/trained.ts'
import { realDigits } from '../data/files.ts'
import { complaintsOf, launch, noBrowser } from './browser.ts'
import { serve } from './server.ts'

if (noBrowser) console.warn(`lab ${noBrowser}`)

/** Set it to a folder to look at the page as the tests leave it. */
const screenshots = process.env.ONNXGRAD_SCREENSHOTS

/** Digits as a hand draws them, each in one stroke: points in shares of the board's width and height. */
const DRAWN: Readonly<Record<string, readonly (readonly [x: number, y: number])[]>> = {
  '0': Array.from({ length: 17 }, (_, i) => {
    const turn = (2 * Math.PI * i) / 16
    return [0.5 - 0.25 * Math.sin(turn), 0.5 - 0.3 * Math.cos(turn)]
  }),
  '1': [
    [0.52, 0.18],
    [0.5, 0.5],
    [0.48, 0.84],
  ],
  '7': [
    [0.3, 0.25],
    [0.5, 0.25],
    [0.72, 0.24],
    [0.62, 0.45],
    [0.52, 0.65],
    [0.45, 0.85],
  ],
}

/** Enough for these digits to be read with 80 % or more, whatever the seed. */
const STEPS = 400

/** The lecture's ViT after a few hundred steps, as bytes, and test images with the logits that onnxruntime-node gives for them. */
async function trainedModel() {
  const { train, test: held, normalization } = await realDigits()
  const runtime = await nodeRuntime('cpu')
  const model = MODELS.vit.build(MODELS.vit.presets.lecture)
  const layout = layoutOf(model.parameters)
  const settings = { optimizer: adam({ lr: 1e-3 }), seed: 1, normalization }
  const executor = new Executor(model, runtime, layout, { params: initialize(layout, 1) }, settings)
  let step = 0
  for (let epoch = 0; step < STEPS; epoch++)
    for (const batch of batches(train, { batch: 64, seed: 1, epoch })) {
      if (batch.count === 64) await executor.step(batch, ++step, 1e-3)
      if (step === STEPS) break
    }
  const { params } = await executor.state()
  await executor.close()
  const bytes = toOnnx({
    model,
    params: params!,
    normalization,
    classes: train.classes,
    training: { testAccuracy: 0.5 },
  })
  const [{ input: image, count } = { input: new Float32Array(), count: 0 }] = batches(held, {
    batch: 64,
    shuffle: false,
  })
  const session = await runtime.load(bytes)
  const { logits } = await session.run({ image: runtime.tensor('float32', image, [count, 1, 28, 28]) })
  return { bytes, image: [...image], logits: [...(logits!.data as Float32Array)] }
}

describe.skipIf(noBrowser)(`the lab page${noBrowser ? ` (${noBrowser})` : ''}`, () => {
  let folder: string
  let browser: Browser
  let model: Awaited<ReturnType<typeof trainedModel>>

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'onnxgrad-lab-'))
    const page = join(folder, 'page')
    ;[model, browser] = await Promise.all([
      trainedModel(),
      launch(),
      build({
        configFile: fileURLToPath(new URL('../../lab/vite.config.ts', import.meta.url)),
        logLevel: 'error',
        build: { outDir: page },
      }),
    ])
    await writeFile(join(page, 'model.onnx'), model.bytes)
    await writeFile(join(page, 'vit.onnx'), model.bytes)
  }, 120_000)

  afterAll(async () => {
    await browser?.close()
    await rm(folder, { recursive: true })
  })

  interface Opening extends BrowserContextOptions {
    readonly isolated?: boolean
    readonly path?: string
  }

  /** A fresh browser window on the page, closed after the test. */
  async function open({ isolated = false, path = '/', ...options }: Opening = {}) {
    const server = await serve(join(folder, 'page'), { isolated })
    const context = await browser.newContext({ viewport: { width: 1000, height: 900 }, ...options })
    onTestFinished(async () => {
      await context.close()
      await server.close()
    })
    const page = await context.newPage()
    const complaints = complaintsOf(page, server.origin)
    await page.goto(server.origin + path)
    return { page, complaints, origin: server.origin }
  }

  const textOf = (page: Page, selector: string) => page.locator(selector).textContent()
  const shows = (page: Page, selector: string) =>
    expect.poll(() => textOf(page, selector), { timeout: 15_000 })
  const loaded = (page: Page, name = 'model.onnx') => shows(page, '#model').toContain(name)
  const shot = async (page: Page, name: string) => {
    if (screenshots) await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true })
  }
  const shares = async (page: Page) =>
    (await page.locator('#bars .share').allTextContents()).map(text => Number.parseFloat(text))

  async function draw(page: Page, digit: string) {
    const box = (await page.locator('#board').boundingBox())!
    for (const [i, [x, y]] of DRAWN[digit]!.entries()) {
      await page.mouse.move(box.x + x * box.width, box.y + y * box.height, { steps: i ? 4 : 1 })
      if (i === 0) await page.mouse.down()
    }
    await page.mouse.up()
  }

  test('reads digits drawn with the mouse, on a plain static host, asking no other host', async () => {
    const { page, complaints } = await open()
    await loaded(page)
    expect(await textOf(page, '#model')).toMatch(/^model\.onnx · vit · \d+ KB · test accuracy 50\.0 %$/)
    for (const digit of Object.keys(DRAWN)) {
      await draw(page, digit)
      await shows(page, '#predicted').toBe(digit)
      await shot(page, `desktop-${digit}`)
      const given = await shares(page)
      expect(given).toHaveLength(10)
      expect(given[Number(digit)]).toBe(Math.max(...given))
      expect(Math.abs(given.reduce((a, b) => a + b) - 100)).toBeLessThan(1)
      await page.click('#clear')
      await shows(page, '#predicted').toBe('–')
      expect(await shares(page)).toEqual(Array(10).fill(0))
    }
    expect(await textOf(page, '#runtime')).toMatch(
      /onnxruntime-web 1\.\d+\.\d+ · WebAssembly · 1 thread \(.*not cross-origin isolated.* · [\d.]+ ms/,
    )
    expect(complaints).toEqual([])
  })

  test.each([false, true])('gives the logits of onnxruntime-node (isolated page: %s)', async isolated => {
    const { page, complaints } = await open({ isolated })
    await loaded(page)
    const got = await page.evaluate(image => window.lab.logits(image), model.image)
    expect(got).toHaveLength(640)
    expect(Math.max(...got.map((v, i) => Math.abs(v - model.logits[i]!)))).toBeLessThanOrEqual(1e-4)
    const cores = await page.evaluate(() => (crossOriginIsolated ? navigator.hardwareConcurrency : 1))
    const threads = Math.min(4, cores)
    expect(await textOf(page, '#runtime')).toContain(`${threads} thread${threads > 1 ? 's' : ''}`)
    expect(complaints).toEqual([])
  })

  test('can be drawn on with the keyboard alone', async () => {
    const { page, complaints } = await open()
    await loaded(page)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    const keys = [...Array(2).fill('Shift+ArrowUp'), ' ', ...Array(17).fill('ArrowDown')]
    for (const key of keys) await page.keyboard.press(key)
    await shows(page, '#predicted').toBe('1')
    await shot(page, 'keyboard')
    await page.keyboard.press('Delete')
    await shows(page, '#predicted').toBe('–')
    expect(complaints).toEqual([])
  })

  test('reads a digit drawn with a finger on a phone, without scrolling sideways', async () => {
    const viewport = { width: 360, height: 740 }
    const { page, complaints } = await open({ viewport, hasTouch: true, isMobile: true })
    await loaded(page)
    await page.locator('#board').scrollIntoViewIfNeeded()
    const box = (await page.locator('#board').boundingBox())!
    const touch = await page.context().newCDPSession(page)
    const points = DRAWN['7']!.map(([x, y]) => ({ x: box.x + x * box.width, y: box.y + y * box.height }))
    for (const [i, point] of points.entries()) {
      const type = i ? 'touchMove' : 'touchStart'
      await touch.send('Input.dispatchTouchEvent', { type, touchPoints: [point] })
    }
    await touch.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] })
    await shows(page, '#predicted').toBe('7')
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      await shot(page, `phone-${colorScheme}`)
    }
    expect(complaints).toEqual([])
  })

  test('says what is wrong with a file and goes on with the model it has, or a good one', async () => {
    const { page } = await open({ colorScheme: 'dark' })
    await loaded(page)
    const choose = (name: string, bytes: Uint8Array) =>
      page.setInputFiles('#file', { name, mimeType: 'application/octet-stream', buffer: Buffer.from(bytes) })

    await choose('notes.onnx', new TextEncoder().encode('no model at all'))
    await shows(page, '#message').toMatch(/^notes\.onnx: not .*ONNX file/)
    await choose('half.onnx', model.bytes.subarray(0, model.bytes.length >> 1))
    await shows(page, '#message').toMatch(/^half\.onnx: /)
    // Still a message of the right form, but for the operators, which no runtime knows.
    const unknown = Buffer.from(model.bytes).toString('latin1').replaceAll('MatMul', 'MaxMul')
    await choose('unknown.onnx', Buffer.from(unknown, 'latin1'))
    await shows(page, '#message').toMatch(/^unknown\.onnx: .*MaxMul/)
    const small = MODELS.vit.build({ ...MODELS.vit.presets.lecture, image: 14 })
    await choose('small.onnx', toOnnx({ model: small, params: initialize(layoutOf(small.parameters), 1) }))
    await shows(page, '#message').toMatch(/^small\.onnx: takes images of 1 × 14 × 14/)
    await shot(page, 'error-dark')

    expect(await textOf(page, '#model')).toContain('model.onnx')
    await draw(page, '1')
    await shows(page, '#predicted').toBe('1')

    const broken = MODELS.vit.build(MODELS.vit.presets.lecture)
    const params = initialize(layoutOf(broken.parameters), 1).fill(Number.NaN)
    await choose('broken.onnx', toOnnx({ model: broken, params }))
    await shows(page, '#message').toMatch(/^broken\.onnx: its scores are not all numbers/)
    expect(await textOf(page, '#predicted')).toBe('–')

    await choose('mine.onnx', model.bytes)
    await loaded(page, 'mine.onnx')
    expect(await textOf(page, '#message')).toBe('')
    await shows(page, '#predicted').toBe('1')
  })

  test('starts without a model, then takes a dropped file', async () => {
    await rm(join(folder, 'page', 'model.onnx'))
    onTestFinished(() => writeFile(join(folder, 'page', 'model.onnx'), model.bytes))
    const { page } = await open()
    await shows(page, '#message').toMatch(/^There is no model\.onnx beside this page/)
    await shot(page, 'no-model')
    await draw(page, '0')
    const files = await page.evaluateHandle(async () => {
      const data = new DataTransfer()
      data.items.add(new File([await (await fetch('vit.onnx')).blob()], 'dropped.onnx'))
      return data
    })
    await page.dispatchEvent('body', 'drop', { dataTransfer: files })
    await loaded(page, 'dropped.onnx')
    await shows(page, '#predicted').toBe('0')
  })

  test('takes the model that its address names, from its own origin only', async () => {
    const named = await open({ path: '/?model=vit.onnx' })
    await loaded(named.page, 'vit.onnx')
    const missing = await open({ path: '/?model=nowhere.onnx' })
    await shows(missing.page, '#message').toBe('nowhere.onnx: the server answers 404')
    const foreign = await open({ path: '/?model=http://example.org/model.onnx' })
    await shows(foreign.page, '#message').toMatch(/own origin only/)
    expect(foreign.complaints).toEqual([])
  })
})
