import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build as esbuild } from 'esbuild'
import type { Browser } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { ISOLATION } from '../../src/serve/headers.ts'
import { complaintsOf, launch, noBrowser } from './browser.ts'
import { installed } from './package.ts'
import { serve } from './server.ts'

/** Trains as soon as it is run, and tells how; threads that ran it once more would train, too. */
const PROGRAM = `
import { mlp } from 'onnxgrad/models'
import { openRuntime, train } from 'onnxgrad/web'
const size = 128
const images = new Uint8Array(size * 64).map((_, i) => (i * 37) % 251)
const labels = new Uint8Array(size).map((_, i) => i % 4)
const set = { name: 'noise', size, shape: [1, 8, 8], classes: [...'abcd'], images, labels }
async function main() {
  const model = mlp({ image: 8, channels: 1, hidden: [8], classes: 4 })
  const run = await train(model, { data: { train: set, test: set, origin: 'noise' }, epochs: 1, batch: 32 })
  const { threads } = await openRuntime()
  return \`\${run.steps} steps, \${threads > 1 ? 'threads' : 'one thread'}\`
}
`
const TELL = `main().then(tell, error => tell(String(error)))`
const FILES = {
  'in-worker/index.html': `<link rel="icon" href="data:,"><p></p><script type="module" src="./page.js"></script>`,
  'in-worker/page.js': `
    const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
    worker.onmessage = ({ data }) => { document.querySelector('p').textContent = data }`,
  'in-worker/worker.js': `${PROGRAM} const tell = text => postMessage(text); ${TELL}`,
  'in-page/index.html': `<link rel="icon" href="data:,"><p></p><script type="module" src="./page.js"></script>`,
  'in-page/page.js': `${PROGRAM} const tell = text => { document.querySelector('p').textContent = text }; ${TELL}`,
}

describe.skipIf(noBrowser)(`an isolated page${noBrowser ? ` (${noBrowser})` : ''}`, () => {
  let place: Awaited<ReturnType<typeof installed>>
  let browser: Browser
  beforeAll(async () => {
    ;[place, browser] = await Promise.all([installed(), launch()])
    for (const [name, text] of Object.entries(FILES)) {
      await mkdir(join(place.folder, name, '..'), { recursive: true })
      await writeFile(join(place.folder, name), text)
    }
  }, 120_000)
  afterAll(async () => {
    await browser?.close()
    await place?.remove()
  })

  async function told(folder: string) {
    const { origin, close } = await serve(folder, ISOLATION)
    const page = await browser.newPage()
    onTestFinished(async () => {
      await page.close()
      await close()
    })
    const complaints = complaintsOf(page, origin)
    await page.goto(`${origin}/`)
    await expect.poll(() => page.locator('p').innerText(), { timeout: 50_000 }).not.toBe('')
    return { text: await page.locator('p').innerText(), complaints }
  }

  it.each(['in-worker', 'in-page'])('that Vite has built trains with threads (%s)', async name => {
    const root = join(place.folder, name)
    await build({ root, base: './', configFile: false, logLevel: 'error', worker: { format: 'es' } })
    expect(await told(join(root, 'dist'))).toEqual({ text: '4 steps, threads', complaints: [] })
  })

  it('whose bundler keeps no files of onnxruntime-web apart trains with one thread, and says why', async () => {
    const root = join(place.folder, 'in-page')
    const out = join(place.folder, 'bundle')
    await esbuild({
      ...{ entryPoints: [join(root, 'page.js')], outfile: join(out, 'page.js'), bundle: true, format: 'esm' },
      ...{ platform: 'browser', logLevel: 'silent' },
    })
    await writeFile(join(out, 'index.html'), FILES['in-page/index.html'])
    const wasm = 'ort-wasm-simd-threaded.wasm'
    await copyFile(join(place.folder, 'node_modules/onnxruntime-web/dist', wasm), join(out, wasm))
    const { text, complaints } = await told(out)
    expect(text).toBe('4 steps, one thread')
    expect(complaints.filter(c => c.includes('onnxgrad'))).toEqual([
      expect.stringMatching(/^console: onnxgrad: wasm uses one thread: .* wasmPaths: \{ mjs, wasm \}/),
    ])
  })
})
