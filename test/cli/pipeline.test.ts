import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { readOnnx, readWeights } from '../../src/export/read.ts'
import { VERSION } from '../../src/version.ts'
import { realDigits } from '../data/files.ts'
import { type Finished, onnxgrad, start, workFolder, writeDigits } from './program.ts'

const folder = await workFolder()
const data = join(folder, 'digits')
const run = join(folder, 'run')
let trained: Finished

beforeAll(async () => {
  await mkdir(data)
  await writeDigits(data, 1900, 500)
  trained = await onnxgrad(
    ...['train', 'vit', '--data', data, '--epochs', '3', '--batch', '32', '--out', run, '--json'],
  )
}, 120_000)

describe('the main job, from the command line', () => {
  it('trains the lecture ViT far above chance and says so in one JSON line', () => {
    expect(trained.stderr).toMatch(/139,018\s+parameters/)
    expect(trained.code).toBe(0)
    expect(trained.stdout.trim().split('\n')).toHaveLength(1)
    expect(trained.json).toMatchObject({ epochs: 3, parameters: 139018, device: 'cpu', out: run })
    expect(trained.json.testAccuracy).toBeGreaterThan(0.4)
    expect(trained.json.trainAccuracy).toBeGreaterThan(0.4)
  })

  it('does not drop the last, smaller batch', () => {
    expect(trained.json.steps).toBe(3 * Math.ceil(1900 / 32))
  })

  it('leaves a run folder with settings, metrics, checkpoints, the model and a report', async () => {
    expect((await readdir(run)).sort()).toEqual([
      'best.safetensors',
      'config.json',
      'last.safetensors',
      'metrics.jsonl',
      'model.onnx',
      'previous.safetensors',
      'report.html',
      'steps.jsonl',
    ])
    const config = JSON.parse(await readFile(join(run, 'config.json'), 'utf8'))
    expect(config).toMatchObject({
      batch: 32,
      seed: 0,
      optimizer: { name: 'adam', lr: 0.002 },
      device: 'cpu',
    })
    const lines = (await readFile(join(run, 'metrics.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map(l => JSON.parse(l))
    expect(lines.map(l => l.epoch ?? 'final')).toEqual([1, 2, 3, 'final'])
  })

  it('writes a file with a dynamic batch, normalization inside, and no weight that is not used', async () => {
    const info = readOnnx(await readFile(join(run, 'model.onnx')), 'model.onnx')
    const graph = info.proto.graph!
    expect(info.opset).toBe(17)
    expect(info.proto.opsetImport?.map(o => o.domain)).toEqual([''])
    expect(graph.input).toMatchObject([
      {
        name: 'image',
        type: {
          tensorType: {
            elemType: 1,
            shape: { dim: [{ dimParam: 'batch' }, { dimValue: 1 }, { dimValue: 28 }, { dimValue: 28 }] },
          },
        },
      },
    ])
    expect(graph.output?.map(o => o.name)).toEqual(['logits'])
    const read = new Set(graph.node!.flatMap(n => n.input ?? []))
    expect(graph.initializer!.filter(t => !read.has(t.name!))).toEqual([])
    const weights = [...readWeights(info)].filter(([name]) => !name.startsWith('const_'))
    expect(weights.reduce((n, [, w]) => n + w.data.length, 0)).toBe(139018)
    expect(info.metadata['onnxgrad.version']).toBe(VERSION)
    expect(info.classes).toHaveLength(10)
    expect(info.training).toMatchObject({ epochs: 3, testAccuracy: trained.json.testAccuracy })
    expect(graph.node!.some(n => n.name!.startsWith('blocks.3.attn.qkv/'))).toBe(true)
  })

  it('evaluates the exported file to the accuracy that training reported', async () => {
    const evaluated = await onnxgrad('eval', run, '--data', data, '--json')
    expect(evaluated).toMatchObject({ code: 0, json: { count: 500, accuracy: trained.json.testAccuracy } })
  })

  it('verifies the file in onnxruntime-node and in onnxruntime-web', async () => {
    const verified = await onnxgrad('verify', run, '--data', data, '--json')
    expect(verified.code).toBe(0)
    expect(verified.json.ok).toBe(true)
    const runtimes = verified.json.runtimes as readonly { runtime: string; maxAbsDiff: number }[]
    expect(runtimes.map(r => r.runtime)).toEqual(['onnxruntime-node cpu', 'onnxruntime-web wasm'])
    for (const { maxAbsDiff } of runtimes) expect(maxAbsDiff).toBeLessThanOrEqual(1e-4)
  })

  it('finds out when a weight in the file is not the one that was trained', async () => {
    const bytes = await readFile(join(run, 'model.onnx'))
    const info = readOnnx(bytes, 'model.onnx')
    const head = info.proto.graph!.initializer!.find(t => t.name === 'head.bias')!
    // Views into the file's bytes, so that this changes the copy that is written below.
    head.rawData!.fill(0x3f)
    const broken = join(folder, 'broken-run')
    await mkdir(broken)
    for (const file of ['config.json', 'last.safetensors'])
      await writeFile(join(broken, file), await readFile(join(run, file)))
    await writeFile(join(broken, 'model.onnx'), bytes)
    const verified = await onnxgrad('verify', broken, '--data', data, '--json')
    expect(verified.code).toBe(1)
    expect(verified.json.ok).toBe(false)
  })

  it('exports at opset 21 with probabilities and attention maps, and the file still verifies', async () => {
    const out = join(folder, 'vit.onnx')
    const flags = ['--opset', '21', '--probabilities', '--attention']
    const exported = await onnxgrad('export', run, ...flags, '--out', out, '--json')
    expect(exported.json).toMatchObject({ out, opset: 21, probabilities: true, attention: true })
    const info = readOnnx(await readFile(out), 'vit.onnx')
    expect(info.opset).toBe(21)
    expect(info.proto.graph!.output?.map(o => o.name)).toEqual([
      'logits',
      ...[0, 1, 2, 3].map(i => `attention.${i}`),
      'probabilities',
    ])
    expect((await onnxgrad('verify', out, '--data', data)).code).toBe(0)
  })

  it('predicts a digit from a picture, dark on light or light on dark', async () => {
    const { test } = await realDigits()
    const evaluated = await onnxgrad('eval', run, '--data', data, '--json')
    const confusion = evaluated.json.confusion as number[][]
    expect(confusion.flat().reduce((a, b) => a + b, 0)).toBe(500)
    const pixels = Buffer.from(test.images.subarray(0, 784))
    const dark = join(folder, 'dark.png')
    const light = join(folder, 'light.png')
    await sharp(pixels, { raw: { width: 28, height: 28, channels: 1 } })
      .png()
      .toFile(dark)
    await sharp(Buffer.from(pixels.map(p => 255 - p)), { raw: { width: 28, height: 28, channels: 1 } })
      .png()
      .toFile(light)
    const [a, b] = await Promise.all([dark, light].map(file => onnxgrad('predict', run, file, '--json')))
    expect(a!.json).toMatchObject({ inverted: false })
    expect(b!.json).toMatchObject({
      inverted: true,
      class: a!.json.class,
      probabilities: a!.json.probabilities,
    })
    expect((a!.json.probabilities as number[]).reduce((x, y) => x + y, 0)).toBeCloseTo(1, 6)
  })
})

describe('a run', () => {
  it('gives the same model.onnx bytes for the same seed, and others for another', async () => {
    const size = ['--dim', '16', '--depth', '1', '--heads', '2', '--mlp', '16', '--no-verify', '--no-report']
    const small = ['--data', data, '--limit', '200', '--epochs', '1', '--dropout', '0.1', ...size]
    const outs = ['a', 'b', 'c'].map(name => join(folder, name))
    for (const [i, seed] of ['7', '7', '8'].entries())
      expect((await onnxgrad('train', 'vit', ...small, '--seed', seed, '--out', outs[i]!)).code).toBe(0)
    const [a, b, c] = await Promise.all(outs.map(out => readFile(join(out, 'model.onnx'))))
    expect(a!.equals(b!)).toBe(true)
    expect(a!.equals(c!)).toBe(false)
  })

  it('trains another model, which nothing in src knows of', async () => {
    const out = join(folder, 'mlp')
    const mlp = await onnxgrad('train', 'mlp', '--data', data, '--epochs', '2', '--out', out, '--json')
    expect(mlp.json).toMatchObject({ parameters: 784 * 128 + 128 + 128 * 10 + 10 })
    expect(mlp.json.testAccuracy).toBeGreaterThan(0.6)
    expect((await onnxgrad('verify', out, '--data', data)).code).toBe(0)
  })

  it('stops after the step on Ctrl-C, writes what it has, and exits with 130', async () => {
    const out = join(folder, 'stopped')
    const args = ['train', 'mlp', '--hidden', '8', '--data', data, '--epochs', '500', '--out', out, '--json']
    const { child, finished } = start(args)
    await new Promise<void>(resolve => {
      child.stderr!.on('data', d => {
        if (String(d).includes('epoch ')) resolve()
      })
    })
    child.kill('SIGINT')
    const { code, json } = await finished
    expect(code).toBe(130)
    expect(json).toMatchObject({ stopped: true })
    expect((await onnxgrad('verify', out, '--data', data)).code).toBe(0)
  })

  it('takes settings from a file, and flags win over it', async () => {
    const config = join(folder, 'settings.json')
    await writeFile(config, JSON.stringify({ epochs: 1, batch: 100, limit: 200, lr: 0.01 }))
    const out = join(folder, 'configured')
    const args = ['--data', data, '--config', config, '--batch', '50', '--out', out, '--json']
    expect((await onnxgrad('train', 'mlp', ...args)).json).toMatchObject({ epochs: 1, steps: 4 })
    const saved = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))
    expect(saved).toMatchObject({ batch: 50, optimizer: { lr: 0.01 } })
  })
})

it('a text model trains on a file and writes text from its export', async () => {
  const text = join(folder, 'rhyme.txt')
  await writeFile(text, 'one two three four five six seven eight nine ten\n'.repeat(60))
  const out = join(folder, 'gpt')
  const size = ['--context', '16', '--dim', '16', '--depth', '1', '--heads', '2', '--mlp', '32']
  const gpt = await onnxgrad('train', 'gpt', '--text', text, ...size, '--epochs', '2', '--out', out, '--json')
  expect(gpt).toMatchObject({ code: 0, json: { epochs: 2, verified: true } })
  const written = await onnxgrad('sample', out, '--prompt', 'one ', '--length', '30', '--json')
  expect(written.json.text).toMatch(/^one [a-z \n]{30}$/)
  expect((await onnxgrad('sample', out, '--prompt', 'one ', '--length', '30', '--json')).json).toEqual(
    written.json,
  )
  const evaluated = await onnxgrad('eval', out, '--text', text, '--json')
  expect(evaluated.json.accuracy).toBe(gpt.json.testAccuracy)
  const refused = await onnxgrad('train', 'gpt', '--data', data, '--out', join(folder, 'no'))
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('give --text FILE')])
})
