import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { noRegistry, type Ran, run, succeed } from './npm.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const skipped = await noRegistry()
if (skipped) console.warn(`install ${skipped}`)

/** Only there has onnxruntime-node's script something to download. */
const downloads = process.platform === 'linux' && process.arch === 'x64'

const TRAIN = ['onnxgrad', 'train', 'vit', '--data', 'digits', '--limit', '640', '--epochs', '1', '--json']
const jsonOf = ({ stdout }: Ran) => JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, unknown>

const PROGRAM = `
import { mlp } from 'onnxgrad/models'
import { mnist, save, train } from 'onnxgrad/node'
import { input, ops } from 'onnxgrad'
import { vit } from 'onnxgrad/models'

const x = input('x', 'float32', ['batch', 4])
if (ops.add(x, x).shape.length !== 2 || typeof vit !== 'function') throw new Error('the library is not whole')
const model = mlp({ image: 28, channels: 1, classes: 10, hidden: [16] })
const run = await train(model, { data: await mnist({ data: 'digits' }), epochs: 1 })
await save(run.model, 'mlp.onnx')
console.log(run.test.accuracy)
`

const TYPED = `
import { input, ops, type Tensor } from 'onnxgrad'
import { vit } from 'onnxgrad/models'
import { adamW, mnist, nodeRuntime, train, type FitResult } from 'onnxgrad/node'
import { digits, train as trainInPage } from 'onnxgrad/web'
export const y = ops.matmul(input('x', 'float32', ['batch', 64]), input('w', 'float32', [64, 8]))
export type Both = Tensor | FitResult
export const all = [vit, adamW, mnist, nodeRuntime, train, digits, trainInPage]
// @ts-expect-error inner dims differ
ops.matmul(input('x', 'float32', ['batch', 64]), input('w', 'float32', [65, 8]))
`

describe.skipIf(skipped)(`the packed tarball${skipped ? ` (${skipped})` : ''}`, () => {
  let folder: string
  let app: string
  let tarball: string
  let files: string[]

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'onnxgrad-install-'))
    app = join(folder, 'app')
    await mkdir(app)
    await succeed(root, 'npm', ['pack', '--pack-destination', folder])
    tarball = join(folder, (await readdir(folder)).find(name => name.endsWith('.tgz'))!)
    await writeFile(join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }')
    await succeed(app, 'npm', ['install', tarball])
    files = (await readdir(join(app, 'node_modules/onnxgrad'), { recursive: true, withFileTypes: true }))
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name).slice(join(app, 'node_modules/onnxgrad/').length))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test('is at most 2.4 MB, without WebAssembly, tests, sources or source maps', async () => {
    expect((await stat(tarball)).size).toBeLessThan(2.4e6)
    expect(
      files.filter(file => /\.(wasm|map|onnx|py|tsx)$|(^|\/)(test|scripts)\/|^runs\//.test(file)),
    ).toEqual(['dist/lab/model.onnx'].filter(file => files.includes(file)))
    expect(files.filter(file => file.endsWith('.ts') && !file.endsWith('.d.ts'))).toEqual([])
    expect(files.filter(file => file.includes('digits.bin'))).toEqual([
      'dist/web/digits.bin',
      'dist/web/digits.bin.LICENSE',
    ])
    expect(files).toEqual(expect.arrayContaining(['bin/onnxgrad.js', 'dist/lab/index.html', 'LICENSE']))
  })

  test('trains as it is installed, whether or not the download of CUDA went through', async () => {
    const native = existsSync(join(app, 'node_modules/onnxruntime-node'))
    const trained = await succeed(app, 'npx', [...TRAIN, '--out', 'first'])
    expect(jsonOf(trained)).toMatchObject({ device: native ? 'cpu' : 'wasm', verified: true })
    expect(trained.stderr.includes('running on WASM')).toBe(!native)
    const doctor = await succeed(app, 'npx', ['onnxgrad', 'doctor', '--json'])
    expect(jsonOf(doctor)).toMatchObject({
      devices: { cpu: { works: native }, wasm: { works: true } },
      parts: { sharp: { works: true }, digits: { works: true }, cache: { works: true } },
    })
    if (!native) {
      expect(downloads).toBe(true)
      expect(doctor.stdout).toContain('ONNXRUNTIME_NODE_INSTALL=skip npm install')
    }
  })

  test('gets the native runtime by the command that it names; file and library work with it', async () => {
    await succeed(app, 'npm', ['install'], { ONNXRUNTIME_NODE_INSTALL: 'skip' })
    const trained = await succeed(app, 'npx', [...TRAIN, '--out', 'second'])
    expect(trained.stderr).not.toContain('WASM')
    expect(jsonOf(trained)).toMatchObject({ device: 'cpu', verified: true })
    await succeed(app, 'npx', ['onnxgrad', 'export', 'second', '--opset', '21', '--out', 'second.onnx'])
    const verified = await succeed(app, 'npx', [
      'onnxgrad',
      'verify',
      'second.onnx',
      '--data',
      'digits',
      '--json',
    ])
    expect(jsonOf(verified).runtimes).toMatchObject([
      { runtime: 'onnxruntime-node cpu', ok: true },
      { runtime: 'onnxruntime-web wasm', ok: true },
    ])
    expect(files).toContain('dist/src/deploy/proof/chromium-page.js')
    await writeFile(join(app, 'program.js'), PROGRAM)
    expect(Number((await succeed(app, 'node', ['program.js'])).stdout)).toBeGreaterThan(0.5)
    expect((await stat(join(app, 'mlp.onnx'))).size).toBeGreaterThan(10_000)
  })

  test('its declarations need nothing that is not installed with it', async () => {
    await writeFile(join(app, 'typed.ts'), TYPED)
    const options = {
      strict: true,
      module: 'nodenext',
      target: 'es2023',
      lib: ['es2023', 'dom'],
      types: [],
      noEmit: true,
    }
    await writeFile(
      join(app, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: options, files: ['typed.ts'] }),
    )
    await succeed(app, join(root, 'node_modules/.bin/tsc'), [])
  })
})

describe.skipIf(skipped || !existsSync(join(root, '.git')))('a fresh clone', () => {
  let clone: string

  beforeAll(async () => {
    clone = await mkdtemp(join(tmpdir(), 'onnxgrad-clone-'))
    await succeed(clone, 'git', ['clone', '--quiet', '--no-hardlinks', root, '.'])
    await succeed(clone, 'npm', ['ci'])
  })
  afterAll(() => rm(clone, { recursive: true, force: true }))

  test('has the native runtime, and its first command trains from the sources with nothing built', async () => {
    const trained = await run(clone, 'npx', TRAIN)
    expect(trained.stderr).not.toMatch(/Unknown project config|WASM/)
    expect(trained.stderr).toMatch(/^First run in this clone: /m)
    expect(jsonOf(trained)).toMatchObject({ device: 'cpu', verified: true, out: 'runs/vit-lecture' })
    expect(existsSync(join(clone, 'dist/src'))).toBe(false)
    const again = await run(clone, 'npx', ['onnxgrad', '--version'])
    expect(again.stdout.trim()).toMatch(/^\d+\.\d+\.\d+$/)
    expect(again.stderr).not.toMatch(/Unknown project config|First run/)
    expect((await succeed(clone, 'git', ['status', '--porcelain'])).stdout).toBe('')
  })
})
