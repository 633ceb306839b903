import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { mnistFolder } from '../data/files.ts'
import { newPlan } from './plans.ts'
import { complaint, onnxgrad, workFolder, writeDigits } from './program.ts'

const folder = await workFolder()
const data = join(folder, 'digits')

beforeAll(async () => {
  await mkdir(data)
  await writeDigits(data, 320, 50)
})

/** A copy of the data with one file changed. */
async function damaged(name: string, change: (files: Record<string, Buffer>) => void): Promise<string> {
  const target = join(folder, name)
  await mkdir(target)
  const files: Record<string, Buffer> = {}
  for (const file of await readdir(data)) files[file] = await readFile(join(data, file))
  change(files)
  for (const [file, bytes] of Object.entries(files)) await writeFile(join(target, file), bytes)
  return target
}

/** Runs a command that must fail: one line, no stack, nothing written. */
async function refused(...args: string[]): Promise<string> {
  const before = (await readdir(folder)).sort()
  const finished = await onnxgrad(...args)
  expect(finished.code).toBe(1)
  expect(finished.stderr).not.toMatch(/^\s+at /m)
  expect((await readdir(folder)).sort()).toEqual(before)
  const lines = complaint(finished)
  expect(lines).toHaveLength(1)
  return lines[0]!.replaceAll(folder, '…')
}

const out = join(folder, 'out')
const train = (...args: string[]) => refused('train', 'vit', '--out', out, ...args)

describe('bad data costs nothing', () => {
  it('a truncated file', async () => {
    const dir = await damaged('short', files => {
      files['train-images-idx3-ubyte'] = files['train-images-idx3-ubyte']!.subarray(0, 1000)
    })
    expect(await train('--data', dir)).toContain('1,000 bytes')
  })

  it('labels where images should be', async () => {
    const dir = await damaged('swapped', files => {
      files['train-images-idx3-ubyte'] = files['train-labels-idx1-ubyte']!
    })
    expect(await train('--data', dir)).toContain('train-images-idx3-ubyte')
  })

  it('a wrong magic number', async () => {
    const dir = await damaged('magic', files => {
      files['t10k-labels-idx1-ubyte']!.writeUInt32BE(0xdeadbeef, 0)
    })
    expect(await train('--data', dir)).toContain('t10k-labels-idx1-ubyte')
  })

  it('a folder that is not there, and one that may not be read', async () => {
    expect(await train('--data', join(folder, 'nowhere'))).toContain('does not exist')
    if (process.getuid?.() === 0) return // root reads everything
    const dir = await damaged('locked', () => {})
    await chmod(dir, 0o000)
    expect(await train('--data', dir)).toContain('permission denied')
    await chmod(dir, 0o755)
  })
})

describe('bad flags cost nothing', () => {
  it.each([
    [['--colour', 'red'], 'colour'],
    [['--lr', 'fast'], 'lr'],
    [['--device', 'tpu'], 'tpu'],
    [['--batch', '1.5'], '--batch must be a whole number of at least 1, not 1.5'],
    [['--patch', '5'], 'patch 5 does not divide image 28'],
  ])('%j', async (flags, expected) => {
    expect(await train('--data', data, ...flags)).toContain(expected)
  })

  it.each([
    [{ preset: 'huge' }, 'vit has no preset huge; choose one of lecture, small'],
    [{ heads: 5 }, 'dim 64 is not divisible by heads 5'],
    [{ hidden: [3] }, '--hidden is not a setting of vit'],
    [{ epochs: 0 }, '--epochs must be a whole number of at least 1, not 0'],
    [{ dropout: 1 }, '--dropout must be a number of at least 0 and below 1'],
    [{ clipNorm: 0 }, '--clip-norm must be a number above 0, not 0'],
    [{ labelSmoothing: 1 }, '--label-smoothing must be a number of at least 0 and below 1, not 1'],
    [{ momentum: 0.9 }, '--momentum is for --optimizer sgd'],
    [{ warmup: 5 }, '--warmup must be at least 0 and below --epochs 5'],
    [{ limit: 1_000_000 }, 'cannot take the first 1000000 of 320 images'],
    [{ preset: 'tiny16', patch: 16 }, 'patch 16 does not divide image 28'],
  ])('%j in the plan of a run', async (settings, expected) => {
    await expect(newPlan('vit', { data, out, ...settings })).rejects.toThrow(expected)
    await expect(readdir(out)).rejects.toThrow('ENOENT')
  })

  it('settings without a fault make a plan', async () => {
    expect(await newPlan('vit', { data, out, heads: 4, warmup: 1 })).toBeDefined()
  })

  it('an unknown verb and an unknown model', async () => {
    expect(await refused('trian')).toContain('train')
    expect(await refused('train', 'alexnet')).toContain('alexnet')
  })

  it('a device that this machine does not have says how to get it', async () => {
    const finished = await onnxgrad('train', 'vit', '--data', data, '--device', 'cuda', '--out', out)
    if (finished.code === 0) return // a machine with CUDA
    expect(complaint(finished)[0]).toMatch(/device cuda is not available: .*onnxruntime-node-install=cuda12/)
  })
})

