import { copyFile, cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { beforeEach, describe, expect, test } from 'vitest'
import { readSafetensors } from '../../src/export/safetensors.ts'
import { initialize, layoutOf } from '../../src/nn/layout.ts'
import type { Plan } from '../../src/runs/plan-node.ts'
import { RECORD, type RunRecord } from '../../src/runs/record.ts'
import { reportOfRun } from '../../src/runs/report-node.ts'
import type { Values } from '../../src/settings/setting.ts'
import { wholeLayout } from '../../src/train/step/state.ts'
import { idx, temporaryFolder, writeTiny } from '../data/files.ts'
import { newPlan, resumedPlan } from './plans.ts'

// The plans are made in this process; no step is trained.

let folder: string
const told: string[] = []
beforeEach(async () => {
  folder = await temporaryFolder()
  told.length = 0
})

const said = (): string => told.join('')

/** Begins a run, which saves its first state and is killed. */
async function begun(model: string, flags: Values): Promise<{ readonly out: string; readonly plan: Plan }> {
  const out = join(folder, 'run')
  const plan = await newPlan(model, { ...flags, out }, told)
  const { name, config } = plan.model
  await plan.folder.begin({ ...plan.record, model: { name, config }, source: plan.source })
  await save(plan, plan.record)
  plan.folder.close()
  return { out, plan }
}

async function save({ model, folder: run }: Plan, record: Omit<RunRecord, 'step'>): Promise<void> {
  const layout = wholeLayout(layoutOf(model.parameters))
  const vectors = { params: initialize(layout.all, 0) }
  await run.checkpoint('last', layout, { step: 1, steps: { '': 1 }, vectors }, { ...record, step: 1 }, {})
}

async function resumed(path: string, flags: Values = {}): Promise<Plan> {
  const plan = await resumedPlan(path, { report: false, ...flags }, told)
  plan.folder.close()
  return plan
}

async function contents(path: string): Promise<[string, string][]> {
  const names = (await readdir(path)).sort()
  return Promise.all(names.map(async name => [name, await readFile(join(path, name), 'latin1')]))
}

const problem = (path: string, flags: Values = {}): Promise<string> =>
  resumed(path, flags).then(
    () => 'none',
    (error: Error) => error.message.replaceAll(folder, 'DIR'),
  )

const OTHER = "DIR/run: the data differ from those of the run: %; give the run's own data"

describe('a run of IDX files is resumed', () => {
  let data: string
  let out: string
  let plan: Plan
  beforeEach(async () => {
    data = join(folder, 'data')
    await mkdir(data)
    await write()
    ;({ out, plan } = await begun('mlp', { data, batch: 2 }))
  })
  /** Square images. */
  const write = (changed: Readonly<Record<string, Uint8Array>> = {}) =>
    writeTiny(data, {
      'train-images-idx3-ubyte': idx(0x803, [5, 2, 2], counting),
      't10k-images-idx3-ubyte': idx(0x803, [2, 2, 2], counting.slice(0, 8)),
      ...changed,
    })
  const [counting, fives] = [Array.from({ length: 20 }, (_, i) => i), [0, 1, 2, 3, 4]]

  test('with its own data, wherever they are now', async () => {
    const moved = join(folder, 'elsewhere')
    await rename(data, moved)
    const again = await resumed(out, { data: moved })
    expect(again.record.fingerprints).toEqual(plan.record.fingerprints)
    expect(again.data.train.name).toBe(plan.data.train.name)
    const file = join(folder, 'taken.safetensors')
    await copyFile(join(out, 'last.safetensors'), file)
    expect((await resumed(file, { data: moved, out: join(folder, 'other') })).from?.step).toBe(1)
    expect(said()).toBe('')
  })

  test.each([
    [
      'other pixels',
      {
        'train-images-idx3-ubyte': idx(
          0x803,
          [5, 2, 2],
          counting.map(v => 255 - v),
        ),
      },
      'the training set has the same number of examples but different content',
    ],
    [
      'other labels',
      { 'train-labels-idx1-ubyte': idx(0x801, [5], [0, 1, 2, 4, 3]) },
      'the training set has the same number of examples but different content',
    ],
    [
      'another order',
      {
        'train-images-idx3-ubyte': idx(0x803, [5, 2, 2], counting.toReversed()),
        'train-labels-idx1-ubyte': idx(0x801, [5], fives.toReversed()),
      },
      'the training set has the same number of examples but different content',
    ],
    [
      'another test set',
      { 't10k-labels-idx1-ubyte': idx(0x801, [2], [1, 0]) },
      'the test set has the same number of examples but different content',
    ],
    [
      'fewer examples',
      {
        'train-images-idx3-ubyte': idx(0x803, [4, 2, 2], counting.slice(0, 16)),
        'train-labels-idx1-ubyte': idx(0x801, [4], fives.slice(0, 4)),
      },
      "the training set has 4 examples, but the run's has 5 examples",
    ],
  ])('but not with %s, and nothing is changed', async (_, changed, difference) => {
    await write(changed)
    const before = await contents(out)
    expect(await problem(out)).toBe(OTHER.replace('%', difference))
    expect(await contents(out)).toEqual(before)
    await write()
    expect(await problem(out)).toBe('none')
  })

  test('of an older release with a line that says what is not checked', async () => {
    const { fingerprints: _, ...record } = plan.record
    await rm(out, { recursive: true })
    const { name, config } = plan.model
    await plan.folder.begin({ ...record, model: { name, config }, source: plan.source })
    await save(plan, record)
    plan.folder.close()
    await write({
      'train-images-idx3-ubyte': idx(
        0x803,
        [5, 2, 2],
        counting.map(v => 255 - v),
      ),
    })
    const again = await resumed(out)
    expect(said()).toBe(
      `${out} was written by an older release, which did not record the data: onnxgrad cannot check whether they are the same`,
    )
    // From now on it does.
    expect(again.record.fingerprints?.train.size).toBe(5)
  })

  test('and is reported on with its own test set alone', async () => {
    await writeFile(join(out, 'metrics.jsonl'), '')
    const report = (data: Plan['data']) => reportOfRun(out, { data } as Parameters<typeof reportOfRun>[1])
    await write({ 't10k-labels-idx1-ubyte': idx(0x801, [2], [1, 0]) })
    const other = await newPlan('mlp', { data, batch: 2, out: join(folder, 'other') })
    await expect(report(other.data)).rejects.toThrow(
      `${out} was not tested on these data: the test set has the same number of examples but different content; name the run's own data with --data`,
    )
    // With its own it comes to what else a report is made of, which is not given here.
    await expect(report(plan.data)).rejects.not.toThrow('was not tested')
  })

  test('not from a record whose fingerprints are none', async () => {
    const file = join(out, 'last.safetensors')
    const { metadata } = readSafetensors(await readFile(file), file)
    expect(JSON.parse(metadata[RECORD]!)).toMatchObject({ fingerprints: plan.record.fingerprints })
    for (const wrong of [7, null, {}, { train: { size: 5 } }])
      await expect(
        save(plan, { ...plan.record, fingerprints: wrong as never }).then(() => resumed(file)),
      ).rejects.toThrow('its record of the run is incomplete: the file is damaged')
  })
})

describe('a run of pictures', () => {
  async function write(path: string, red: number): Promise<void> {
    await mkdir(dirname(path), { recursive: true })
    const raw = Uint8Array.from({ length: 8 * 8 * 3 }, (_, i) => (i % 3 ? (i * 7) % 200 : red))
    await sharp(raw, { raw: { width: 8, height: 8, channels: 3 } }).toFile(path)
  }
  const flags = (data: string): Values => ({ data, image: 8, skipBad: true })

  test('that left out what cannot be read leaves out the same when it is resumed', async () => {
    const data = join(folder, 'pets')
    for (const name of ['cat', 'dog'])
      for (let i = 0; i < 6; i++) await write(join(data, name, `${i}.png`), name === 'cat' ? 20 + i : 200 + i)
    await writeFile(join(data, 'cat/bad.png'), '')
    const { skipBad: _, ...strict } = flags(data)
    await expect(newPlan('mlp', strict)).rejects.toThrow('cat/bad.png is empty (0 bytes)')
    const { out, plan } = await begun('mlp', flags(data))
    expect([plan.data.skipped, plan.source.skipBad]).toEqual([['cat/bad.png'], true])
    expect((await resumed(out)).data.skipped).toEqual(['cat/bad.png'])
    // The same without that file, in a folder of another name.
    await rm(join(data, 'cat/bad.png'))
    await rename(data, join(folder, 'animals'))
    expect((await resumed(out, { data: join(folder, 'animals') })).data.train.size).toBe(10)
    await cp(join(folder, 'animals'), data, { recursive: true })
    await write(join(data, 'dog/3.png'), 90)
    expect(await problem(out)).toContain('but different content')
  })
})

test('a run of a text is resumed whatever its file is called, but not with another text', async () => {
  const [text, renamed] = [join(folder, 'a.txt'), join(folder, 'b.txt')]
  const words = 'the quick brown fox jumps over the lazy dog. '.repeat(30)
  await writeFile(text, words)
  const { out, plan } = await begun('gpt', { text, context: 16, dim: 16, depth: 1, heads: 2, mlp: 16 })
  expect(plan.data.train.name).toBe('text (train)')
  await rename(text, renamed)
  expect(await problem(out, { text: renamed })).toBe('none')
  const other = [...words]
  ;[other[500], other[501]] = [other[501]!, other[500]!]
  await writeFile(renamed, other.join(''))
  expect(await problem(out, { text: renamed })).toBe(
    OTHER.replace('%', 'the training set has the same number of examples but different content'),
  )
})
