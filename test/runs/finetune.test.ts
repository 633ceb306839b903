import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lenet, resnet, vit } from '../../models/index.ts'
import { encode } from '../../src/export/codec.ts'
import { Model } from '../../src/export/onnx-proto.ts'
import { readOnnx } from '../../src/export/read.ts'
import { readSafetensors } from '../../src/export/safetensors.ts'
import { lookup } from '../../src/graph/present.ts'
import { rng } from '../../src/graph/random.ts'
import type * as Library from '../../src/node.ts'
import { initialized, type SaveSource, save } from '../../src/node.ts'
import { bundled } from '../shared.ts'

// Runs work in threads, which need compiled code.
const node: typeof Library = await import(pathToFileURL(bundled('node')).href)
const { resumeRun, searchRuns, trainRun } = node
const onnx = (bytes: Uint8Array) => readOnnx(bytes, 'x.onnx')

const folder = await mkdtemp(join(tmpdir(), 'onnxgrad-finetune-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

const at = (...names: string[]) => join(folder, ...names)
const pictures = at('pictures')
const CLASSES = ['bar', 'dot', 'ring']

/** Drawings of three kinds, each with its own place and ground. */
async function draw(to: string, kinds: readonly string[] = CLASSES) {
  const random = rng('drawings')
  for (const kind of kinds) {
    await mkdir(join(to, kind), { recursive: true })
    for (let i = 0; i < 10; i++) {
      const [x0, y0, ground] = [9 + random.int(4), 9 + random.int(4), random.int(60)]
      const ink = (x: number, y: number) => {
        const r = Math.hypot(x - x0, y - y0)
        return kind === 'bar' ? Math.abs(x - x0) < 2 : kind === 'dot' ? r < 3 : Math.abs(r - 6) < 1.5
      }
      const pixels = Uint8Array.from({ length: 400 }, (_, k) =>
        ink(k % 20, Math.floor(k / 20)) ? 255 : ground,
      )
      const png = sharp(pixels, { raw: { width: 20, height: 20, channels: 1 } }).png()
      await png.toFile(join(to, kind, `${i}.png`))
    }
  }
}

/** A file whose name says what it is. */
async function file(name: string, model: SaveSource): Promise<string> {
  const path = at(name)
  await save(model, path)
  return path
}

const small = lenet({ image: 12, channels: 1, classes: 7 })
const tiny = vit({ image: 12, channels: 1, patch: 4, dim: 16, depth: 2, heads: 2, mlp: 24, classes: 7 })
const QUICK = { epochs: 3, batch: 8, verify: false, report: false, threads: 1, data: pictures } as const

const notices: string[] = []
const quiet = { onNotice: (line: string) => void notices.push(line) }
let count = 0
async function train(model: string, settings: object = {}) {
  const out = at(`run-${count++}`)
  notices.length = 0
  const { summary, model: trained } = await trainRun({ ...QUICK, out, model, ...settings }, quiet)
  return { out, summary, trained, notices: [...notices], bytes: () => readFile(join(out, 'model.onnx')) }
}
const configOf = async (out: string) => JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))
const refused = (model: string, settings: object = {}) =>
  train(model, settings).then(
    () => 'was accepted',
    (error: Error) => error.message,
  )

/** Values of a parameter of either copy of the library. */
function valuesOf({ model, params }: { model: Library.Model; params: Float32Array }, wanted: string) {
  let offset = 0
  for (const [name, { shape }] of model.parameters) {
    const size = shape.reduce<number>((n, d) => n * Number(d), 1)
    if (name === wanted) return params.slice(offset, offset + size)
    offset += size
  }
  throw new Error(`no parameter ${wanted}`)
}

let lenetFile: string
let vitFile: string
beforeAll(async () => {
  await draw(pictures)
  lenetFile = await file('lenet12.onnx', initialized(small, 1))
  vitFile = await file('vit12.onnx', initialized(tiny, 1))
})

