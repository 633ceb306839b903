import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { buildModel } from '../../models/index.ts'
import { UserError } from '../../src/graph/errors.ts'
import { layoutOf } from '../../src/nn/layout.ts'
import { RunFolder, readRun } from '../../src/runs/folder-node.ts'
import { takeLock } from '../../src/runs/lock-node.ts'
import type { RunRecord } from '../../src/runs/record.ts'
import { stateCheckpoint } from '../../src/train/checkpoint.ts'
import { wholeLayout } from '../../src/train/step/state.ts'
import { temporaryFolder } from '../data/files.ts'

const settings = { image: 2, channels: 1, hidden: [3], classes: 2 }
const model = buildModel('mlp', settings)
const layout = wholeLayout(layoutOf(model.parameters))
const config = { model: { name: 'mlp', config: model.config }, classes: ['a', 'b'] }
const recordAt = (step: number): RunRecord => ({
  ...config,
  step,
  epochs: 9,
  batch: 1,
  seed: 0,
  optimizer: { name: 'sgd' },
  schedule: { name: 'constant' },
  examples: 10,
})
const paramsAt = (step: number) => new Float32Array(layout.all.size).fill(step)
const stateAt = (step: number) => ({ step, steps: { '': step }, vectors: { params: paramsAt(step) } })

let path: string
let out: string
beforeEach(async () => {
  path = await temporaryFolder()
  out = join(path, 'run')
})

/** A run of some steps, each saved, with a line. */
async function runOf(...steps: number[]): Promise<void> {
  const folder = await RunFolder.at(out)
  await folder.begin({ ...recordAt(0), ...config })
  for (const step of steps) {
    await folder.record({ step })
    await folder.checkpoint('last', layout, stateAt(step), recordAt(step), {})
  }
  folder.close()
}

const file = (name: string) => join(out, name)
const lines = async (name = 'metrics.jsonl') => (await readFile(file(name), 'utf8')).trim().split('\n')
const contents = async () => {
  const names = (await readdir(out)).sort()
  return Object.fromEntries(await Promise.all(names.map(async n => [n, await readFile(file(n), 'latin1')])))
}

async function damage(name: string, at = -1): Promise<void> {
  const bytes = await readFile(file(name))
  bytes[at < 0 ? bytes.length + at : at]! ^= 1
  await writeFile(file(name), bytes)
}

/** What going on is told, and from which step it goes on. */
async function resumed() {
  const notices: string[] = []
  const { folder, from } = await RunFolder.resume(out, buildModel, line =>
    notices.push(line.replaceAll(out, 'run')),
  )
  folder.close()
  return { folder, from, notices }
}

/** The message of the error that it must be refused with; nothing is changed by it. */
async function refused(action: () => Promise<unknown>): Promise<string> {
  const before = await contents()
  const error: unknown = await action().then(
    () => undefined,
    e => e,
  )
  expect(error).toBeInstanceOf(UserError)
  expect(await contents()).toEqual(before)
  return (error as Error).message.replaceAll(out, 'run')
}

