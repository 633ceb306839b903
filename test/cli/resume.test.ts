import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { OPTIMIZERS } from '../../src/train/optimizer.ts'
import { recordedOptimizer, recordedSchedule } from '../../src/train/record.ts'
import { cosine, oneCycle, stepDecay, withWarmup } from '../../src/train/schedule.ts'
import { complaint, onnxgrad, start, workFolder, writeDigits } from './program.ts'

const folder = await workFolder()
const data = join(folder, 'digits')
const train = (out: string, ...more: string[]) => [
  'train',
  'vit',
  ...[
    '--data',
    data,
    '--epochs',
    '4',
    '--dropout',
    '0.1',
    '--batch',
    '48',
    '--no-verify',
    '--out',
    out,
    ...more,
  ],
]

beforeAll(async () => {
  await mkdir(data)
  await writeDigits(data, 500, 100)
})

describe('a run that was stopped', () => {
  const [whole, stopped] = [join(folder, 'whole'), join(folder, 'stopped')]
  beforeAll(async () => {
    expect((await onnxgrad(...train(whole))).code).toBe(0)
    const { child, finished } = start(train(stopped))
    await new Promise<void>(resolve => {
      child.stderr!.on('data', d => {
        if (String(d).includes('epoch 1/4')) resolve()
      })
    })
    child.kill('SIGINT')
    expect((await finished).code).toBe(130)
  })

  it('refuses settings that are not its own, naming each, and costs nothing', async () => {
    const before = await readFile(join(stopped, 'last.safetensors'))
    const finished = await onnxgrad(
      'train',
      '--resume',
      stopped,
      '--data',
      data,
      '--batch',
      '32',
      '--dim',
      '32',
    )
    expect(finished.code).toBe(1)
    expect(complaint(finished)).toEqual([
      `onnxgrad: ${join(stopped, 'last.safetensors')}: --batch is 48 in this run, not 32; --dim is 64 in this run, not 32`,
    ])
    expect(await readFile(join(stopped, 'last.safetensors'))).toEqual(before)
  })

  it('goes on from its checkpoint file in another folder, and from its own, to the same bytes', async () => {
    const [file, elsewhere] = [join(folder, 'taken.safetensors'), join(folder, 'elsewhere')]
    await copyFile(join(stopped, 'last.safetensors'), file)
    const model = (of: string) => readFile(join(of, 'model.onnx'))
    const rest = ['--data', data, '--no-verify', '--json']
    const own = await onnxgrad('train', '--resume', stopped, ...rest)
    expect(own).toMatchObject({ code: 0, json: { stopped: false, epochs: 4, steps: 44 } })
    const other = await onnxgrad('train', '--resume', file, '--out', elsewhere, ...rest)
    expect(other.code).toBe(0)
    expect((await model(stopped)).equals(await model(whole))).toBe(true)
    expect((await model(elsewhere)).equals(await model(whole))).toBe(true)
    const lines = (await readFile(join(stopped, 'metrics.jsonl'), 'utf8')).trim().split('\n')
    expect(lines.filter(line => line.includes('"final":true'))).toHaveLength(2)
  })

  it('says that it is done, and goes on with more epochs', async () => {
    const done = await onnxgrad('train', '--resume', whole, '--data', data)
    expect(complaint(done)).toEqual([
      'onnxgrad: all 44 steps of 4 epochs are done; to go on, give more epochs',
    ])
    const more = await onnxgrad(
      'train',
      '--resume',
      whole,
      '--data',
      data,
      '--epochs',
      '5',
      '--no-verify',
      '--json',
    )
    expect(more).toMatchObject({ code: 0, json: { steps: 55 } })
  })
})

it('a record gives the optimizer and the schedule back', () => {
  for (const [name, make] of Object.entries(OPTIMIZERS)) {
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
