import { cp, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import type * as models from '../../models/index.ts'
import { packagedDigits } from '../../src/data/digits-node.ts'
import { heldOut } from '../../src/data/held-out.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { ISOLATION } from '../../src/serve/headers.ts'
import { openPredictor } from '../../src/train/predictor.ts'
import type * as web from '../../src/web.ts'
import { complaintsOf, launch } from './browser.ts'
import { installed } from './package.ts'
import { serve } from './server.ts'

declare global {
  interface Window {
    readonly web: typeof web
    readonly models: typeof models
  }
}

const EMPTY = `<!doctype html><link rel="icon" href="data:,">
<script type="importmap">{ "imports": { "onnxgrad/web": "./onnxgrad/web.js" } }</script>
<script type="module">
  import * as web from './onnxgrad/web.js'
  import * as models from './onnxgrad/models.js'
  Object.assign(window, { web, models })
</script>`

const examples = fileURLToPath(new URL('../../examples', import.meta.url))
const runtimes = fileURLToPath(new URL('../../node_modules/onnxruntime-web/dist', import.meta.url))
const LOADERS = ['ort-wasm-simd-threaded', 'ort-wasm-simd-threaded.asyncify']

export const digits = heldOut(await packagedDigits())
export const PIXELS = 28 * 28
const IMAGES = 16
/** The first held-out digits, pixels in [0, 1]. */
export const images = Float32Array.from(digits.test.images.subarray(0, IMAGES * PIXELS), v => v / 255)

/** Logits that onnxruntime-node gives for them with an exported file. */
export async function nodeLogits(onnx: Uint8Array): Promise<number[]> {
  const predictor = await openPredictor(await nodeRuntime('cpu'), onnx)
  const { logits } = await predictor.run({ image: images })
  await predictor.close()
  return [...(logits!.data as Float32Array)]
}

/** The logits that the library gives in a page for the first held-out digits. */
export const pageLogits = (page: Page, onnx: Uint8Array): Promise<number[]> =>
  page.evaluate(
    async ([bytes, pixels]) => {
      const predictor = await window.web.imagePredictor(Uint8Array.from(bytes))
      const logits: number[] = []
      for (let i = 0; i < pixels.length; i += 784)
        logits.push(...(await predictor.predict(Float32Array.from(pixels.slice(i, i + 784)))).logits)
      await predictor.close()
      return logits
    },
    [[...onnx], [...images]] as const,
  )

/** A held-out digit of this class, as a picture. */
export const digitPng = (label: number): Promise<Buffer> => {
  const index = digits.test.labels.indexOf(label)
  const pixels = digits.test.images.subarray(index * PIXELS, (index + 1) * PIXELS)
  return sharp(pixels, { raw: { width: 28, height: 28, channels: 1 } })
    .png()
    .toBuffer()
}

export interface Opening {
  readonly folder?: string
  readonly isolated?: boolean
  readonly from?: Browser
  /** Another name for this machine. */
  readonly host?: string
}

/** The package as users install it, in pages as users write them: the examples, and an empty page that has the library. */
export function libraryPages() {
  let place: Awaited<ReturnType<typeof installed>>
  let plain: string
  let browser: Browser

  beforeAll(async () => {
    ;[place, browser] = await Promise.all([installed('web'), launch()])
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

  async function open(
    path: string,
    { folder = plain, isolated = false, from = browser, host }: Opening = {},
  ) {
    const { origin, close } = await serve(folder, isolated ? ISOLATION : {})
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

  return {
    /** The folder that has the package, and the examples. */
    folder: () => place.folder,
    /** Puts a file beside the empty page. */
    put: (name: string, content: Uint8Array | string) => writeFile(join(plain, name), content),
    open,
  }
}