describe('a run folder', () => {
  it('keeps the checkpoint before the last, and nothing half written', async () => {
    await runOf(1, 2, 3)
    expect(await readdir(out)).toEqual([
      'config.json',
      'last.safetensors',
      'metrics.jsonl',
      'previous.safetensors',
      'steps.jsonl',
    ])
    await rm(file('last.safetensors'))
    expect((await resumed()).from.record.step).toBe(2)
  })

  it('goes on from the checkpoint before where the last is damaged, and makes the last whole first', async () => {
    await runOf(1, 2)
    await damage('last.safetensors')
    const { from, notices } = await resumed()
    expect(from).toMatchObject({ state: stateAt(1), record: { step: 1 } })
    expect(notices).toEqual([
      'run/last.safetensors: its content does not have the checksum that it was written with: the file is damaged; step 1 of run/previous.safetensors is taken instead',
    ])
    const again = await RunFolder.resume(out, buildModel, () => {})
    await again.folder.continue()
    expect(await readFile(file('last.safetensors'))).toEqual(await readFile(file('previous.safetensors')))
    expect(await lines()).toEqual(['{"step":1}'])
    again.folder.close()
  })

  it('begins anew where it was killed before its first checkpoint', async () => {
    await runOf()
    const { from, notices } = await resumed()
    expect(from.state).toBeUndefined()
    expect(from.record.step).toBe(0)
    expect(notices).toEqual(['run has no checkpoint yet; its training starts from the beginning'])
  })

  it('has no step twice in its records, nor half a line', async () => {
    await runOf(10, 20)
    await writeFile(file('metrics.jsonl'), '{"step":10}\n{"step":20}\n{"step":30}\n{"final":true}\n{"ste')
    await writeFile(file('steps.jsonl'), '{"step":5}\n{"step":25}\n\0\0\0')
    const { folder } = await RunFolder.resume(out, buildModel, () => {})
    await folder.continue({ epochs: 12 })
    expect(await lines()).toEqual(['{"step":10}', '{"step":20}'])
    expect(await lines('steps.jsonl')).toEqual(['{"step":5}'])
    expect(JSON.parse(await readFile(file('config.json'), 'utf8'))).toMatchObject({ epochs: 12, batch: 1 })
    folder.close()
  })

  it('is free of what killed processes left, once a run begins or goes on', async () => {
    await runOf(1)
    const left = [
      'last.safetensors.17.tmp',
      'lock.0a1b2c3d',
      'lock.0a1b2c3d.ffffffff.tmp',
      'config.json.3.tmp',
    ]
    for (const name of left) await writeFile(file(name), 'half')
    await writeFile(file('notes.tmp'), 'of the user')
    const { folder } = await RunFolder.resume(out, buildModel, () => {})
    await folder.continue()
    folder.close()
    expect(await readdir(out)).toEqual([
      'config.json',
      'last.safetensors',
      'metrics.jsonl',
      'notes.tmp',
      'steps.jsonl',
    ])
    await mkdir(join(path, 'new'))
    await writeFile(join(path, 'new', 'config.json.3.tmp'), 'half')
    const fresh = await RunFolder.at(join(path, 'new'))
    await fresh.begin(config)
    expect(await readdir(fresh.path)).toEqual(['config.json', 'lock', 'metrics.jsonl', 'steps.jsonl'])
    fresh.close()
  })

  it('that is trained in anew holds nothing of the older run', async () => {
    await runOf(1, 2)
    const folder = await RunFolder.at(out, { overwrite: true })
    await folder.begin(config)
    folder.close()
    expect(await readdir(out)).toEqual(['config.json', 'metrics.jsonl', 'steps.jsonl'])
  })

  it('takes the best from the last where that is the best epoch, else from the epochs to come', async () => {
    const best = (step: number) => ({ epoch: 1, step, measured: { loss: 0, accuracy: 1 } })
    await runOf(1)
    const folder = (await RunFolder.resume(out, buildModel, () => {})).folder
    await folder.checkpoint('best', layout, stateAt(2), { ...recordAt(2), best: best(2) }, {})
    await folder.checkpoint('last', layout, stateAt(2), { ...recordAt(2), best: best(2) }, {})
    folder.close()
    await damage('best.safetensors')
    const first = await resumed()
    expect(first.notices[0]).toMatch(/best.safetensors: .*; run\/last.safetensors is of the same step$/)
    expect(first.from.best).toMatchObject({ state: stateAt(2) })
    await folder.checkpoint('last', layout, stateAt(3), { ...recordAt(3), best: best(2) }, {})
    const second = await resumed()
    expect(second.notices[0]).toMatch(
      /best.safetensors: .*; the best of the epochs to come is taken instead$/,
    )
    expect(second.from.best).toBeUndefined()
  })

  it('is exported from the checkpoint before where the last is damaged', async () => {
    await runOf(1, 2)
    await damage('last.safetensors', 3)
    const notices: string[] = []
    const { params } = await readRun(out, buildModel, 'last', line => notices.push(line))
    expect(params).toEqual(paramsAt(1))
    expect(notices).toHaveLength(1)
  })
})

