import { execFile } from 'node:child_process'
import { cp, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import sharp from 'sharp'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type * as models from '../../models/index.ts'
import { heldOut } from '../../src/data/held-out.ts'
import { readDigit } from '../../src/data/image-node.ts'
import { packagedDigits } from '../../src/data/mnist-package-node.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { argmaxAt } from '../../src/train/evaluate.ts'
import { filePredictor } from '../../src/train/predictor.ts'
import type * as web from '../../src/web.ts'
import { complaintsOf, launch, noBrowser } from './browser.ts'
import { installed } from './package.ts'
import { serve } from './server.ts'
import { noSwiftShader } from './swiftshader.ts'

// The package as users install it, in pages as users write them: the two examples, and an empty page that has the library.

declare global {
  interface Window {
    readonly web: typeof web
    readonly models: typeof models
  }
}

const EMPTY = `<!doctype html><link rel="icon" href="data:,"><script type="module">
  import * as web from './onnxgrad/web.js'
  import * as models from './onnxgrad/models.js'
  Object.assign(window, { web, models })
</script>`

const examples = fileURLToPath(new URL('../../examples', import.meta.url))
const runtimes = fileURLToPath(new URL('../../node_modules/onnxruntime-web/dist', import.meta.url))
const compiler = fileURLToPath(new URL('../../node_modules/.bin/tsc', import.meta.url))
const LOADERS = ['ort-wasm-simd-threaded', 'ort-wasm-simd-threaded.asyncify']

const digits = heldOut(await packagedDigits())
const PIXELS = 28 * 28
const IMAGES = 16
/** The first held-out digits, pixels in [0, 1]. */
const images = Float32Array.from(digits.test.images.subarray(0, IMAGES * PIXELS), v => v / 255)

/** Logits that onnxruntime-node gives for them with an exported file. */
async function nodeLogits(onnx: Uint8Array): Promise<number[]> {
  const predictor = await filePredictor(await nodeRuntime('cpu'), onnx, [1, 28, 28])
  const logits = await predictor.predict({ input: images, count: IMAGES })
  await predictor.close()
  return [...logits]
}

const apart = (a: readonly number[], b: readonly number[]): number => {
  expect(a).toHaveLength(b.length)
  return Math.max(...a.map((v, i) => Math.abs(v - b[i]!)))
}

/** What a page lets the user save when this button is pressed. */
async function saved(page: Page, button: string): Promise<Uint8Array> {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click(button)])
  expect(download.suggestedFilename()).toBe('model.onnx')
  return readFile(await download.path())
}

/** The logits that the library gives in a page for the first held-out digits. */
const pageLogits = (page: Page, onnx: Uint8Array): Promise<number[]> =>
  page.evaluate(
    async ([bytes, pixels]) => {
      const predictor = await window.web.openPredictor(Uint8Array.from(bytes))
      const logits: number[] = []
      for (let i = 0; i < pixels.length; i += 784)
        logits.push(...(await predictor.predict(Float32Array.from(pixels.slice(i, i + 784)))).logits)
      await predictor.close()
      return logits
    },
    [[...onnx], [...images]] as const,
  )

