import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseHTML } from 'linkedom'
import { beforeAll, expect, test } from 'vitest'
import { buildModel } from '../../models/index.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { readOnnx } from '../../src/export/read.ts'
import { complaint, onnxgrad, workFolder, writeDigits } from './program.ts'

const folder = await workFolder()
const [data, file, broken, page, json] = [
  'digits',
  'lenet.onnx',
  'broken.onnx',
  'proof.html',
  'proof.json',
].map(name => join(folder, name)) as [string, string, string, string, string]

beforeAll(async () => {
  const bytes = exportOnnx(buildModel('lenet', { image: 28, channels: 1, classes: 10 }))
  await writeFile(file, bytes)
  // The damage: a bias that always gives the last class. Views into the file's bytes change the file.
  const bias = readOnnx(bytes, file).proto.graph?.initializer?.find(t => t.name === 'fc3.bias')
  bias!.rawData!.set(new Uint8Array(Float32Array.of(9).buffer), 36)
  await writeFile(broken, bytes)
  await mkdir(data)
  await writeDigits(data, 20, 150)
})

test('verify proves a file, and writes the proof as a page and as JSON', async () => {
  const done = await onnxgrad('verify', file, '--data', data, '--report', page, '--out', json, '--json')
  expect(done.stderr).not.toContain('onnxgrad: ')
  expect(done.code).toBe(0)
  expect(done.json).toMatchObject({
    ok: true,
    failures: [],
    file: {
      name: file,
      form: 'float32',
      lossy: false,
      onnxruntime: '1.12',
      weights: { float32: expect.any(Number) },
    },
    examples: { size: 150 },
    thresholds: { tolerance: 1e-4 },
    runtimes: [
      { device: 'cpu', ok: true, examples: 150, latency: { batch: 1 }, throughput: { batch: 64 } },
      { device: 'wasm', ok: true, examples: 150 },
    ],
    skipped: [],
    machine: { processor: expect.any(String), node: process.versions.node },
    date: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
  })
  expect(JSON.parse(await readFile(json, 'utf8'))).toEqual(done.json)
  const { document } = parseHTML(await readFile(page, 'utf8'))
  expect(document.querySelector('.score b')?.textContent).toBe('Passed')
  expect(document.querySelectorAll('script, link, [src^="http"]')).toHaveLength(0)
})

test('verify fails for a file that is not what it was, with numbers and pictures', async () => {
  const flags = ['--against', file, '--data', data, '--device', 'cpu', '--seconds', '0', '--max-drop', '1']
  const done = await onnxgrad('verify', broken, ...flags, '--report', page, '--json')
  expect(done.code).toBe(1)
  expect(done.json).toMatchObject({ ok: false, runtimes: [{ ok: false }] })
  expect(complaint(done)).toEqual([
    expect.stringMatching(
      /fails: onnxruntime-node cpu: outputs differ by up to \d+(\.\d)?; 0\.0001 is allowed/,
    ),
  ])
  const { document } = parseHTML(await readFile(page, 'utf8'))
  expect(document.querySelectorAll('.mistakes img').length).toBeGreaterThan(10)
})