describe('damage that nothing can stand in for is told in one line, and changes nothing', () => {
  it('of both checkpoints', async () => {
    await runOf(1, 2)
    await writeFile(file('last.safetensors'), 'x')
    await damage('previous.safetensors')
    expect(await refused(resumed)).toMatchInlineSnapshot(
      `"run/last.safetensors: has 1 bytes; a safetensors file has at least 8; the file is damaged or not a safetensors file; run/previous.safetensors: its content does not have the checksum that it was written with: the file is damaged"`,
    )
  })

  it('of the settings', async () => {
    await runOf(1, 2)
    const text = await readFile(file('config.json'), 'utf8')
    for (const [left, said] of [
      [text.slice(0, 50), 'run/config.json is not JSON: the file is damaged'],
      ['null', 'run/config.json does not say which model was trained: the file is damaged'],
    ] as const) {
      await writeFile(file('config.json'), left)
      expect(await refused(resumed)).toBe(said)
      expect(await refused(() => readRun(out, buildModel))).toBe(said)
    }
    await rm(file('config.json'))
    expect(await refused(resumed)).toBe('run/config.json does not exist: run is not a run folder of onnxgrad')
  })

  it('of settings that a later release wrote', async () => {
    await runOf(1)
    const config = JSON.parse(await readFile(file('config.json'), 'utf8'))
    expect(config.format).toBe(2)
    await writeFile(file('config.json'), JSON.stringify({ ...config, format: 3 }))
    expect(await refused(resumed)).toBe(
      'run/config.json: has format 3, this onnxgrad reads formats up to 2; read it with the version that wrote it',
    )
  })

  it('of the records', async () => {
    await runOf(1, 2)
    await writeFile(file('metrics.jsonl'), '{"step":1}\n\0\0{"step":2}\n')
    expect(await refused(resumed)).toBe(
      'run/metrics.jsonl: line 2 is not a JSON object: the file is damaged; repair or delete it',
    )
  })

  it('of a checkpoint of another model', async () => {
    await runOf(1, 2)
    const other = buildModel('mlp', { ...settings, hidden: [4] })
    const its = wholeLayout(layoutOf(other.parameters))
    const record = { ...recordAt(1), model: { name: 'mlp', config: other.config } }
    const state = { steps: { '': 1 }, vectors: { params: new Float32Array(its.all.size) } }
    await writeFile(file('last.safetensors'), stateCheckpoint(its, state, { run: JSON.stringify(record) }))
    expect(await refused(resumed)).toBe(
      'run/last.safetensors belongs to another model than run/config.json; put a checkpoint of this run there',
    )
  })
})

describe('where a file cannot be written', () => {
  const said = async (action: Promise<unknown>) => {
    const error: unknown = await action.then(
      () => undefined,
      e => e,
    )
    return error instanceof UserError ? error.message.replaceAll(out, 'run') : error
  }
  const goOn = 'fix this, then resume with: onnxgrad train --resume run'
  const started = async () => (await RunFolder.resume(out, buildModel, () => {})).folder
  const save = (folder: RunFolder, step: number) =>
    folder.checkpoint('last', layout, stateAt(step), recordAt(step), {})

  it.skipIf(!existsSync('/dev/full'))(
    'because the disk is full, the checkpoints that are there stay',
    async () => {
      await runOf(1, 2)
      const folder = await started()
      // A file on a full disk.
      await symlink('/dev/full', file(`last.safetensors.${process.pid}.tmp`))
      expect(await said(save(folder, 3))).toBe(
        `run/last.safetensors cannot be written: no space is left on the disk; nothing up to step 2 is lost; ${goOn}`,
      )
      folder.close()
      const { from, notices } = await resumed()
      expect([from.record.step, notices]).toEqual([2, []])
      expect((await readdir(out)).filter(name => name.endsWith('.tmp'))).toEqual([])
    },
  )

  it('because a file of the run, or the folder, is gone, it is said what is lost', async () => {
    await runOf(1, 2)
    const folder = await started()
    await rm(file('metrics.jsonl'))
    expect(await said(folder.record({ step: 3 }))).toBe(
      `run/metrics.jsonl cannot be written: it or its folder no longer exists; nothing up to step 2 is lost; ${goOn}`,
    )
    await rm(out, { recursive: true })
    expect(await said(save(folder, 3))).toBe(
      'run/last.safetensors cannot be written: it or its folder no longer exists; the run folder no longer exists',
    )
    folder.close()
    expect(await readdir(path)).toEqual([])
  })

  const root = process.getuid?.() === 0
  const mount = (...args: string[]) => spawnSync('mount', [...args, out]).status === 0

  it.skipIf(!root)(
    'because a whole disk is full, half a line is taken back, and all goes on with room',
    async ctx => {
      await mkdir(out)
      if (!mount('-t', 'tmpfs', '-o', 'size=64k', 'tmpfs')) return ctx.skip('may not mount')
      onTestFinished(() => void spawnSync('umount', [out]))
      await runOf(1, 2)
      const folder = await started()
      await writeFile(file('filler'), new Uint8Array(2 ** 17)).catch(() => {})
      const long = { step: 3, text: 'x'.repeat(6000) }
      expect(await said(folder.record(long))).toMatch(
        /^run\/metrics.jsonl .* no space .*; nothing up to step 2 is lost/,
      )
      expect(await said(save(folder, 3))).toMatch(
        /^run\/last.safetensors .* no space .*; nothing up to step 2 is lost/,
      )
      expect(await lines()).toEqual(['{"step":1}', '{"step":2}'])
      await rm(file('filler'))
      await folder.record(long)
      await save(folder, 3)
      folder.close()
      expect((await resumed()).from.record.step).toBe(3)
      expect(await lines()).toHaveLength(3)
    },
  )

  it('because the folder is read-only, nothing begins or goes on there', async ctx => {
    await mkdir(out)
    if (root && !mount('-t', 'tmpfs', 'tmpfs')) return ctx.skip('may not mount')
    onTestFinished(() => void (root ? spawnSync('umount', [out]) : chmod(out, 0o755)))
    await runOf(1, 2)
    await (root ? mount('-o', 'remount,ro') : chmod(out, 0o555))
    const why = root ? 'the disk is read-only' : 'permission denied'
    expect(await refused(resumed)).toBe(`run/lock cannot be written: ${why}`)
    const overwrite = async () => (await RunFolder.at(out, { overwrite: true })).begin(config)
    expect(await refused(overwrite)).toBe(`run/lock cannot be written: ${why}`)
    // Reading needs no lock.
    expect((await readRun(out, buildModel)).params).toEqual(paramsAt(2))
  })
})

