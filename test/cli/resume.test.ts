import { spawnSync } from 'node:child_process'
import { copyFile, cp, mkdir, readdir, readFile, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { OPTIMIZERS } from '../../src/optim/optimizer.ts'
import { cosine, oneCycle, stepDecay, withWarmup } from '../../src/optim/schedule.ts'
import { recordedOptimizer, recordedSchedule } from '../../src/runs/record.ts'
import { complaint, onnxgrad, program, start, workFolder, writeDigits } from './program.ts'

const folder = await workFolder()
const data = join(folder, 'digits')
const train = (out: string, epochs = 4) => [
  ...['train', 'mlp', '--data', data, '--hidden', '16', '--epochs', `${epochs}`, '--dropout', '0.1'],
  ...['--batch', '48', '--no-verify', '--no-report', '--out', out],
]
const model = (of: string) => readFile(join(of, 'model.onnx'))

/** Starts a training that is sent signals, once it has come through an epoch and `meanwhile` is over. */
async function interrupted(args: readonly string[], signals: NodeJS.Signals[], meanwhile = async () => {}) {
  const { child, finished } = start(args)
  await new Promise<void>((resolve, reject) => {
    finished.then(({ stderr }) => reject(new Error(stderr)))
    child.stderr!.on('data', d => {
      if (/epoch +1\//.test(String(d))) resolve()
    })
  })
  await meanwhile()
  for (const signal of signals) child.kill(signal)
  return { pid: child.pid, ...(await finished) }
}

beforeAll(async () => {
  await mkdir(data)
  await writeDigits(data, 500, 100)
})

describe('a run that was stopped', () => {
  const [whole, stopped] = [join(folder, 'whole'), join(folder, 'stopped')]
  beforeAll(async () => {
    expect((await onnxgrad(...train(whole))).code).toBe(0)
    expect((await interrupted(train(stopped), ['SIGTERM'])).code).toBe(143)
  })

  it('refuses settings that are not its own, naming each, and costs nothing', async () => {
    const files = async () => {
      const names = (await readdir(stopped)).sort()
      return Promise.all(names.map(async name => [name, await readFile(join(stopped, name))]))
    }
    const before = await files()
    const others = [
      '--batch',
      '32',
      '--hidden',
      '64',
      '--lr',
      '0.1',
      '--ema',
      '0.9',
      '--shift',
      '0.2',
      '--seed',
      '7',
    ]
    const finished = await onnxgrad('train', '--resume', stopped, ...others)
    expect(finished.code).toBe(1)
    expect(complaint(finished)).toEqual([
      `onnxgrad: ${stopped}: --shift is 0 in this run, not 0.2; --batch is 48 in this run, not 32; --lr is 0.002 in this run, not 0.1; --ema is not set in this run, not 0.9; --seed is 0 in this run, not 7; --hidden is 16 in this run, not 64`,
    ])
    expect(await files()).toEqual(before)
  })

  it('goes on from its checkpoint file in another folder, and from its own, to the same bytes', async () => {
    const [file, elsewhere] = [join(folder, 'taken.safetensors'), join(folder, 'elsewhere')]
    await copyFile(join(stopped, 'last.safetensors'), file)
    // The same data are elsewhere, under another name.
    const moved = join(folder, 'moved')
    await cp(data, moved, { recursive: true })
    // Its folder knows the data.
    const own = await onnxgrad('train', '--resume', stopped, '--no-verify', '--no-report', '--json')
    expect(own).toMatchObject({ code: 0, json: { stopped: false, epochs: 4, steps: 44 } })
    const rest = ['--data', moved, '--no-verify', '--no-report']
    const other = await onnxgrad('train', '--resume', file, '--out', elsewhere, ...rest)
    expect(other.code).toBe(0)
    expect((await model(stopped)).equals(await model(whole))).toBe(true)
    expect((await model(elsewhere)).equals(await model(whole))).toBe(true)
    const lines = (await readFile(join(stopped, 'metrics.jsonl'), 'utf8')).trim().split('\n')
    expect(lines.map(line => JSON.parse(line).epoch)).toEqual([1, 2, 3, 4, undefined])
    const configs = [stopped, whole].map(async of =>
      JSON.parse(await readFile(join(of, 'config.json'), 'utf8')),
    )
    const [mine, theirs] = await Promise.all(configs)
    expect(mine).toEqual(theirs)
  })

  it('answers from a checkpoint where its model.onnx is gone, of the step before where the last is damaged', async () => {
    await rm(join(stopped, 'model.onnx'))
    await truncate(join(stopped, 'last.safetensors'), 1000)
    const { code, json, stderr } = await onnxgrad('eval', stopped, '--data', data, '--json')
    expect(code).toBe(0)
    expect(json).toMatchObject({ count: 100 })
    expect(stderr).toMatch(/last.safetensors: .*; step 44 of .*previous.safetensors is taken instead$/m)
    expect(stderr).toMatch(/model.onnx does not exist; a checkpoint is taken instead$/m)
  })

  it('that was killed after its model was written still gets its report', async () => {
    const before = await model(whole)
    expect((await onnxgrad('train', '--resume', whole, '--no-verify', '--report')).code).toBe(0)
    expect(await readdir(whole)).toContain('report.html')
    expect((await model(whole)).equals(before)).toBe(true)
  })

  it('says that it is done, and goes on with more epochs', async () => {
    const done = await onnxgrad('train', '--resume', whole)
    expect(done.code).toBe(1)
    expect(complaint(done)).toEqual([
      'onnxgrad: all 44 steps of 4 epochs are done; to train longer, give more --epochs',
    ])
    const more = await onnxgrad(
      'train',
      '--resume',
      whole,
      '--epochs',
      '5',
      '--no-verify',
      '--no-report',
      '--json',
    )
    expect(more).toMatchObject({ code: 0, json: { steps: 55 } })
  })
})

it('a run keeps others out of its folder until it ends, and is not there any more when it was stopped twice', async () => {
  const out = join(folder, 'long')
  let refused: string[] = []
  const { code, pid } = await interrupted(train(out, 5000), ['SIGINT', 'SIGINT'], async () => {
    refused = complaint(await onnxgrad('train', '--resume', out))
  })
  expect(refused).toEqual([
    `onnxgrad: ${out}: process ${pid} is using it; wait until that has ended, or stop it`,
  ])
  expect(code).toBe(130)
  expect(await readdir(out)).not.toContain('lock')
})

it.skipIf(process.platform === 'win32')(
  'a run that cannot be saved says so, and goes on where it can',
  async () => {
    const out = join(folder, 'limited')
    const [node, ...args] = program(train(out, 1))
    // No file may have more than 50 kB.
    const limited = spawnSync('sh', ['-c', 'ulimit -f 100; exec "$@"', 'sh', node!, ...args], {
      encoding: 'utf8',
    })
    expect(limited.status).toBe(1)
    expect(complaint({ code: 1, json: {}, ...limited })).toEqual([
      `onnxgrad: ${join(out, 'best.safetensors')} cannot be written: the file exceeds the size limit (ulimit -f); no step is saved yet; fix this, then resume with: onnxgrad train --resume ${out}`,
    ])
    expect((await readdir(out)).sort()).toEqual(['config.json', 'metrics.jsonl', 'steps.jsonl'])
    const { code, stderr } = await onnxgrad('train', '--resume', out, '--no-verify', '--no-report')
    expect(code).toBe(0)
    expect(stderr).toContain(`${out} has no checkpoint yet; its training starts from the beginning\n`)
  },
)

it('a record gives the optimizer and the schedule back', () => {
  for (const [name, { make }] of Object.entries(OPTIMIZERS)) {
    const given = make({
      lr: 0.03,
      ...(name.startsWith('adam') || name === 'lion' ? { betas: [0.8, 0.9] } : {}),
    })
    const back = recordedOptimizer({ name: given.name, ...given.settings })
    expect(back.settings).toEqual(given.settings)
    expect(back.lr).toBe(0.03)
  }
  for (const schedule of [cosine({ floor: 0.1 }), oneCycle(), stepDecay({ every: 7, gamma: 0.5 })]) {
    const given = withWarmup(schedule, 5)
    const back = recordedSchedule({ name: given.name, ...given.settings })
    for (const step of [0, 3, 5, 20, 39]) expect(back.at(step, 40)).toBe(given.at(step, 40))
  }
})