describe.skipIf(noBrowser)(`onnxgrad/web${noBrowser ? ` (${noBrowser})` : ''}`, () => {
  let place: Awaited<ReturnType<typeof installed>>
  let plain: string
  let browser: Browser

  beforeAll(async () => {
    ;[place, browser] = await Promise.all([installed({ web: 'web.config.ts' }), launch()])
    await cp(examples, place.folder, { recursive: true })
    plain = join(place.folder, 'page')
    const library = join(plain, 'onnxgrad')
    await cp(join(place.own, 'dist/web'), library, { recursive: true })
    for (const file of LOADERS.flatMap(name => [`${name}.mjs`, `${name}.wasm`]))
      await symlink(join(runtimes, file), join(library, file))
    await writeFile(join(plain, 'empty.html'), EMPTY)
  }, 120_000)

  afterAll(async () => {
    await browser?.close()
    await place?.remove()
  })

  interface Opening {
    readonly folder?: string
    readonly isolated?: boolean
    readonly from?: Browser
    /** Another name for this machine. */
    readonly host?: string
  }

  async function open(
    path: string,
    { folder = plain, isolated = false, from = browser, host }: Opening = {},
  ) {
    const { origin, close } = await serve(folder, { isolated })
    const page = await from.newPage()
    const complaints = complaintsOf(page, origin)
    onTestFinished(async () => {
      await page.close()
      await close()
    })
    await page.goto((host ? origin.replace('127.0.0.1', host) : origin) + path)
    if (path === '/empty.html') await page.waitForFunction(() => 'web' in window)
    return { page, complaints }
  }

  const textOf = (page: Page, selector: string) => page.locator(selector).innerText()

  test('the plain example trains a ViT in a worker without a bundler, and Node reads its model the same', async () => {
    const { page, complaints } = await open('/')
    const loss = async () => Number.parseFloat(await textOf(page, '#loss'))
    await expect.poll(loss, { timeout: 20_000 }).toBeGreaterThan(0)
    const first = await loss()
    await expect.poll(() => textOf(page, '#message'), { timeout: 50_000 }).not.toBe('')
    expect(await loss()).toBeLessThan(first / 2)
    const [, accuracy, truth, guess] =
      /^([\d.]+) % of the held-out digits are right\. The first is a (\d): it reads (\d)\.$/.exec(
        await textOf(page, '#message'),
      )!
    expect(Number(accuracy)).toBeGreaterThan(60)
    expect(Number(truth)).toBe(digits.test.labels[0])

    const onnx = await saved(page, '#save')
    const want = await nodeLogits(onnx)
    expect(argmaxAt(want, 0, 10)).toBe(Number(guess))
    const { page: another } = await open('/empty.html')
    expect(apart(await pageLogits(another, onnx), want)).toBeLessThanOrEqual(1e-4)
    expect(complaints).toEqual([])
  })

  describe('in the Vite example', () => {
    let app: string

    beforeAll(async () => {
      const root = join(place.folder, 'vite')
      await build({ root, logLevel: 'error' })
      app = join(root, 'dist')
    }, 60_000)

    test('the types of the installed package are right', async () => {
      await promisify(execFile)(compiler, ['-p', join(place.folder, 'vite')])
    })

    test.each([true, false])(
      'a network learns (isolated page: %s), and stops when it is told',
      async isolated => {
        const { page, complaints } = await open('/?epochs=1', { folder: app, isolated })
        const devices = page.locator('#device')
        await expect.poll(() => devices.innerText()).toContain('wasm: ')
        const cores = await page.evaluate(() => navigator.hardwareConcurrency)
        if (isolated) expect(await devices.innerText()).toMatch(`wasm: ${Math.min(4, cores)} thread`)
        else
          expect(await devices.innerText()).toContain(
            'wasm: 1 thread; more need a cross-origin-isolated page',
          )
        await page.click('#train')
        await expect
          .poll(() => textOf(page, '#message'), { timeout: 40_000 })
          .toMatch(/^9\d\.\d % of the held-out/)

        const onnx = await saved(page, '#save')
        const { page: another } = await open('/empty.html')
        expect(apart(await pageLogits(another, onnx), await nodeLogits(onnx))).toBeLessThanOrEqual(1e-4)

        const picture = { name: 'digit.png', mimeType: 'image/png', buffer: await digitPng(7) }
        await page.setInputFiles('#picture', picture)
        await expect.poll(() => textOf(page, '#message')).toBe('This is a 7.')
        await page.setInputFiles('#picture', { ...picture, name: 'notes.png', buffer: Buffer.from('notes') })
        await expect.poll(() => textOf(page, '#message')).toMatch(/^notes\.png: is not a picture/)
        expect(complaints).toEqual([])
      },
    )

    test('training stops after the step at which the page says so', async () => {
      const { page } = await open('/?epochs=1000', { folder: app })
      await page.click('#train')
      await expect.poll(() => textOf(page, '#loss'), { timeout: 20_000 }).not.toBe('–')
      await page.click('#stop')
      await expect
        .poll(() => textOf(page, '#message'), { timeout: 20_000 })
        .toMatch(/held-out digits are right/)
    })
  })

  describe('pictures', () => {
    const square = (background: string, width: number, height = width) =>
      sharp({ create: { width, height, channels: 4, background } })
    const onWhite = async (size: number) => {
      const ink = await sharp(await digitPng(5))
        .resize(size, size)
        .negate()
        .png()
        .toBuffer()
      return sharp(ink).toColourspace('srgb').png().toBuffer()
    }
    const bar = { input: { create: { width: 30, height: 90, channels: 4 as const, background: '#f0e020' } } }

    test.each<[string, readonly [number, number, number], number, () => Promise<Buffer>]>([
      ['a digit of the right size', [1, 28, 28], 0, () => digitPng(7)],
      ['a large digit on white', [1, 28, 28], 1, () => onWhite(300)],
      [
        'colours',
        [1, 28, 28],
        2,
        () =>
          square('#2060a0', 120)
            .composite([{ ...bar, left: 50, top: 10 }])
            .png()
            .toBuffer(),
      ],
      [
        'transparent parts',
        [1, 28, 28],
        2,
        () =>
          square('#0000', 120)
            .composite([{ ...bar, left: 50, top: 10 }])
            .png()
            .toBuffer(),
      ],
      [
        'a photograph taken with the camera on its side',
        [1, 28, 28],
        4,
        () =>
          square('#333', 200, 160)
            .composite([{ ...bar, left: 20, top: 30 }])
            .withMetadata({ orientation: 6 })
            .jpeg({ quality: 95 })
            .toBuffer(),
      ],
      [
        'three channels of another size',
        [3, 20, 20],
        12,
        async () => {
          const hard = square('#2060a0', 200, 100).composite([{ ...bar, left: 60, top: 20 }])
          return sharp(await hard.png().toBuffer())
            .blur(6)
            .png()
            .toBuffer()
        },
      ],
    ])('%s: read as Node reads it', async (_, shape, most, picture) => {
      const bytes = await picture()
      const path = join(place.folder, 'picture')
      await writeFile(path, bytes)
      const [channels, height, width] = shape
      const { image } = await readDigit(path, { channels, height, width })
      const { page } = await open('/empty.html')
      const got = await page.evaluate(
        async ([bytes, shape]) => [
          ...(await window.web.readPicture(new Blob([Uint8Array.from(bytes)]), 'it', shape)),
        ],
        [[...bytes], shape] as const,
      )
      expect(
        apart(
          got,
          [...image].map(v => v * 255),
        ),
      ).toBeLessThanOrEqual(most + 0.51)
    })

    test('in folders, one for each class, are data; what is no picture is named', async () => {
      const { page } = await open('/empty.html')
      const [one, seven] = [[...(await digitPng(1))], [...(await digitPng(7))]] as const
      const got = await page.evaluate(
        async ([one, seven]) => {
          const file = (name: string, bytes: readonly number[]) => new File([Uint8Array.from(bytes)], name)
          const labelled = (label: string, name: string, bytes: readonly number[]) => ({
            label,
            file: file(name, bytes),
          })
          const shape = [1, 28, 28] as const
          const { imageFolder } = window.web
          const problem = (files: Parameters<typeof imageFolder>[0]) =>
            imageFolder(files, shape).then(
              () => 'none',
              (error: Error) => `${error.name}: ${error.message}`,
            )
          const fives = (label: string, bytes: readonly number[]) =>
            Array.from({ length: 5 }, (_, i) => labelled(label, `${i}.png`, bytes))
          const good = [...fives('seven', seven), ...fives('one', one), labelled('one', '.hidden', [])]
          const { train, test } = await imageFolder(good, shape)
          return {
            classes: train.classes,
            sizes: [train.size, test.size],
            first: [...train.images.subarray(0, 784)],
            label: train.labels[0],
            problems: [
              await problem([...good, labelled('one', 'notes.txt', [1, 2, 3])]),
              await problem(fives('one', one)),
              await problem([]),
              await problem([file('loose.png', one)]),
            ],
          }
        },
        [one, seven] as const,
      )
      expect(got.classes).toEqual(['one', 'seven'])
      expect(got.sizes).toEqual([8, 2])
      const drawn = await sharp(await digitPng(got.label ? 7 : 1))
        .toColourspace('b-w')
        .raw()
        .toBuffer()
      expect(got.first).toEqual([...drawn])
      expect(got.problems).toEqual([
        expect.stringMatching(/^UserError: one\/notes\.txt: is not a picture/),
        expect.stringMatching(/^UserError: the pictures are of 1 class, one; choose/),
        expect.stringMatching(/^UserError: the pictures are of 0 classes; choose/),
        expect.stringMatching(/^UserError: loose\.png: lies in no folder/),
      ])
    })
  })

  describe('devices', () => {
    const devices = (page: Page) => page.evaluate(() => window.web.webDevices())

    test('say why they are not available', async () => {
      const { page } = await open('/empty.html')
      expect(await devices(page)).toEqual([
        {
          name: 'wasm',
          available: true,
          detail: expect.stringMatching(/^1 thread; more need a cross-origin-isolated/),
        },
        { name: 'webgpu', available: false, reason: expect.stringMatching(/^the browser finds no GPU/) },
      ])
      const mapped = await launch({ flags: ['--host-resolver-rules=MAP page.example 127.0.0.1'] })
      onTestFinished(() => mapped.close())
      const { page: insecure } = await open('/empty.html', { from: mapped, host: 'page.example' })
      expect((await devices(insecure))[1]!.reason).toBe(
        'browsers give a GPU to https pages and to localhost only',
      )
    })

    test('are refused with what to do', async () => {
      const { page } = await open('/empty.html')
      const problem = (options: web.WebOptions) =>
        page.evaluate(
          options =>
            window.web.webRuntime(options).then(
              () => 'none',
              (error: Error) => `${error.name}: ${error.message}`,
            ),
          options,
        )
      expect(await problem({ wasmPaths: '/nowhere/' })).toMatch(
        /^UserError: device wasm is not available: .*; onnxruntime-web's files .* must be where wasmPaths says/,
      )
      expect(await problem({ threads: 2 })).toMatch(/^UserError: 2 threads are not possible here: more need/)
      expect(await problem({ threads: 0 })).toMatch(
        /^UserError: threads must be a whole number of at least 1/,
      )
      expect(await problem({ device: 'webgpu' })).toMatch(
        /^UserError: device webgpu is not available: the browser finds/,
      )
      expect(await problem({ device: 'cuda' as 'wasm' })).toMatch(
        /^UserError: device cuda is not known in a browser/,
      )
    })
  })

  test.skipIf(noSwiftShader)(
    `WebGPU trains to the losses of WASM and says when the GPU is gone${noSwiftShader ? ` (${noSwiftShader})` : ''}`,
    { timeout: 180_000 },
    async () => {
      const gpu = await launch({ gpu: true })
      onTestFinished(() => gpu.close())
      const { page, complaints } = await open('/empty.html', { from: gpu })
      const train = (device: web.WebDeviceName) =>
        page.evaluate(async device => {
          const { adam, digits, exportOnnx, train } = window.web
          const all = await digits('onnxgrad/digits.gz')
          const some = (set: web.ImageSource['train'], size: number) => ({
            ...set,
            size,
            images: set.images.subarray(0, size * 784),
            labels: set.labels.subarray(0, size),
          })
          const model = window.models.vit({
            image: 28,
            channels: 1,
            patch: 7,
            dim: 16,
            depth: 1,
            heads: 2,
            mlp: 32,
            classes: 10,
          })
          const losses: number[] = []
          const { model: trained } = await train(model, {
            data: { ...all, train: some(all.train, 64), test: some(all.test, 8) },
            device,
            batch: 16,
            epochs: 2,
            optimizer: adam({ lr: 3e-3 }),
            onStep: ({ loss }) => void losses.push(loss),
          })
          return { losses, onnx: [...exportOnnx(trained)] }
        }, device)
      const wasm = await train('wasm')
      const webgpu = await train('webgpu')
      expect(wasm.losses).toHaveLength(8)
      expect(wasm.losses.at(-1)).toBeLessThan(wasm.losses[0]!)
      expect(apart(webgpu.losses, wasm.losses)).toBeLessThanOrEqual(1e-3)

      const gone = await page.evaluate(
        async ([bytes, pixels]) => {
          const told: string[] = []
          const options = { device: 'webgpu', onLost: (reason: string) => told.push(reason) } as const
          const requested: GPUDevice[] = []
          const request = GPUAdapter.prototype.requestDevice
          GPUAdapter.prototype.requestDevice = async function (...args) {
            const device = await request.apply(this, args)
            requested.push(device)
            return device
          }
          const image = Float32Array.from(pixels)
          const predictor = await window.web.openPredictor(Uint8Array.from(bytes), options)
          const before = await predictor.predict(image)
          requested.at(-1)!.destroy()
          const problems = []
          for (let i = 0; i < 2; i++)
            problems.push(
              await predictor
                .predict(image)
                .then(String, (error: Error) => `${error.name}: ${error.message}`),
            )
          await predictor.close()
          const again = await window.web.predict(Uint8Array.from(bytes), image, options)
          return { told, problems, before: [...before.logits], again: [...again.logits] }
        },
        [webgpu.onnx, [...images.subarray(0, PIXELS)]] as const,
      )
      const want = (await nodeLogits(Uint8Array.from(webgpu.onnx))).slice(0, 10)
      expect(apart(gone.before, want)).toBeLessThanOrEqual(1e-4)
      expect(gone.told).toHaveLength(1)
      for (const problem of gone.problems)
        expect(problem).toMatch(/^UserError: webgpu: .*the GPU is gone \(.*\); start again/)
      expect(gone.again).toEqual(gone.before)
      expect(complaints).toEqual([])
    },
  )

  /** A held-out digit of this class, as a picture. */
  const digitPng = (label: number): Promise<Buffer> => {
    const index = digits.test.labels.indexOf(label)
    const pixels = digits.test.images.subarray(index * PIXELS, (index + 1) * PIXELS)
    return sharp(pixels, { raw: { width: 28, height: 28, channels: 1 } })
      .png()
      .toBuffer()
  }
})