describe('the lock of a run folder', () => {
  const taken = (process: number) =>
    `run: process ${process} is using it; wait until that has ended, or stop it`

  it('lets in one process at a time', async () => {
    await runOf(1)
    const { folder } = await RunFolder.resume(out, buildModel, () => {})
    expect(await refused(resumed)).toBe(taken(process.pid))
    expect(await refused(() => RunFolder.at(out, { overwrite: true }))).toBe(taken(process.pid))
    folder.close()
    await resumed()
    expect(await readdir(out)).not.toContain('lock')
  })

  it('lets one of several begin that found the folder empty, even after that one has ended', async () => {
    const folders = await Promise.all([1, 2, 3].map(() => RunFolder.at(out)))
    const began = await Promise.allSettled(folders.map(folder => folder.begin(config)))
    const winners = folders.filter((_, i) => began[i]!.status === 'fulfilled')
    expect(winners).toHaveLength(1)
    winners[0]!.close()
    const late = folders.find(folder => folder !== winners[0])!
    expect(await refused(() => late.begin(config))).toMatch(/^run holds 3 files already/)
  })

  /** What a process that was killed leaves. */
  const stale = (id = '00000000') => ({ id, pid: spawnSync('true').pid, host: hostname() })
  const write = (name: string, holder: object) => writeFile(join(path, name), JSON.stringify(holder))

  it('goes over from a process that was killed to one of those that come at once, and is gone at the end', async () => {
    const starts = await readFile('/proc/self/stat', 'utf8').catch(() => undefined)
    const dead = [stale(), ...(starts ? [{ ...stale(), pid: process.pid, started: 'another boot 12' }] : [])]
    for (const holder of dead) {
      await write('lock', holder)
      // Somebody was killed while taking it over.
      await write('lock.00000000', stale('11111111'))
      const tries = await Promise.allSettled([1, 2, 3, 4, 5, 6].map(() => takeLock(join(path, 'lock'))))
      const won = tries.flatMap(t => (t.status === 'fulfilled' ? [t.value] : []))
      expect(won).toHaveLength(1)
      won[0]!()
      expect(await readdir(path)).toEqual([])
    }
  })

  it('of another machine, or damaged, is left to the user', async () => {
    await runOf(1)
    await writeFile(file('lock'), JSON.stringify({ ...stale(), host: 'elsewhere' }))
    expect(await refused(resumed)).toMatch(
      /^run: process \d+ of the machine elsewhere is using it; if that has ended, delete run\/lock$/,
    )
    for (const text of ['', 'null', JSON.stringify({ ...stale(), id: '../../x' })]) {
      await writeFile(file('lock'), text)
      expect(await refused(resumed)).toBe(
        'run/lock does not say which process is using it; if none is, delete that file',
      )
    }
  })
})