describe('a run that trains a file further', () => {
  test('has a new head for the classes of the pictures, and learns slowly but for it', async () => {
    const run = await train(lenetFile, { epochs: 12, lr: 0.01 })
    expect(run.notices).toContain("head: 7 classes of lenet12.onnx replaced by the data's 3")
    expect(run.summary.trainAccuracy).toBeGreaterThan(0.4)
    const config = await configOf(run.out)
    expect(config).toMatchObject({
      model: { name: 'lenet12', preset: 'finetune', config: { head: 'new', classes: 3, shape: [1, 12, 12] } },
      module: lenetFile,
      freezeEpochs: 1,
      backboneRate: 0.1,
      optimizer: { groups: [{ lr: 0.001, from: 3 }] },
    })
    expect(config.model.config.sha256).toMatch(/^[0-9a-f]{64}$/)
    const info = onnx(await run.bytes())
    expect(info.classes).toEqual(CLASSES)
    expect(info.model).toEqual({ name: 'lenet12', config: {} })
    // The head alone was trained in the first epoch: it is of another size, and all else was the file's until then.
  })

  test('reads weights that PyTorch keeps in a second file, and knows both again', async () => {
    const path = at('apart.onnx')
    const { proto } = onnx(await readFile(lenetFile))
    const weights = new Map(
      (proto.graph?.initializer ?? []).map(t => [t.name, t.rawData ?? new Uint8Array()]),
    )
    let offset = 0
    const initializer = (proto.graph?.initializer ?? []).map(({ rawData, ...t }) => {
      if (!rawData || t.name === 'fc3.bias') return { ...t, ...(rawData ? { rawData } : {}) }
      const entries = { location: 'apart.onnx.data', offset, length: rawData.length }
      offset += rawData.length
      const externalData = Object.entries(entries).map(([key, value]) => ({ key, value: String(value) }))
      return { ...t, dataLocation: 1, externalData }
    })
    const data = Buffer.concat(
      initializer.flatMap(t => ('externalData' in t ? [lookup(weights, t.name)] : [])),
    )
    await writeFile(`${path}.data`, data)
    await writeFile(path, encode(Model, { ...proto, graph: { ...proto.graph, initializer } }))
    const [whole, apart] = [await train(lenetFile, { epochs: 2 }), await train(path, { epochs: 2 })]
    expect(apart.trained.params).toEqual(whole.trained.params)
    data[5] = Number(data[5]) ^ 1
    await writeFile(`${path}.data`, data)
    await expect(resumeRun(apart.out, { epochs: 3 })).rejects.toThrow('it has changed')
  })

  test('keeps a head for the same classes, prepares pictures as they were, and stays close to the weights', async () => {
    const first = await train(lenetFile, { preprocess: 'stretch', epochs: 2 })
    const again = at('again.onnx')
    await writeFile(again, await first.bytes())
    const second = await train(again, { epochs: 1 })
    expect(second.notices).toContain("head kept: again.onnx has the data's classes")
    expect(await configOf(second.out)).toMatchObject({
      model: { config: { head: 'kept' } },
      freezeEpochs: 0,
      preprocessing: { kind: 'stretch' },
    })
    const moved = second.trained.params.map((v, i) => Math.abs(v - Number(first.trained.params[i])))
    expect(Math.max(...moved)).toBeLessThan(0.02)
    expect(Math.max(...moved)).toBeGreaterThan(0)
  })

  test.each([
    ['a new head', {}],
    ['lora', { lora: 2, loraDropout: 0.1, headDropout: 0.2 }],
    ['frozen with cached features', { freeze: 'backbone' }],
    ['learning rates that fall', { layerDecay: 0.5, ema: 0.9 }],
  ])('is resumed to the same bytes: %s', async (_, settings) => {
    const whole = await train(vitFile, settings)
    const signal = { aborted: false }
    const out = at(`stopped-${count++}`)
    const stopped = await trainRun(
      { ...QUICK, ...settings, out, model: vitFile, stepsPerRun: 1 },
      {
        ...quiet,
        signal,
        onStep({ step }) {
          if (step === 4) signal.aborted = true
        },
      },
    )
    // The step that had already begun is completed.
    expect(stopped.summary.stopped).toBe(true)
    expect(stopped.summary.steps).toBeLessThan(6)
    const resumed = await resumeRun(out, {}, quiet)
    expect(resumed.summary.steps).toBe(whole.summary.steps)
    expect(await readFile(join(out, 'model.onnx'))).toEqual(await whole.bytes())
    expect(await readFile(join(out, 'last.safetensors'))).toEqual(
      await readFile(join(whole.out, 'last.safetensors')),
    )
    const other = await resumeRun(out, { epochs: 4, headDropout: 0.5 }, quiet).catch((e: Error) => e.message)
    expect(other).toMatch(/headDropout is (not set|0.2) in this run, not 0.5/)
  })

  test('says so where its file has changed or is gone, and finds one that has been moved', async () => {
    const here = await file('here.onnx', initialized(small, 1))
    const { out } = await train(here, { epochs: 1 })
    const there = at('moved.onnx')
    await rename(here, there)
    const resumed = (settings: object) =>
      resumeRun(out, { epochs: 2, ...settings }, quiet).catch((error: Error) => error.message)
    expect(await resumed({})).toContain(
      'here.onnx does not exist; if it has been moved, name it: onnxgrad train FILE.onnx --resume RUN',
    )
    await writeFile(here, await readFile(vitFile))
    expect(await resumed({})).toContain('here.onnx is not the file that the run began with: it has changed')
  })

  test('with lora has all in model.onnx, and its updates apart in checkpoints', async () => {
    const run = await train(vitFile, { lora: 2 })
    const info = onnx(await run.bytes())
    const names = info.proto.graph!.initializer!.map(t => t.name)
    expect(names.filter(name => name?.includes('lora'))).toEqual([])
    const saved = readSafetensors(await readFile(join(run.out, 'last.safetensors')), 'last')
    const updates = Object.keys(saved.tensors).filter(name => name.includes('lora_A'))
    expect(updates.length).toBeGreaterThan(3)
    expect(updates.filter(name => name.startsWith('head'))).toEqual([])
    // Nothing but updates and head has moved.
    const [before, after] = [initialized(tiny, 1), run.trained]
    expect(after.model.parameters.has('blocks.0.norm1.weight')).toBe(true)
    expect(valuesOf(after, 'blocks.0.norm1.weight')).toEqual(valuesOf(before, 'blocks.0.norm1.weight'))
    expect(valuesOf(after, 'blocks.0.mlp.fc1.weight')).not.toEqual(
      valuesOf(before, 'blocks.0.mlp.fc1.weight'),
    )
  })

  test('with a frozen backbone learns the same with cached features as without', async () => {
    const cached = await train(vitFile, { freeze: 'backbone' })
    const whole = await train(vitFile, { freeze: 'backbone', cacheFeatures: false })
    expect((await configOf(cached.out)).cacheFeatures).toBe(true)
    expect((await configOf(whole.out)).cacheFeatures).toBe(false)
    expect(cached.summary.trainLoss).toBeCloseTo(whole.summary.trainLoss!, 4)
    expect(
      (await configOf((await train(vitFile, { freeze: 'backbone', flip: true })).out)).cacheFeatures,
    ).toBe(false)
    expect((await configOf((await train(vitFile, { freeze: 'blocks.0.*' })).out)).cacheFeatures).toBe(true)
  })

  test('uses the running statistics of batch norms, unless it is told to train them', async () => {
    const net = resnet({ image: 12, channels: 1, classes: 4, block: 'basic', layers: [1], width: 4 } as never)
    const path = await file('resnet12.onnx', initialized(net, 2))
    const kept = await train(path, { epochs: 1 })
    expect((await configOf(kept.out)).model.config.batchNorm).toBe('evaluation')
    const moved = await train(path, { epochs: 1, batchNorm: 'training' })
    expect((await configOf(moved.out)).model.config.batchNorm).toBe('training')
    expect(moved.trained.params).not.toEqual(kept.trained.params)
    expect(await refused(lenetFile, { batchNorm: 'training' })).toContain(
      'no batch norm with running statistics',
    )
  })

  test('reads beside the file how its pictures were prepared', async () => {
    const bare = { ...initialized(small, 1) }
    await mkdir(at('hub'))
    await save(bare, at('hub', 'x.onnx'))
    await writeFile(
      at('hub', 'preprocessor_config.json'),
      JSON.stringify({ image_mean: [0.3], image_std: [0.2] }),
    )
    const run = await train(at('hub', 'x.onnx'), { epochs: 1 })
    expect(run.notices).toContain('pixels are normalized as preprocessor_config.json says')
    expect(await configOf(run.out)).toMatchObject({ normalization: { mean: [0.3], std: [0.2] } })
    const without = await train(at('hub', 'x.onnx'), { epochs: 1, normalize: 'none' })
    expect(await configOf(without.out)).toMatchObject({ normalization: { mean: [0], std: [1] } })
  })

  test('is a run like any other: with a report, and in a search', async () => {
    const run = await train(lenetFile, { epochs: 1, report: true, verify: true })
    expect(run.summary.verified).toBe(true)
    expect(await readFile(join(run.out, 'report.html'), 'utf8')).toContain('freezeEpochs')
    const { verify: _, ...shared } = QUICK
    const search = await searchRuns(
      {
        ...{ ...shared, valSplit: 0.25, epochs: 2, trials: 2, out: at('search') },
        model: lenetFile as 'vit',
        space: { backboneRate: [0.1, 0.5], freezeEpochs: [0, 1] },
      },
      quiet,
    )
    expect(search.trials.map(t => t.status)).not.toContain('failed')
    expect(search.winner?.command).toContain(`train ${lenetFile}`)
  })
})

