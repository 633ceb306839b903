import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import { input } from '../../src/graph/leaf.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { matmul } from '../../src/ops/matmul.ts'
import { bundled } from '../shared.ts'

const x = input('x', 'float32', [512, 512])
const power = Array.from({ length: 40 }).reduce<AnyTensor>(y => matmul(y, x), x)
/** A model whose run takes a while. */
const heavy = lower({ inputs: { x }, parameters: {}, outputs: { y: power } }, { name: 'power' })

const library = JSON.stringify(pathToFileURL(bundled('worker-node')))

/** Loads the model, and has a function that runs it. */
const LOAD = `
  const { workerRuntime } = await import(${library})
  const runtime = await workerRuntime('cpu')
  const session = await runtime.load(model)
  const values = Float32Array.from({ length: 2 ** 18 }, (_, i) => Math.sin(i * i) / 20)
  const run = () => session.run({ x: runtime.tensor('float32', values, [512, 512]) })
`

interface Ended {
  readonly code: number
  readonly stderr: string
  readonly stdout: string
}

function node(args: readonly string[], stdin: Uint8Array, env: object = {}): Promise<Ended> {
  return new Promise(resolve => {
    const options = { env: { ...process.env, ...env }, cwd: tmpdir() }
    const child = execFile(process.execPath, args, options, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? error?.signal ?? 0), stdout, stderr }),
    )
    child.stdin!.end(stdin)
  })
}

/** Runs lines of a user's program, for which the model is loaded. */
const program = (lines: string, flags: readonly string[] = [], env: object = {}): Promise<Ended> => {
  const text = `
    const { readFileSync } = await import('node:fs')
    const model = readFileSync(0)
    ${lines}`
  return node([...flags, '--input-type=module', '--eval', text], heavy, env)
}

describe('a program', () => {
  it('ends when its work is done, without closing anything', async () => {
    const ended = await program(`${LOAD} await run(); console.log('done')`)
    expect(ended).toEqual({ code: 0, stderr: '', stdout: 'done\n' })
  })

  it('ends at once after a close', async () => {
    const ended = await program(`${LOAD} run(); await runtime.close(); console.log('closed')`)
    expect(ended).toEqual({ code: 0, stderr: '', stdout: 'closed\n' })
  })

  it('may exit in the middle of a run', async () => {
    const ended = await program(`${LOAD} run(); run(); setTimeout(() => process.exit(7), 50)`)
    expect(ended).toEqual({ code: 7, stderr: '', stdout: '' })
  })

  it('may have any flags of Node and V8', async () => {
    const flags = [
      ...['--max-old-space-size=4096', '--expose-gc', '--stack-size=900', '--title=mine'],
      ...['--stack-trace-limit=5', '--conditions=mine', '--enable-source-maps', '--no-deprecation'],
    ]
    const env = { NODE_OPTIONS: '--max-old-space-size=4096 --stack-trace-limit=7 --trace-uncaught' }
    const ended = await program(`${LOAD} await run(); console.log(process.title, typeof gc)`, flags, env)
    expect(ended).toEqual({ code: 0, stderr: '', stdout: 'mine function\n' })
  })
})

describe('a worker thread of a program', () => {
  const worker = (lines: string) => {
    const text = `
      import { parentPort, workerData } from 'node:worker_threads'
      const model = workerData
      ${LOAD} ${lines}`
    return `
      const { Worker } = await import('node:worker_threads')
      const { once } = await import('node:events')
      const text = ${JSON.stringify(text)}
      const start = () => new Worker(new URL('data:text/javascript,' + encodeURIComponent(text)), { workerData: model });`
  }
  const busy = worker(`parentPort.postMessage('busy'); for (;;) await run()`)

  it('may be terminated in the middle of a run', async () => {
    const ended = await program(`${busy}
      for (let i = 0; i < 3; i++) {
        const worker = start()
        await once(worker, 'message')
        await new Promise(resolve => setTimeout(resolve, 20 * i))
        await worker.terminate()
      }
      console.log('alive')`)
    expect(ended).toEqual({ code: 0, stderr: '', stdout: 'alive\n' })
  })

  it('may be in the middle of a run when the program exits', async () => {
    const ended = await program(`${busy} await once(start(), 'message'); process.exit(7)`)
    expect(ended).toEqual({ code: 7, stderr: '', stdout: '' })
  })

  it('gets the values that the main thread gets, and ends when its work is done', async () => {
    const ended = await program(`${worker('parentPort.postMessage((await run()).y.data)')}
      ${LOAD}
      const worker = start()
      const ended = once(worker, 'exit')
      const [theirs] = await once(worker, 'message')
      const mine = (await run()).y.data
      console.log(Buffer.from(mine.buffer).equals(Buffer.from(theirs.buffer)), mine.some(y => y !== 0), await ended)`)
    expect(ended).toEqual({ code: 0, stderr: '', stdout: 'true true [ 0 ]\n' })
  })
})

describe('a bundle without the package', () => {
  const source = fileURLToPath(new URL('../../src/runtime/worker-node.ts', import.meta.url))
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'onnxgrad-bundle-'))
    await mkdir(join(folder, 'node_modules'))
    for (const name of ['onnxruntime-node', 'onnxruntime-common'])
      await symlink(
        fileURLToPath(new URL(`../../node_modules/${name}`, import.meta.url)),
        join(folder, 'node_modules', name),
      )
    await writeFile(
      join(folder, 'main.ts'),
      `import { readFileSync } from 'node:fs'
      import { workerRuntime } from ${JSON.stringify(source)}
      async function main() {
        const runtime = await workerRuntime('cpu')
        await workerRuntime('cpu')
        const session = await runtime.load(readFileSync(0))
        const x = runtime.tensor('float32', new Float32Array(2 ** 18), [512, 512])
        console.log(runtime.parallel, (await session.run({ x })).y!.dims.join())
      }
      main()`,
    )
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.each(['esm', 'cjs'] as const)(
    'of format %s runs models in its own thread, and says so once',
    async format => {
      const outfile = join(folder, format === 'esm' ? 'bundle.mjs' : 'bundle.cjs')
      await build({
        ...{ entryPoints: [join(folder, 'main.ts')], outfile, bundle: true, platform: 'node', format },
        ...{ external: ['onnxruntime-node', 'onnxruntime-web'], logLevel: 'silent' },
      })
      const { code, stdout, stderr } = await node([outfile], heavy)
      expect([code, stdout], stderr).toEqual([0, 'false 512,512\n'])
      expect(stderr.match(/\[ONNXGRAD_BUNDLED\]/g)).toHaveLength(1)
    },
  )
})
