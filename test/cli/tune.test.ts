import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { complaint, type Finished, onnxgrad } from './program.ts'
import { begin, data, folder, lines, resultOf, tiny, tune } from './tunes.ts'

let whole: Finished
const out = join(folder, 'whole')

beforeAll(async () => {
  await begin()
  whole = await onnxgrad(...tune('--out', out, '--json'))
}, 180_000)

describe('tune', () => {
  it('trains all trials a little and the best to the end, and says which one won', () => {
    expect(complaint(whole)).toEqual([])
    expect(whole.code).toBe(0)
    const { winner, trials } = resultOf(whole)
    expect(trials.map(t => t.epochs)).toEqual([4, 2, 1, 1])
    expect(trials.map(t => t.status)).toEqual(['winner', 'dropped', 'dropped', 'dropped'])
    expect(trials[0]!.trial).toBe(winner.trial)
    expect(whole.json.rungs).toEqual([1, 2, 4])
  })

  it('chooses by what is held out of training, and shows the test figures of the winner alone', async () => {
    const { winner, trials } = resultOf(whole)
    for (const { trial, epochs, valAccuracy } of trials) {
      const run = (await lines(join(out, 'trials', `00${trial}`))).filter(line => line.epoch !== undefined)
      expect(run).toHaveLength(epochs)
      expect(Math.max(...run.map(line => line.valAccuracy!))).toBe(valAccuracy)
    }
    const first = async (trial: number) => (await lines(join(out, 'trials', `00${trial}`)))[0]!
    const firsts = await Promise.all(trials.map(t => first(t.trial)))
    const best = Math.max(...firsts.map(line => line.valAccuracy!))
    // Who got past the first rung was among the best two there.
    const passed = firsts.slice(0, 2).map(line => line.valAccuracy!)
    for (const { valAccuracy } of firsts.slice(2))
      expect(valAccuracy).toBeLessThanOrEqual(Math.min(...passed))
    expect(passed).toContain(best)
    const final = (await lines(winner.out)).at(-1)!
    expect(winner.testAccuracy).toBe(final.testAccuracy)
    expect(JSON.stringify(trials)).not.toContain('test')
    const tests = whole.stderr.split('\n').filter(line => /\btest\b/.test(line))
    expect(tests).toEqual([expect.stringContaining(`trial ${winner.trial}: validation`)])
  })

  it('names a command that trains the winner to the same model', async () => {
    const { winner } = resultOf(whole)
    const command = winner.command.split(' ')
    expect(command.slice(0, 4)).toEqual(['npx', 'onnxgrad', 'train', 'mlp'])
    const again = join(folder, 'again')
    const { json } = await onnxgrad(...command.slice(2), '--out', again, '--no-verify', '--json')
    expect(json.valAccuracy).toBe(winner.valAccuracy)
    expect(await readFile(join(again, 'model.onnx'))).toEqual(await readFile(join(winner.out, 'model.onnx')))
  })

  it('has nothing more to do where it is done, and goes on with more trials', async () => {
    const before = await lines(join(out, 'trials', '000'))
    const same = await onnxgrad(...tune('--out', out, '--json'))
    expect(same.json).toEqual(whole.json)
    expect(await lines(join(out, 'trials', '000'))).toEqual(before)
    const other = await onnxgrad('tune', '--resume', out, '--trials', '3')
    expect([other.code, complaint(other)]).toEqual([
      1,
      [`onnxgrad: ${out}: --trials is 4 in this search, not 3`],
    ])
    const more = await onnxgrad('tune', '--resume', out, '--trials', '5', '--json')
    expect(resultOf(more).trials).toHaveLength(5)
    const kept = resultOf(more).trials.find(t => t.trial === resultOf(whole).winner.trial)
    expect(kept).toMatchObject({ epochs: 4 })
  }, 120_000)

  it('ends with an error where all trials fail, before it makes a folder where none can begin', async () => {
    const bad = join(folder, 'none.json')
    await writeFile(bad, JSON.stringify({ dim: [17, 19] }))
    const at = join(folder, 'none')
    const args = ['--heads', '2', '--data', data, '--trials', '2', '--out', at]
    const none = await onnxgrad('tune', 'vit', '--space', bad, ...args)
    expect([none.code, complaint(none)]).toEqual([
      1,
      [expect.stringMatching(/dim \d\d is not divisible by heads 2/)],
    ])
    await expect(readdir(at)).rejects.toThrow('ENOENT')
    await writeFile(bad, JSON.stringify({ lr: { log: [1e29, 1e30] } }))
    const sgd = ['--strategy', 'random', '--epochs', '1', '--optimizer', 'sgd']
    const all = await onnxgrad('tune', 'mlp', '--space', bad, ...tiny, ...sgd, '--trials', '2', '--out', at)
    expect([all.code, complaint(all)]).toEqual([
      1,
      [expect.stringMatching(/^onnxgrad: all 2 trials failed; /)],
    ])
    expect(all.stdout).toContain('failed: ')
  })
})