describe('a known model that starts from weights', () => {
  test('of a run, an .onnx file or a checkpoint, with a new head for other classes', async () => {
    const first = await train('lenet', { epochs: 1 })
    for (const weights of [first.out, join(first.out, 'model.onnx'), join(first.out, 'last.safetensors')]) {
      const run = await train('lenet', { epochs: 1, weights })
      expect(run.notices.join()).toContain("has the data's classes")
      expect(await configOf(run.out)).toMatchObject({
        weights,
        freezeEpochs: 0,
        model: { name: 'lenet', config: { startedFrom: expect.stringMatching(/^[0-9a-f]{64}$/) } },
      })
      expect(onnx(await run.bytes()).model?.config).toEqual({ image: 20, channels: 1, classes: 3 })
    }
    await draw(at('two'), ['bar', 'dot'])
    const other = await train('lenet', { epochs: 2, weights: first.out, data: at('two') })
    expect(other.notices).toContain("head: initialized at random for the data's 2 classes")
    expect((await configOf(other.out)).freezeEpochs).toBe(1)
  })

  test('says what it does not find, what it adapts and what it does not use', async () => {
    const big = vit({ image: 16, channels: 1, patch: 4, dim: 16, depth: 3, heads: 2, mlp: 24, classes: 7 })
    const weights = await file('big.safetensors', initialized(big, 3))
    const size = { image: 12, channels: 1, patch: 4, dim: 16, depth: 2, heads: 2, mlp: 24 }
    const run = await train('vit', { epochs: 1, weights, ...size })
    expect(run.notices).toEqual([
      expect.stringMatching(/^big.safetensors: adapted pos_embed/),
      expect.stringMatching(/^big.safetensors: not used: blocks\.2\..*, … \(\d+\)$/),
      "head: initialized at random for the data's 3 classes",
    ])
    const adapted = await train('vit', { epochs: 1, weights, ...size, lora: 2, loraMatch: '*.attn.*' })
    const saved = readSafetensors(await readFile(join(adapted.out, 'last.safetensors')), 'last')
    expect(Object.keys(saved.tensors)).toContain('blocks.0.attn.qkv.lora_A.weight')
    const deeper = await train('vit', { epochs: 1, weights, ...size, depth: 4 })
    expect(deeper.notices).toContainEqual(
      expect.stringMatching(/^big.safetensors: has no blocks\.3\..* at random$/),
    )
  })

  test('that are gone is resumed all the same, unless it had not begun', async () => {
    const weights = await file('w.safetensors', initialized(lenet({ image: 28, channels: 1, classes: 3 }), 4))
    const { out } = await train('lenet', { epochs: 1, weights, lora: 2 })
    await rm(weights)
    const resumed = await resumeRun(out, { epochs: 2 }, quiet)
    expect(resumed.summary.epochs).toBe(2)
    for (const name of ['last', 'previous', 'best'])
      await rm(join(out, `${name}.safetensors`), { force: true })
    expect(await resumeRun(out, { epochs: 3 }, quiet).catch((e: Error) => e.message)).toContain(
      'w.safetensors',
    )
  })
})