describe('bad models cost nothing', () => {
  it('a file that is no ONNX, an empty one, a cut one, and none', async () => {
    const text = join(folder, 'text.onnx')
    await writeFile(text, 'This is not a model. '.repeat(50))
    const empty = join(folder, 'empty.onnx')
    await writeFile(empty, '')
    for (const file of [text, empty]) {
      expect(await refused('eval', file, '--data', data)).toMatch(/not (a valid|an) ONNX file/)
      expect(await refused('verify', file, '--data', data)).toMatch(/not (a valid|an) ONNX file/)
    }
    expect(await refused('predict', join(folder, 'none.onnx'), 'x.png')).toContain('does not exist')
    expect(await refused('export', data)).toContain('is not a run folder of onnxgrad')
  })

  it('a picture that is none', async () => {
    const run = join(folder, 'mlp')
    const quick = ['--hidden', '8', '--epochs', '1', '--no-verify', '--no-report']
    const args = ['train', 'mlp', '--data', data, ...quick, '--out', run]
    expect((await onnxgrad(...args)).code).toBe(0)
    const note = join(folder, 'note.png')
    await writeFile(note, 'no picture')
    expect(await refused('predict', run, note)).toContain('note.png')
    const model = await readFile(join(run, 'model.onnx'))
    const cut = join(folder, 'cut.onnx')
    await writeFile(cut, model.subarray(0, model.length / 2))
    expect(await refused('eval', cut, '--data', data)).toContain('cut.onnx')
    // The folder is taken now: a second training must not touch it.
    expect(await refused(...args)).toContain('give --overwrite')
    expect((await readFile(join(run, 'model.onnx'))).equals(model)).toBe(true)
  })
})

describe('a loss that is no number', () => {
  it('stops the run, names the step and keeps the last good checkpoint', async () => {
    const run = join(folder, 'diverged')
    const finished = await onnxgrad(
      ...['train', 'mlp', '--data', data, '--out', run, '--epochs', '50', '--optimizer', 'sgd'],
      ...['--lr', '1e18', '--momentum', '0.99', '--schedule', 'onecycle'],
    )
    expect(finished.code).toBe(1)
    expect(complaint(finished)[0]).toMatch(
      /the loss became (NaN|Infinity|-Infinity) at step \d+ \(epoch \d+\)/,
    )
    expect(await readdir(run)).not.toContain('model.onnx')
  })
})

it.skipIf(!mnistFolder)('the whole of MNIST is found by ONNXGRAD_DATA', async () => {
  process.env.ONNXGRAD_DATA = mnistFolder
  const finished = await onnxgrad(
    'train',
    'mlp',
    '--limit',
    '64',
    '--epochs',
    '1',
    '--out',
    join(folder, 'env'),
  )
  delete process.env.ONNXGRAD_DATA
  expect(finished.stdout).toMatch(/10,000\s+to\s+test/)
})
