import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { succeed } from './npm.ts'

// Programs as users write them, for the runtimes, test runners and bundlers that they have. Each defines a model, trains some steps,
// exports it and predicts with the file.

/** @param host the entry point with a device @param options of the device */
const program = (host: 'node' | 'web', options = '{}') => `
import { adamW, exportOnnx, linear, model, ops, predictor, regression, train } from 'onnxgrad/${host}'

export async function run(options = ${options}) {
  const net = model({
    inputs: { x: { shape: [2] } },
    layers: { a: linear(2, 8), b: linear(8, 1) },
    forward: (self, { x }) => ({ y: self.b(ops.tanh(self.a(x))) }),
  })
  const x = Array.from({ length: 256 }, (_, i) => [(i % 16) / 16, i / 256])
  const y = x.map(([a, b]) => [a * b])
  const data = { x, y }
  const trained = await train(net, { ...options, task: regression(), data, epochs: 10, batch: 32, optimizer: adamW({ lr: 1e-2 }) })
  const [first, last] = [trained.epochs[0].train.loss, trained.epochs.at(-1).train.loss]
  if (!(last < first / 2)) throw new Error('the loss went from ' + first + ' to ' + last)
  const bytes = exportOnnx(trained.model)
  const p = await predictor(bytes, options)
  const answer = await p.run({ x: [[0.5, 0.5]] })
  await p.close()
  if (answer.y.data.length !== 1) throw new Error('no answer')
  return 'learned ' + bytes.length
}
`

/** What a program prints, or a page shows, when all went well. */
export const LEARNED = /learned \d{3,}/

const PROGRAM = `${program('node')}
console.log(await run())
`

/** Runs the program. @param command such as `bun`, with arguments that go before the file */
export async function runProgram(
  app: string,
  command: string,
  args: readonly string[] = [],
): Promise<string> {
  await writeFile(join(app, 'program.mjs'), PROGRAM)
  return (await succeed(app, command, [...args, 'program.mjs'])).stdout
}

const TEST = (globals: string) => `${globals}${program('node')}
test('learns', async () => { expect(await run({ device: 'wasm' })).toMatch(${LEARNED}) }, 120_000)
`

/** Runs the program as a test. */
export async function runTest(app: string, runner: 'vitest' | 'jest'): Promise<void> {
  const folder = join(app, runner)
  await mkdir(folder, { recursive: true })
  if (runner === 'vitest') {
    await writeFile(join(folder, 'it.test.mjs'), TEST("import { expect, test } from 'vitest'\n"))
    await succeed(folder, 'npx', ['vitest', 'run', '--root', '.'])
  } else {
    await writeFile(join(folder, 'it.test.js'), TEST(''))
    await writeFile(
      join(folder, 'package.json'),
      '{ "type": "module", "jest": { "testEnvironment": "node", "transform": {} } }',
    )
    await succeed(folder, process.execPath, ['--experimental-vm-modules', '../node_modules/jest/bin/jest.js'])
  }
}

/** Shows in the page what the program answers, or the error. */
const PAGE = (options?: string) => `${program('web', options)}
run().then(text => { document.title = text }, error => { document.title = 'error: ' + error.message })
`
const HTML = (script: string, head = '') =>
  `<!doctype html><html><head><title>waiting</title><link rel="icon" href="data:,">${head}</head><body><script type="module" src="${script}"></script></body></html>`

/** The runtime's files beside a page, for bundlers that do not know \`new URL('package/file', import.meta.url)\`. */
const copyRuntime = async (app: string, to: string): Promise<void> => {
  const { copyFile } = await import('node:fs/promises')
  const from = join(app, 'node_modules/onnxruntime-web/dist')
  for (const name of await readdir(from))
    if (/^ort-wasm-simd-threaded\.(mjs|wasm)$/.test(name)) await copyFile(join(from, name), join(to, name))
}

/** Builds of the page: each writes a folder that any static server can serve, and returns it. */
export const BUILDS: Readonly<Record<string, (app: string) => Promise<string>>> = {
  async vite(app) {
    const folder = join(app, 'vite')
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'index.html'), HTML('./main.js'))
    await writeFile(join(folder, 'main.js'), PAGE())
    await succeed(folder, 'npx', ['vite', 'build', '--logLevel', 'warn'])
    return join(folder, 'dist')
  },
  async webpack(app) {
    const folder = join(app, 'webpack')
    await mkdir(join(folder, 'dist'), { recursive: true })
    await writeFile(join(folder, 'main.js'), PAGE())
    await writeFile(join(folder, 'dist/index.html'), HTML('./main.js'))
    const config = `export default { mode: 'production', entry: './main.js', performance: { hints: false } }`
    await writeFile(join(folder, 'webpack.config.mjs'), config)
    await succeed(folder, 'npx', ['webpack'])
    return join(folder, 'dist')
  },
  async esbuild(app) {
    const folder = join(app, 'esbuild')
    await mkdir(join(folder, 'dist'), { recursive: true })
    await writeFile(join(folder, 'main.js'), PAGE("{ wasmPaths: './' }"))
    await writeFile(join(folder, 'dist/index.html'), HTML('./main.js'))
    const settings = ['--bundle', '--format=esm', '--minify', '--outfile=dist/main.js']
    await succeed(folder, 'npx', ['esbuild', 'main.js', ...settings])
    await copyRuntime(app, join(folder, 'dist'))
    return join(folder, 'dist')
  },
  async next(app) {
    const folder = join(app, 'next')
    await mkdir(join(folder, 'app'), { recursive: true })
    const files: Readonly<Record<string, string>> = {
      'package.json': '{ "private": true, "type": "module" }',
      'next.config.mjs': `export default { output: 'export', turbopack: { root: '..' } }`,
      'app/layout.js': `export default ({ children }) => <html><head><link rel="icon" href="data:," /></head><body>{children}</body></html>`,
      'app/page.js': `'use client'
import { useEffect } from 'react'
export default function Page() {
  useEffect(() => {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
    worker.onmessage = ({ data }) => { document.title = data }
    return () => worker.terminate()
  }, [])
  return <p>training</p>
}`,
      'app/worker.js': `${program('web')}
run().then(text => postMessage(text), error => postMessage('error: ' + error.message))
`,
    }
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
    await succeed(folder, 'npx', ['next', 'build'], { NEXT_TELEMETRY_DISABLED: '1' })
    return join(folder, 'out')
  },
  async 'plain HTML'(app) {
    // The modules that the package has for pages without a bundler, by an import map.
    const map = `<script type="importmap">{ "imports": { "onnxgrad/web": "./node_modules/onnxgrad/dist/web/web.js" } }</script>`
    await writeFile(join(app, 'index.html'), HTML('./plain.js', map))
    await writeFile(
      join(app, 'plain.js'),
      PAGE("{ wasmPaths: new URL('./node_modules/onnxruntime-web/dist/', location.href).href }"),
    )
    return app
  },
}
