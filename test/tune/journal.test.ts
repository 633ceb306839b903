import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { TuneFolder } from '../../src/runs/search/folder-node.ts'
import type { TuneRecord } from '../../src/runs/search/record.ts'
import { readStanding } from '../../src/runs/standing-node.ts'
import { temporaryFolder } from '../data/files.ts'

const record: TuneRecord = {
  model: 'vit',
  strategy: 'random',
  trials: 2,
  epochs: 3,
  eta: 3,
  minEpochs: 1,
  seed: 0,
  space: { lr: [1, 2] },
  settings: {},
}

const epoch = (n: number, valAccuracy = n / 10) => ({
  epoch: n,
  step: 10 * n,
  valAccuracy,
  valLoss: 1,
  examplesPerSecond: 200,
})

let path: string
beforeEach(async () => {
  path = await temporaryFolder()
})

/** A run folder with these lines in its metrics, the last of them perhaps cut off. */
async function runOf(
  lines: readonly object[],
  rest = '',
  config: object = { examples: 400 },
): Promise<string> {
  const run = join(path, 'run')
  await mkdir(run, { recursive: true })
  await writeFile(join(run, 'config.json'), JSON.stringify(config))
  await writeFile(join(run, 'metrics.jsonl'), lines.map(line => `${JSON.stringify(line)}\n`).join('') + rest)
  return run
}

test('a run that has not begun has come to nothing yet', async () => {
  const nothing = { epochs: [], ended: false, failed: false, seconds: 0 }
  expect(await readStanding(join(path, 'nowhere'))).toEqual(nothing)
})

test('a run that was killed has come as far as its whole lines', async () => {
  const trial = await readStanding(await runOf([epoch(1), epoch(2)], '{"epoch":3,"va'))
  expect(trial.epochs).toEqual([
    { accuracy: 0.1, loss: 1 },
    { accuracy: 0.2, loss: 1 },
  ])
  expect(trial).toMatchObject({ ended: false, failed: false, seconds: 4 })
})

test('a run of an older release counts its examples as images', async () => {
  const { examplesPerSecond, ...line } = epoch(1)
  const old = await runOf([{ ...line, imagesPerSecond: examplesPerSecond }], '', { images: 400 })
  expect((await readStanding(old)).seconds).toBe(2)
})

test('an epoch that was done twice counts once', async () => {
  const trial = await readStanding(await runOf([epoch(1), epoch(2, 0.9), epoch(2, 0.3)]))
  expect(trial.epochs.map(e => e.accuracy)).toEqual([0.1, 0.3])
})

test('only a run that came to its end has ended: not one that waits at a rung, or was stopped', async () => {
  const final = { final: true, testAccuracy: 0.4, testLoss: 2, trainAccuracy: 0.5 }
  for (const [end, ended] of [
    ['done', true],
    ['patience', true],
    ['until', false],
    ['signal', false],
  ] as const) {
    const trial = await readStanding(await runOf([epoch(1), { ...final, end }]))
    expect([end, trial.ended]).toEqual([end, ended])
    const { final: _, ...figures } = final
    expect(trial.final).toEqual(ended ? figures : undefined)
  }
})

test('a failure is kept in the trial, whether its run had begun or not', async () => {
  const folder = new TuneFolder(path)
  await folder.fail(1, 'dim 20 is not divisible by heads 8')
  const [first, second] = await folder.trials(2)
  expect(first).toMatchObject({ failed: false })
  expect(second).toMatchObject({ failed: true, failure: 'dim 20 is not divisible by heads 8', epochs: [] })
})

test('a folder that cannot be made is an error that names it', async () => {
  const file = join(path, 'file')
  await writeFile(file, '')
  // Node's own way of making folders hangs below /proc.
  const kernel = process.platform === 'linux' ? ['/proc/none/deep'] : []
  for (const folder of [join(file, 'tune'), ...kernel]) {
    await expect(new TuneFolder(folder).lock()).rejects.toThrow(folder)
    await expect(new TuneFolder(folder).fail(0, 'x')).rejects.toThrow(folder)
  }
})

test('what is damaged is said, and where', async () => {
  const run = await runOf([epoch(1)], 'x\n')
  await expect(readStanding(run)).rejects.toThrow(
    'metrics.jsonl: line 2 is not a JSON object: the file is damaged',
  )
  const folder = new TuneFolder(path)
  for (const text of ['', '[', 'null', '{}', JSON.stringify({ ...record, trials: 0 })]) {
    await writeFile(folder.file('settings'), text)
    await expect(folder.read()).rejects.toThrow(/tune\.json .*: the file is damaged$/)
  }
})

test('a folder is one tune’s, and one process’s at a time', async () => {
  const folder = new TuneFolder(join(path, 'tune'))
  expect(await folder.read()).toBeUndefined()
  await folder.lock()
  await expect(new TuneFolder(folder.path).lock()).rejects.toThrow(/process \d+ is using it/)
  // Killed before it began, it leaves nothing that matters.
  await writeFile(join(folder.path, 'tune.json.17.tmp'), '{')
  expect(await folder.read()).toBeUndefined()
  await folder.write(record)
  expect(await folder.read()).toEqual(record)
  folder.close()
  expect((await readdir(folder.path)).includes('lock')).toBe(false)
  await writeFile(join(path, 'thesis.txt'), 'mine')
  await expect(new TuneFolder(path).read()).rejects.toThrow('holds 2 files already, and no search')
})
