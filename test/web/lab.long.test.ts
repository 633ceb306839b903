import { gzipSync } from 'node:zlib'
import type { Page } from 'playwright-core'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { MODELS } from '../../models/index.ts'
import { batches } from '../../src/data/batches.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { normalized } from '../../src/nn/normalize.ts'
import { initialized } from '../../src/nn/trained.ts'
import { adam } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { classification } from '../../src/tasks/classification.ts'
import { Trainer } from '../../src/train/trainer.ts'
import { realDigits } from '../data/files.ts'
import { fileOf } from '../ort/foreign.ts'
import { loopingImages } from '../ort/looping.ts'
import { noBrowser } from './browser.ts'
import { choose, drop, goTo, labPage, logitsOf, shot, shows, stroke, textOf } from './lab-page.ts'

if (noBrowser) console.warn(`lab ${noBrowser}`)

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
  const config = { ...MODELS.vit.presets.lecture, depth: 1 }
  const model = normalized(MODELS.vit.build(config), 'image', normalization)
  const optimizer = adam({ lr: 1e-3 })
  const trainer = new Trainer(runtime, model, { task: classification(), optimizer, seed: 1 })
  for (let epoch = 0; trainer.steps < STEPS; epoch++)
    for (const batch of batches(train, { batch: 64, seed: 1, epoch })) {
      if (batch.label!.data.length === 64) await trainer.step(batch)
      if (trainer.steps === STEPS) break
    }
  const trained = await trainer.trained()
  await trainer.close()
  const bytes = exportOnnx({ ...trained, classes: train.classes, training: { testAccuracy: 0.5 } })
  const [batch] = batches(held, { batch: 64, shuffle: false })
  const { data, dims } = batch!.image!
  const session = await runtime.load(bytes)
  const { logits } = await session.run({ image: runtime.tensor('float32', data, dims) })
  const images = Array.from({ length: dims[0]! }, (_, i) =>
    Array.from(data.subarray(i * 784, (i + 1) * 784), Number),
  )
  return { bytes, images, logits: [...(logits!.data as Float32Array)] }
}