describe('tune refuses, in one line,', () => {
  const refused = async (declared: object | string, ...more: string[]): Promise<string> => {
    await writeFile(
      join(folder, 'x.json'),
      typeof declared === 'string' ? declared : JSON.stringify(declared),
    )
    const at = join(folder, 'refused')
    const args = ['--space', join(folder, 'x.json'), '--data', data, '--out', at]
    const finished = await onnxgrad('tune', 'vit', ...args, ...more)
    expect(finished.code).toBe(1)
    await expect(readdir(at)).rejects.toThrow('ENOENT')
    return complaint(finished).join('\n').replaceAll(folder, '')
  }

  it('spaces that no training can have', async () => {
    expect(await refused({ lr: { log: [0, 1] } })).toContain(
      '/x.json: lr: {"log": [0,1]} has no logarithm at 0',
    )
    expect(await refused({ learning: [1, 2] })).toContain('/x.json: learning is not a setting of this run')
    expect(await refused({ batch: { uniform: [8, 64] } })).toContain('--batch takes whole numbers')
    expect(await refused({ optimizer: ['adam', 'adma'] })).toContain('must be one of adam, adamw')
    expect(await refused({ lr: ['fast'] })).toContain('/x.json: lr must be a number above 0, not fast')
    expect(await refused({ kernel: [3, 5] })).toContain('kernel is not a setting of this run')
    expect(await refused({ epochs: [3, 5] })).toContain(
      'is the same for all trials; give --epochs to the search instead',
    )
    expect(await refused({ lr: [1, 2] }, '--lr', '3')).toContain('varies, and is given as --lr 3 too')
    expect(await refused('{"lr": ')).toContain('/x.json is not JSON: ')
  }, 120_000)

  it('another space for a folder than it began with, and a folder that holds other things', async () => {
    const other = await onnxgrad(...tune('--out', out, '--seed', '1'))
    expect(complaint(other)).toEqual([expect.stringContaining('--seed is 0 in this search, not 1')])
    const none = await onnxgrad('tune', '--resume', join(folder, 'nowhere'))
    expect(complaint(none)).toEqual([expect.stringContaining('/nowhere holds no search to resume')])
    const full = await onnxgrad(...tune('--out', data))
    expect(complaint(full)).toEqual([expect.stringContaining('holds 4 files already, and no search')])
  })

  it('other data than it began with', async () => {
    const labels = join(data, 'train-labels-idx1-ubyte')
    const bytes = await readFile(labels)
    await writeFile(labels, Buffer.concat([bytes.subarray(0, 8), bytes.subarray(8).toReversed()]))
    const other = await onnxgrad('tune', '--resume', out, '--trials', '5')
    await writeFile(labels, bytes)
    expect(complaint(other)).toEqual([
      expect.stringContaining(
        'the data differ from those of the run: the training set has the same number of examples but',
      ),
    ])
  })
})

it('a space may be a module', async () => {
  const at = join(folder, 'module')
  await mkdir(at)
  await writeFile(join(at, 'package.json'), '{"type": "module"}')
  const module = join(at, 'space.js')
  await writeFile(
    module,
    'const low = 1e-3\nexport default { lr: { log: [low, 10 * low] }, dropout: [0.1] }\n',
  )
  const args = ['--space', module, '--strategy', 'random', '--trials', '1', '--epochs', '1', '--data', data]
  const { json, code } = await onnxgrad('tune', 'mlp', ...args, '--out', join(at, 'tune'), '--json')
  expect(code).toBe(0)
  expect(json.trials).toMatchObject([{ values: { lr: expect.any(Number), dropout: 0.1 } }])
  await writeFile(module, 'export const space = 1\n')
  const none = await onnxgrad('tune', 'mlp', ...args, '--out', join(at, 'none'))
  expect(complaint(none)).toEqual([expect.stringContaining('space.js: a space is an object such as')])
})
