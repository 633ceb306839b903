import { mkdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { lenet } from '../../models/index.ts'
import { readOnnx } from '../../src/export/read.ts'
import { readSafetensors } from '../../src/export/safetensors.ts'
import { lookup } from '../../src/graph/present.ts'
import { initialized, loadWeights, save } from '../../src/node.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { openPredictor } from '../../src/train/predictor.ts'
import { complaint, onnxgrad, workFolder, writeDigits } from './program.ts'

const folder = await workFolder()
const at = (...names: string[]) => join(folder, ...names)
const [data, file, run] = [at('digits'), at('letters.onnx'), at('run')]
const QUICK = ['--epochs', '2', '--batch', '32', '--no-report', '--json']

beforeAll(async () => {
  await mkdir(data)
  await writeDigits(data, 320, 100)
  await save(initialized(lenet({ image: 28, channels: 1, classes: 26 }), 1), file)
  const trained = await onnxgrad('train', file, '--data', data, '--lora', '4', ...QUICK, '--out', run)
  expect([trained.code, complaint(trained)]).toEqual([0, []])
  expect(trained.stderr).toContain("head: 26 classes of letters.onnx replaced by the data's 10")
  expect(trained.stderr).toContain('tuning    head and updates of rank 4 (lora)')
  expect(trained.json).toMatchObject({ verified: true, steps: 20 })
}, 60_000)

test('a run of a file is evaluated, verified, shown and resumed from where its file has moved', async () => {
  const evaluated = await onnxgrad('eval', run, '--json')
  expect(evaluated).toMatchObject({ code: 0, json: { count: 100 } })
  expect((await onnxgrad('verify', join(run, 'model.onnx'), '--data', data)).code).toBe(0)
  expect((await onnxgrad('report', run)).code).toBe(0)
  const moved = at('moved.onnx')
  await rename(file, moved)
  // Evaluation needs model.onnx and the data, which are there.
  expect((await onnxgrad('eval', run, '--json')).json.accuracy).toBe(evaluated.json.accuracy)
  const lost = await onnxgrad('train', '--resume', run, '--epochs', '3')
  expect(complaint(lost).join()).toContain('letters.onnx does not exist; if it has been moved, name it')
  const resumed = await onnxgrad('train', moved, '--resume', run, '--epochs', '3', '--json')
  expect([resumed.code, resumed.json.epochs]).toEqual([0, 3])
  expect((await onnxgrad('train', '--resume', run, '--epochs', '4', '--json')).json.epochs).toBe(4)
  await rename(moved, file)
}, 60_000)

test('its adapter is exported, and gives the numbers of model.onnx', async () => {
  const fresh = at('fresh')
  const more = ['--lora', '2', '--lora-train', 'fc1.bias']
  const trained = await onnxgrad('train', file, '--data', data, ...more, ...QUICK, '--out', fresh)
  expect(trained.code).toBe(0)
  expect(trained.stderr).toContain('tuning    head, fc1.bias and updates of rank 2 (lora); 2,812 parameters')
  const out = at('adapter')
  const exported = await onnxgrad('export', fresh, '--adapter', '--out', out, '--json')
  expect(exported.json).toMatchObject({
    base: join(out, 'base.onnx'),
    adapter: join(out, 'adapter.safetensors'),
  })
  expect(Number(exported.json.adapterBytes)).toBeLessThan(Number(exported.json.bytes) / 10)
  const runtime = await nodeRuntime('cpu')
  const [base, merged] = await Promise.all(
    [join(out, 'base.onnx'), join(fresh, 'model.onnx')].map(async path =>
      openPredictor(runtime, await readFile(path)),
    ),
  )
  const path = join(out, 'adapter.safetensors')
  const weights = await loadWeights(path)
  const { tensors } = readSafetensors(await readFile(path), path)
  const image = { data: Float32Array.from({ length: 2 * 784 }, (_, i) => (i % 7) / 7), dims: [2, 1, 28, 28] }
  const adapter = Object.fromEntries(
    Object.entries(weights).map(([name, values]) => [
      name,
      { data: values, dims: lookup(tensors, name).shape },
    ]),
  )
  const numbers = async (predictor: typeof base, inputs: object) => [
    ...((await predictor!.run(inputs as never)).logits!.data as Float32Array),
  ]
  const [a, b] = [await numbers(base, { image, ...adapter }), await numbers(merged, { image })]
  expect(a).toHaveLength(20)
  expect(Math.max(...a.map((v, i) => Math.abs(v - Number(b[i]))))).toBeLessThan(1e-5)
  await runtime.close()
  expect(readOnnx(await readFile(join(out, 'base.onnx')), 'base').classes).toHaveLength(10)
  const again = await onnxgrad('export', fresh, '--adapter', '--out', out)
  expect(complaint(again).join()).toContain('base.onnx exists already')
  const plain = at('plain')
  expect((await onnxgrad('train', file, '--data', data, ...QUICK, '--out', plain)).code).toBe(0)
  expect(complaint(await onnxgrad('export', plain, '--adapter')).join()).toBe(
    `onnxgrad: ${plain} was not trained with --lora: it has no adapter; export it without --adapter`,
  )
}, 60_000)

test('a file on the bundled digits, and what is refused there in one line', async () => {
  const trained = await onnxgrad(
    'train',
    file,
    '--data',
    'digits',
    '--limit',
    '64',
    ...QUICK,
    '--out',
    at('digit-run'),
  )
  expect([trained.code, trained.json.steps]).toEqual([0, 4])
  const said = async (...args: string[]) =>
    complaint(await onnxgrad('train', ...args, '--out', at('no'))).join()
  await save(initialized(lenet({ image: 20, channels: 3, classes: 5 }), 1), at('colours.onnx'))
  expect(await said(at('colours.onnx'), '--data', 'digits')).toContain(
    'takes pictures of 3×20×20, but digits/train has 1×28×28: only pictures in one folder per class are resized',
  )
  expect(await said(file, '--depth', '3')).toContain('--depth is not a setting of letters; it has image')
  expect(await said(file, '--lora-alpha', '8')).toBe(
    'onnxgrad: --lora-alpha needs --lora, the rank of the updates',
  )
  expect(await said('lenet', '--freeze', 'backbone')).toContain(
    '--freeze is for fine-tuning: give --weights FILE',
  )
  expect(await said(at('nothing.onnx'))).toContain('nothing.onnx does not exist')
  const help = await onnxgrad('train', '--help')
  expect(help.stdout).toContain('Fine-tuning:')
  expect(help.stdout).toMatch(/train resnet18\.onnx --data pictures\//)
}, 60_000)