describe('refused before anything is written', () => {
  test('what does not go together', async () => {
    const said = (settings: object) => refused(lenetFile, settings)
    expect(await said({ lora: 2, freeze: 'backbone' })).toContain('freeze cannot be combined with lora')
    expect(await said({ loraAlpha: 2 })).toBe('loraAlpha needs lora, the rank of the updates')
    expect(await said({ freezeEpochs: 3 })).toContain('freezeEpochs must be below epochs 3, not 3')
    expect(await said({ freeze: 'nothing' })).toContain('freeze: no parameter matches nothing')
    expect(await said({ freeze: '*' })).toContain('matches all parameters')
    expect(await said({ cacheFeatures: true })).toContain('cacheFeatures needs freeze')
    expect(await said({ weights: vitFile })).toContain('weights is for models that come with onnxgrad')
    expect(await said({ image: 20 })).toContain('takes pictures of 1×12×12; leave image out')
    expect(await said({ data: 'digits' })).toContain('takes pictures of 1×12×12, but digits')
    expect(await refused('lenet', { lora: 2 })).toContain('lora is for fine-tuning: give weights FILE')
    expect(await refused('vit', { weights: lenetFile })).toContain('has the weights of lenet, not of vit')
    expect(await refused('lenet', { weights: lenetFile, normalize: 'none' })).toContain(
      'normalize is for .onnx files',
    )
  })
})
