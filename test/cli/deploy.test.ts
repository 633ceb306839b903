import { chmod, copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { fileFacts } from '../../src/deploy/proof/weights.ts'
import { readOnnx } from '../../src/export/read.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { openPredictor } from '../../src/train/predictor.ts'
import { bundled } from '../shared.ts'
import { complaint, type Finished, onnxgrad, start, workFolder, writeDigits } from './program.ts'

const folder = await workFolder()
const at = (...names: string[]) => join(folder, ...names)
const [data, run, file] = [at('digits'), at('run'), at('lenet.onnx')]
/** What makes calibration quick. */
const QUICK = ['--method', 'minmax', '--calibration', '64']
let whole = 0

beforeAll(async () => {
  await mkdir(data)
  await writeDigits(data, 640, 200)
  const quick = ['--epochs', '3', '--batch', '32', '--no-report', '--no-verify']
  expect((await onnxgrad('train', 'lenet', '--data', data, ...quick, '--out', run)).code).toBe(0)
  await copyFile(join(run, 'model.onnx'), file)
  whole = (await stat(file)).size
}, 60_000)

const said = (done: Finished): string => complaint(done).join('\n').replaceAll(folder, '…')

/** What a command that works wrote. */
async function exported(...args: string[]): Promise<Finished['json']> {
  const done = await onnxgrad('export', ...args, '--json')
  expect([done.code, said(done)]).toEqual([0, ''])
  return done.json
}

const factsOf = async (path: string) => fileFacts(path, readOnnx(await readFile(path), path))

/** The file answers, with numbers for each class. */
async function runs(path: string): Promise<void> {
  const runtime = await nodeRuntime('cpu')
  const p = await openPredictor(runtime, await readFile(path))
  const { logits } = await p.run({ image: { data: new Float32Array(3 * 784), dims: [3, 1, 28, 28] } })
  expect(logits!.dims).toEqual([3, 10])
  expect(Array.from(logits!.data, Number).every(Number.isFinite)).toBe(true)
  await runtime.close()
}

describe('a smaller form of a run', () => {
  test.each([
    ['float32', 1.02, 'float32'],
    ['float16', 0.55, 'float16'],
    ['int8', 0.35, 'int8 + float16'],
    ['int8-dynamic', 0.35, 'int8 + float16'],
  ])('%s is written beside the model, and runs', async (precision, most, held) => {
    const out = join(run, `model.${precision}.onnx`)
    const json = await exported(run, '--precision', precision)
    const { bytes, form, opset } = await factsOf(out)
    expect(json).toMatchObject({ out, bytes, form: precision, opset: 17 })
    expect([form, opset]).toEqual([held, 17])
    expect(bytes).toBeLessThan(most * whole)
    await runs(out)
  })

  test('int8 is proved against the run, in its folder and elsewhere, on the test set of the run', async () => {
    const path = at('elsewhere.onnx')
    const json = await exported(run, '--precision', 'int8', '--out', path)
    expect(json).toMatchObject({ deviation: { agreement: expect.any(Number) }, kept: expect.any(Array) })
    const inside = join(run, 'inside.onnx')
    await copyFile(path, inside)
    const limits = ['--max-drop', '5', '--min-agreement', '0.8']
    for (const args of [[inside], [path, '--against', run]]) {
      const proof = await onnxgrad(
        'verify',
        ...args,
        ...limits,
        '--device',
        'cpu',
        '--seconds',
        '0',
        '--json',
      )
      expect([proof.code, said(proof)]).toEqual([0, ''])
      expect(proof.json).toMatchObject({
        examples: { size: 200 },
        reference: {
          name: `the training graph with the checkpoint of ${run}`,
          file: { form: 'float32', bytes: whole },
        },
        runtimes: [{ examples: 200, answers: { accuracy: { reference: expect.any(Number) } } }],
      })
    }
  })

  test('says where it is, for which onnxruntime, and how to measure it', async () => {
    const out = at('a name.onnx')
    const { stdout } = await onnxgrad(
      'export',
      run,
      '--precision',
      'int8',
      '--opset',
      '23',
      ...QUICK,
      '--out',
      out,
    )
    expect(stdout).toMatch(/a name\.onnx {2}[\d,]+ bytes, int8, opset 23 \(onnxruntime 1\.24 and later\)/)
    expect(stdout).toContain(`measure it with: onnxgrad verify '${out}' --against ${run}`)
  })

  test('layers that are to be kept are kept, by the name of a layer or of a weight', async () => {
    const integers = async (...keep: string[]) => {
      const out = at(`kept ${keep.length} ${keep[0]}.onnx`)
      await exported(run, '--precision', 'int8', ...QUICK, '--keep', ...keep, '--out', out)
      return (await factsOf(out)).weights.int8
    }
    // The convolutions have two channels of zeros, which WebGPU needs.
    const without = 8 * 25 + 16 * 8 * 25 + 84 * 120 + 10 * 84
    const [layer, weight, some] = [
      await integers('fc1'),
      await integers('fc1.weight'),
      await integers('fc1', 'fc2', 'fc3', 'conv2'),
    ]
    // Beside the weights there is a zero point for each output.
    expect(layer! - without).toBeLessThan(500)
    expect(weight).toBe(layer)
    expect(some! - 8 * 25).toBeLessThan(100)
  })

  test('--qat trains, and the file has the integers of what was trained', async () => {
    const out = at('aware.onnx')
    const flags = ['--precision', 'int8', '--qat', '1', ...QUICK]
    const done = await onnxgrad('export', run, ...flags, '--out', out, '--json')
    expect([done.code, said(done)]).toEqual([0, ''])
    expect(done.json).toMatchObject({ out, form: 'int8 (quantization-aware)' })
    expect(done.stderr).toMatch(/epoch 1\/1 {2}train loss/)
    const [aware, plain] = [await factsOf(out), await factsOf(join(run, 'model.int8.onnx'))]
    expect(aware.form).toBe('int8 + float16')
    expect(Math.abs(aware.bytes - plain.bytes)).toBeLessThan(0.05 * whole)
    await runs(out)
  })

  test('Ctrl-C ends --qat with exit code 130, and writes nothing', async () => {
    const out = at('stopped.onnx')
    const flags = ['--precision', 'int8', '--qat', '500', ...QUICK]
    const { child, finished } = start(['export', run, ...flags, '--out', out])
    await new Promise<void>(resolve => {
      child.stderr!.on('data', d => {
        if (String(d).includes('epoch ')) resolve()
      })
    })
    child.kill('SIGINT')
    const done = await finished
    expect([done.code, said(done)]).toEqual([130, ''])
    expect(done.stderr).toContain('stopped; nothing was written')
    expect(await readdir(folder)).not.toContain('stopped.onnx')
  })

  test('--optimize changes no output', async () => {
    const out = at('optimized.onnx')
    expect(await exported(run, '--optimize', '--out', out)).toMatchObject({ form: 'float32' })
    const proof = await onnxgrad(
      ...(['verify', out, '--against', run, '--device', 'cpu'] as const),
      ...(['--seconds', '0', '--json'] as const),
    )
    expect(proof).toMatchObject({ code: 0, json: { ok: true, thresholds: { tolerance: 1e-4 } } })
  })
})

interface Attempt {
  readonly name: string
  readonly drop: number
  readonly bytes: number
}

describe('--max-drop', () => {
  const tried = ({ tried }: Finished['json']) => tried as readonly Attempt[]

  test('takes the first form where it is good enough', async () => {
    const json = await exported(run, '--max-drop', '100', '--out', at('any.onnx'))
    expect(tried(json)).toMatchObject([{ name: 'int8', bytes: json.bytes }])
    expect(json.form).toBe('int8')
  })

  test('tries larger forms until one is good enough', async () => {
    const out = at('best.onnx')
    const json = await exported(run, '--max-drop', '0', ...QUICK, '--out', out)
    const attempts = tried(json)
    expect(attempts.map(({ name }) => name)).toEqual(
      ['int8', 'int8 (quantization-aware)', 'int8-dynamic', 'float16', 'float32'].slice(0, attempts.length),
    )
    expect(attempts.map(({ drop }) => drop <= 1e-9)).toEqual(
      attempts.map((_, i) => i === attempts.length - 1),
    )
    expect((await factsOf(out)).bytes).toBe(json.bytes)
  })

  test('with a precision tries that one alone', async () => {
    const json = await exported(run, '--max-drop', '2', '--precision', 'float16', '--out', at('half.onnx'))
    expect(tried(json).map(({ name }) => name)).toEqual(['float16'])
  })
})

test('a file is exported beside itself, with data that are named', async () => {
  const out = at('lenet.int8.onnx')
  const json = await exported(file, '--precision', 'int8', ...QUICK, '--data', data)
  expect(json).toMatchObject({ out, form: 'int8' })
  await runs(out)
  expect(await exported(file)).toMatchObject({ out: at('lenet.float32.onnx'), form: 'float32' })
  const again = await onnxgrad('export', out, '--precision', 'float16', '--out', at('twice.onnx'))
  expect(said(again)).toBe(
    'onnxgrad: lenet.int8: has 8-bit weights already; start from the float32 model that it was made from',
  )
}, 30_000)

describe('what is refused writes nothing, and works without the fault', () => {
  const HALF = ['--precision', 'float16']
  const INT8 = ['--precision', 'int8', ...QUICK]

  /** A folder of its own for what a command writes. */
  async function tried(args: readonly string[], into: string): Promise<{ done: Finished; files: string[] }> {
    await mkdir(into, { recursive: true })
    const out = args.includes('--out') ? [] : ['--out', join(into, 'out.onnx')]
    const done = await onnxgrad('export', ...args, ...out)
    return { done, files: await readdir(into) }
  }

  test.each<[string, string[], string[], string]>([
    [
      'qat',
      [run, ...HALF, '--qat', '1'],
      [run, ...HALF],
      '--qat is for --precision int8, or for --max-drop alone',
    ],
    [
      'method',
      [run, '--method', 'minmax'],
      [run, '--precision', 'int8', '--method', 'minmax'],
      '--method is for --precision int8, or for --max-drop alone',
    ],
    [
      'keep',
      [run, '--precision', 'float32', '--keep', 'fc1'],
      [run, ...HALF, '--keep', 'fc1'],
      '--keep is for --precision float16, int8 and int8-dynamic, or for --max-drop alone',
    ],
    [
      'layer',
      [run, ...HALF, '--keep', 'fc9'],
      [run, ...HALF, '--keep', 'fc3'],
      '--keep fc9: lenet has no such layer; its weights are conv1.weight, conv1.bias, conv2.weight, conv2.bias, fc1.weight, fc1.bias, …',
    ],
    [
      'data',
      [run, '--data', data],
      [run],
      '--data is for --precision int8, --precision float16 and --max-drop, which read examples',
    ],
    [
      'nowhere',
      [run, ...INT8, '--data', at('nowhere')],
      [run, ...INT8, '--data', data],
      'data folder …/nowhere: does not exist; give a folder or one of mnist, fashion-mnist, digits',
    ],
    [
      'attention',
      [run, ...HALF, '--attention'],
      [run, ...HALF],
      '--attention cannot be combined with --precision',
    ],
    [
      'adapter',
      [run, '--max-drop', '9', '--adapter'],
      [run, '--max-drop', '9', ...QUICK],
      '--adapter cannot be combined with --max-drop',
    ],
    [
      'checkpoint',
      [file, ...HALF, '--checkpoint', 'best'],
      [run, ...HALF, '--checkpoint', 'best'],
      '--checkpoint is for run folders; …/lenet.onnx is a file',
    ],
    ['maps', [file, '--attention'], [file], '--attention is for run folders; …/lenet.onnx is a file'],
    [
      'drop',
      [run, '--max-drop', '-1'],
      [run, '--max-drop', '99', ...QUICK],
      '--max-drop must be a number of at least 0, not -1',
    ],
    [
      'all',
      [run, ...INT8, '--keep', '*'],
      [run, ...INT8, '--keep', 'fc*'],
      'lenet: all of its 5 layers are kept; leave at least one to quantize',
    ],
  ])('%s', async (name, wrong, right, message) => {
    const bad = await tried(wrong, at('refused', name))
    expect([bad.done.code, said(bad.done), bad.files]).toEqual([1, `onnxgrad: ${message}`, []])
    const good = await tried(right, at('refused', name))
    expect([good.done.code, said(good.done), good.files]).toEqual([0, '', ['out.onnx']])
  })

  test('a file that exists already', async () => {
    const out = at('there.onnx')
    await writeFile(out, 'mine')
    const args = [run, ...HALF, '--out', out]
    expect(said(await onnxgrad('export', ...args))).toBe(
      'onnxgrad: …/there.onnx exists already; choose another --out, or give --overwrite',
    )
    expect(await readFile(out, 'utf8')).toBe('mine')
    await exported(...args, '--overwrite')
    await runs(out)
  })

  test('a place where nothing can be written', async () => {
    const before = (await readdir(run)).sort()
    const refused = await onnxgrad('export', run, ...HALF, '--out', join(run, 'config.json', 'x.onnx'))
    expect([refused.code, said(refused)]).toEqual([
      1,
      'onnxgrad: …/run/config.json/x.onnx cannot be written: a file is in the place of its folder',
    ])
    expect((await readdir(run)).sort()).toEqual(before)
    if (process.getuid?.() === 0) return // root writes everywhere
    const locked = at('locked')
    await mkdir(locked)
    await chmod(locked, 0o555)
    const denied = await onnxgrad('export', run, ...HALF, '--out', join(locked, 'x.onnx'))
    expect(said(denied)).toContain('permission denied')
    await chmod(locked, 0o755)
    expect(await readdir(locked)).toEqual([])
  })
})

test('a model without labels has no accuracy to keep', async () => {
  const module = at('double.mjs')
  await writeFile(
    module,
    `import { defineRun, linear, model, ops, regression } from '${pathToFileURL(bundled('node'))}'
const points = n => {
  const x = Array.from({ length: n }, (_, i) => [i / n, 1 - i / n])
  return { x, y: x.map(([a]) => [2 * a]) }
}
export default defineRun({
  name: 'double',
  model: () => model({
    inputs: { x: { shape: [2] } },
    layers: { a: linear(2, 16), b: linear(16, 1) },
    forward: (self, { x }) => ({ y: self.b(ops.relu(self.a(x))) }),
  }),
  task: regression(),
  data: () => ({ train: points(200), val: points(50) }),
  defaults: { epochs: 1 },
})`,
  )
  const own = at('double')
  expect((await onnxgrad('train', module, '--no-report', '--no-verify', '--out', own)).code).toBe(0)
  const files = (await readdir(own)).sort()
  const refused = await onnxgrad('export', own, '--max-drop', '1')
  expect([refused.code, said(refused)]).toEqual([
    1,
    'onnxgrad: --max-drop is for classifiers: accuracy needs classes and labels',
  ])
  expect((await readdir(own)).sort()).toEqual(files)
  expect(await exported(own, '--precision', 'int8', ...QUICK)).toMatchObject({ form: 'int8' })
}, 30_000)