describe.skipIf(noBrowser)(`the lab page${noBrowser ? ` (${noBrowser})` : ''}`, () => {
  const lab = labPage()
  let model: Awaited<ReturnType<typeof trainedModel>>

  beforeAll(async () => {
    model = await trainedModel()
    await lab.put('vit.onnx', model.bytes)
  }, 120_000)

  /** The page with the model that its address names. */
  const withModel = (opening: Parameters<typeof lab.open>[0] = {}) =>
    lab.open({ path: '/?model=vit.onnx', ...opening })
  const loaded = (page: Page, name = 'vit.onnx') => shows(page, '#model').toContain(name)
  const shares = async (page: Page) =>
    (await page.locator('#bars .share').allTextContents()).map(text => Number.parseFloat(text))

  const draw = (page: Page, digit: string) => stroke(page, DRAWN[digit]!, 4)

  test('reads digits drawn with the mouse, on a plain static host, asking no other host', async () => {
    const { page, complaints } = await withModel()
    await loaded(page)
    expect(await textOf(page, '#model')).toMatch(/^vit\.onnx · vit · \d+ KB · test accuracy 50\.0\s%$/)
    for (const digit of Object.keys(DRAWN)) {
      await draw(page, digit)
      await shows(page, '#predicted').toBe(digit)
      await shot(page, `try-${digit}`)
      const given = await shares(page)
      expect(given).toHaveLength(10)
      expect(given[Number(digit)]).toBe(Math.max(...given))
      expect(Math.abs(given.reduce((a, b) => a + b) - 100)).toBeLessThan(1)
      await page.click('#clear')
      await shows(page, '#predicted').toBe('–')
      expect(await shares(page)).toEqual(Array(10).fill(0))
    }
    expect(await textOf(page, '#runtime')).toMatch(
      /onnxruntime-web 1\.\d+\.\d+ · WebAssembly, 1 thread \(.*not cross-origin isolated.*\) · WebGPU not available/,
    )
    expect(complaints).toEqual([])
  })

  test.each([false, true])('gives the logits of onnxruntime-node (isolated page: %s)', async isolated => {
    const { page, complaints } = await withModel({ isolated })
    await loaded(page)
    const got = await logitsOf(page, model.images)
    expect(got).toHaveLength(640)
    expect(Math.max(...got.map((v, i) => Math.abs(v - model.logits[i]!)))).toBeLessThanOrEqual(1e-4)
    const cores = await page.evaluate(() => (crossOriginIsolated ? navigator.hardwareConcurrency : 1))
    const threads = Math.min(4, cores)
    expect(await textOf(page, '#runtime')).toContain(`${threads} thread${threads > 1 ? 's' : ''}`)
    expect(complaints).toEqual([])
  })

  test('can be used with the keyboard alone: from view to view, and on the board', async () => {
    const { page, complaints } = await withModel()
    await loaded(page)
    await shows(page, '[role=tab][aria-selected=true]').toBe('Try')
    await page.focus('#tab-try')
    for (const tab of ['Keep', 'Train', 'See', 'Try']) {
      await page.keyboard.press('ArrowRight')
      await shows(page, '[role=tab][aria-selected=true]').toBe(tab)
      expect(await textOf(page, ':focus')).toBe(tab)
    }
    // What is next, in the order of the page: a file, then the board's own button, then the board.
    for (const place of ['fine-tune', 'file', 'clear', 'board']) {
      await page.keyboard.press('Tab')
      expect(await page.evaluate(() => document.activeElement?.id)).toBe(place)
    }
    const keys = [...Array(2).fill('Shift+ArrowUp'), ' ', ...Array(17).fill('ArrowDown')]
    for (const key of keys) await page.keyboard.press(key)
    await shows(page, '#predicted').toBe('1')
    await shot(page, 'try-keyboard')
    await page.keyboard.press('Delete')
    await shows(page, '#predicted').toBe('–')
    expect(complaints).toEqual([])
  })

  test('reads a digit drawn with a finger on a phone', async () => {
    const viewport = { width: 360, height: 740 }
    const { page, complaints } = await withModel({ viewport, hasTouch: true, isMobile: true })
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
    expect(complaints).toEqual([])
  })

  test('scrolls sideways in no view of a phone, light or dark, and every control has a name', async () => {
    const viewport = { width: 375, height: 740 }
    const { page, complaints } = await withModel({ viewport, hasTouch: true, isMobile: true })
    await loaded(page)
    for (const tab of ['train', 'see', 'try', 'keep'] as const) {
      await goTo(page, tab)
      await page.waitForTimeout(300)
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme })
        await shot(page, `phone-${tab}-${colorScheme}`)
      }
      expect(await page.evaluate(() => document.documentElement.scrollWidth), tab).toBeLessThanOrEqual(375)
      expect(await namelessControls(page), tab).toEqual([])
    }
    expect(complaints).toEqual([])
  })

  test('says what is wrong with a file and goes on with the model it has, or a good one', async () => {
    const { page } = await withModel({ colorScheme: 'dark' })
    await loaded(page)

    await choose(page, 'notes.onnx', new TextEncoder().encode('no model at all'))
    await shows(page, '#message').toMatch(/^notes\.onnx: is .*not an ONNX file/)
    await choose(page, 'half.onnx', model.bytes.subarray(0, model.bytes.length >> 1))
    await shows(page, '#message').toMatch(/^half\.onnx: /)
    // Still a message of the right form, but for the operators, which no runtime knows.
    const unknown = Buffer.from(model.bytes).toString('latin1').replaceAll('MatMul', 'MaxMul')
    await choose(page, 'unknown.onnx', Buffer.from(unknown, 'latin1'))
    await shows(page, '#message').toMatch(/^unknown\.onnx: .*MaxMul/)
    const gpt = MODELS.gpt.build({ vocabulary: 9, context: 4, dim: 8, depth: 1, heads: 2, mlp: 8 })
    await choose(page, 'gpt.onnx', exportOnnx(initialized(gpt, 1)))
    await shows(page, '#message').toMatch(/^gpt\.onnx: takes tokens/)
    await choose(page, 'run.safetensors', model.bytes)
    await shows(page, '#message').toMatch(/^run\.safetensors: .*safetensors file/)
    await shot(page, 'error-dark')

    expect(await textOf(page, '#model')).toContain('vit.onnx')
    await draw(page, '1')
    await shows(page, '#predicted').toBe('1')

    const broken = MODELS.vit.build(MODELS.vit.presets.lecture)
    const { params, model: own } = initialized(broken, 1)
    await choose(page, 'broken.onnx', exportOnnx({ model: own, params: params.fill(Number.NaN) }))
    await shows(page, '#message').toMatch(/^broken\.onnx: some of its scores are not finite/)
    await shows(page, '#predicted').toBe('–')

    await choose(page, 'mine.onnx', model.bytes)
    await loaded(page, 'mine.onnx')
    await shows(page, '#message').toBe('')
    await shows(page, '#predicted').toBe('1')
  })

  test('starts without a model and without complaint, then takes a dropped file', async () => {
    const { page, complaints } = await lab.open()
    await shows(page, '.found').toContain('8,000 to train on')
    expect(await textOf(page, '#model')).toMatch(/^No model yet/)
    await shot(page, 'start')
    await goTo(page, 'try')
    await draw(page, '0')
    await drop(page, [{ name: 'dropped.onnx', bytes: model.bytes }])
    await loaded(page, 'dropped.onnx')
    await shows(page, '#predicted').toBe('0')
    expect(complaints).toEqual([])
  })

  test('says that a dropped file is no picture, and that pictures without folders are no data', async () => {
    const { page } = await withModel()
    await loaded(page)
    const text = new TextEncoder().encode('some words')
    await drop(page, [{ name: 'notes.txt', bytes: text }])
    await shows(page, '#message').toMatch(/^notes\.txt: is not a picture/)
    await drop(page, [
      { name: 'a.png', bytes: text },
      { name: 'b.png', bytes: text },
    ])
    await shows(page, '#message').toMatch(/^These files are not a data set/)
    await draw(page, '7')
    await shows(page, '#predicted').toBe('7')
  })

  test('begins with the model that lies beside it, as `onnxgrad serve` puts it there', async () => {
    await lab.put('model.onnx', model.bytes)
    onTestFinished(() => lab.put('model.onnx', new Uint8Array()))
    const { page, complaints } = await lab.open()
    await loaded(page, 'model.onnx')
    await draw(page, '7')
    await shows(page, '#predicted').toBe('7')
    expect(complaints).toEqual([])
  })

  test('takes the model that its address names, from its own origin only', async () => {
    const missing = await lab.open({ path: '/?model=nowhere.onnx' })
    await shows(missing.page, '#message').toBe('nowhere.onnx: the server responded with 404')
    const foreign = await lab.open({ path: '/?model=http://example.org/model.onnx' })
    await shows(foreign.page, '#message').toMatch(/only from its own origin/)
    expect(foreign.complaints).toEqual([])
  })

  test('says so where its worker cannot be started, and is no blank page', async () => {
    const { page } = await lab.open({
      prepare: page => page.route('**/assets/main-*.js', route => route.abort()),
    })
    await shows(page, '#message').toMatch(/worker could not be started/)
    await goTo(page, 'keep')
    await shows(page, '#keep-model').toBe('The model')
  })

  test('is loaded with 30 MB at most, of which its own scripts are 500 KB at most', async () => {
    const paths = new Set<string>()
    const { page } = await lab.open({
      prepare(page) {
        page.on('request', request => paths.add(new URL(request.url()).pathname))
      },
    })
    await shows(page, '.found').toContain('8,000 to train on')
    const files = await Promise.all([...paths].map(async path => ({ path, body: await lab.read(path) })))
    expect([...paths].join()).toMatch(/\.wasm.*digits\.bin/)
    expect(files.reduce((sum, f) => sum + f.body.length, 0)).toBeLessThan(30e6)
    const own = files.filter(f => /\.(js|css|html)$|\/$/.test(f.path) && !f.path.includes('/ort'))
    expect(own.length).toBeGreaterThan(3)
    expect(own.reduce((sum, f) => sum + gzipSync(f.body).length, 0)).toBeLessThan(500e3)
  })

  test('goes on in another worker when its own dies, with the file that was open', async () => {
    const { page } = await withModel()
    await loaded(page)
    await draw(page, '7')
    await shows(page, '#predicted').toBe('7')
    const [worker] = page.workers()
    await worker!.evaluate(() => self.close())
    await shows(page, '#message').toMatch(/^The browser ended .* was restarted/)
    await loaded(page)
    await page.click('#clear')
    await draw(page, '1')
    await shows(page, '#predicted').toBe('1')
  })

  test('goes on in another worker when a file does not end, with the file before it', async () => {
    const { page } = await withModel({ prepare: page => page.clock.install() })
    await loaded(page)
    await drop(page, [{ name: 'endless.onnx', bytes: fileOf(loopingImages(2 ** 62)) }])
    await shows(page, '#message').toBe('Loading endless.onnx …')
    await page.clock.fastForward(61_000)
    await shows(page, '#message').toMatch(
      /^The model took more than 60 seconds and may never end. The worker was restarted/,
    )
    await loaded(page)
    await draw(page, '7')
    await shows(page, '#predicted').toBe('7')
  })
})

/** Inputs, buttons and pictures that a screen reader has no name for. */
const namelessControls = (page: Page): Promise<string[]> =>
  page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>('button, input, select, a, [role=img], [role=tab]')]
      .filter(element => {
        const labels = 'labels' in element ? [...(element.labels as NodeListOf<HTMLElement>)] : []
        const texts = [element.getAttribute('aria-label'), element.title, element.textContent]
        return ![...texts, ...labels.map(l => l.textContent)].some(text => text?.trim())
      })
      .map(element => element.outerHTML.slice(0, 200)),
  )
