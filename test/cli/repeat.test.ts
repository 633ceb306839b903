import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Spread, spread } from '../../src/runs/repeat-node.ts'
import { complaint, type Finished, onnxgrad, start, workFolder, writeDigits } from './program.ts'

const folder = await workFolder()
const data = join(folder, 'digits')
const out = join(folder, 'repeats')
const tiny = ['--hidden', '8', '--data', data, '--val-split', '0.2']
const args = ['train', 'mlp', ...tiny, '--epochs', '2', '--batch', '32', '--no-report', '--no-verify']
let three: Finished

beforeAll(async () => {
  await mkdir(data)
  await writeDigits(data, 300, 60)
  three = await onnxgrad(...args, '--repeats', '3', '--seed', '5', '--out', out, '--json')
}, 120_000)

const model = (path: string) => readFile(join(path, 'model.onnx'))

describe('spread', () => {
  it('is the mean and the sample deviation, which one value does not have', () => {
    const { mean, deviation, count } = spread([2, 4, 4, 4, 5, 5, 7, 9])
    expect([mean, count]).toEqual([5, 8])
    // √(32 / 7)
    expect(deviation).toBeCloseTo(2.13809, 5)
    expect(spread([3])).toEqual({ mean: 3, count: 1 })
  })
})

describe('train --repeats', () => {
  it('trains the same with one seed after the other, and says mean and deviation', async () => {
    expect([three.code, complaint(three)]).toEqual([0, []])
    const runs = three.json.runs as { seed: number; testAccuracy: number; valAccuracy: number; out: string }[]
    expect(runs.map(run => run.seed)).toEqual([5, 6, 7])
    for (const name of ['testAccuracy', 'valAccuracy'] as const) {
      const values = runs.map(run => run[name])
      const mean = (values[0]! + values[1]! + values[2]!) / 3
      const variance = values.map(v => (v - mean) ** 2).reduce((a, b) => a + b, 0) / 2
      const found = three.json[name] as Spread
      expect(found.count).toBe(3)
      expect(found.mean).toBeCloseTo(mean, 12)
      expect(found.deviation).toBeCloseTo(Math.sqrt(variance), 12)
    }
    expect(three.stderr).toMatch(
      /^test +\d+\.\d\d ± \d+\.\d\d % \(mean and standard deviation of 3 seeds\)$/m,
    )
    const single = join(folder, 'single')
    const { json } = await onnxgrad(...args, '--seed', '6', '--out', single, '--json')
    expect(json.testAccuracy).toBe(runs[1]!.testAccuracy)
    expect(await model(single)).toEqual(await model(join(out, 'seed-6')))
    expect(JSON.parse(await readFile(join(out, 'repeats.json'), 'utf8'))).toMatchObject({ runs })
  })

  it('goes on where it was killed or stopped, to the same result', async () => {
    const killed = join(folder, 'killed')
    const at = async (signal: 'SIGKILL' | 'SIGINT', reached: string, command: readonly string[]) => {
      const { child, finished } = start(command)
      const there = () => readFile(join(killed, reached, 'metrics.jsonl'), 'utf8').catch(() => '')
      while (!(await there()).includes('epoch') && child.exitCode === null)
        await new Promise(done => setTimeout(done, 20))
      child.kill(signal)
      return finished
    }
    const first = await at('SIGKILL', 'seed-5', [...args, '--repeats', '3', '--seed', '5', '--out', killed])
    expect(first.code).toBeNull()
    const second = await at('SIGINT', 'seed-6', ['train', '--resume', killed])
    expect(second.code).toBe(130)
    expect(second.stderr).toContain(`npx onnxgrad train --resume ${killed}`)
    const last = await onnxgrad('train', '--resume', killed, '--json')
    expect([last.code, complaint(last)]).toEqual([0, []])
    for (const name of ['testAccuracy', 'valAccuracy', 'testLoss'])
      expect(last.json[name]).toEqual(three.json[name])
    for (const seed of [5, 6, 7])
      expect(await model(join(killed, `seed-${seed}`))).toEqual(await model(join(out, `seed-${seed}`)))
    const more = await onnxgrad('train', '--resume', killed, '--repeats', '4', '--json')
    expect(more.json.testAccuracy).toMatchObject({ count: 4 })
  }, 120_000)

  it('shows a seed that fails, leaves it out of the mean, and does not call that a success', async () => {
    const bad = join(folder, 'bad')
    // So large a rate leads to numbers that are none.
    const more = ['--optimizer', 'sgd', '--lr', '1e30', '--repeats', '2', '--out', bad, '--json']
    const { code, json, stderr } = await onnxgrad(...args, ...more)
    expect(code).toBe(1)
    expect(stderr).toContain('2 of 2 runs failed and are left out of the figures; seed 0: ')
    expect(json.testAccuracy).toBeUndefined()
  })

  it('refuses what cannot be repeated, and other settings than it began with', async () => {
    const said = async (...more: string[]) =>
      complaint(await onnxgrad(...more))
        .join()
        .replaceAll(folder, '')
    const none = join(folder, 'none')
    expect(await said(...args, '--repeats', '1', '--out', none)).toContain('--repeats must be a whole number')
    expect(await said(...args, '--repeats', '2', '--warmup', '7', '--out', none)).toContain(
      'below --epochs 2',
    )
    await expect(readdir(none)).rejects.toThrow('ENOENT')
    expect(await said(...args, '--repeats', '2', '--out', data)).toContain('/digits holds 4 files already')
    expect(await said(...args, '--repeats', '3', '--seed', '5', '--out', out)).toContain('train --resume')
    expect(await said('train', '--resume', out, '--lr', '0.1')).toContain(
      '--lr is not set in these runs, not 0.1',
    )
    expect(await said('train', '--resume', out, '--repeats', '2')).toContain('--repeats is 3; it can be more')
    expect(await said('train', '--resume', join(out, 'seed-5'), '--repeats', '3')).toContain(
      'holds no runs that differ in their seed',
    )
  }, 120_000)

  it('refuses to add a seed that would learn from other data', async () => {
    const images = join(data, 'train-images-idx3-ubyte')
    const bytes = await readFile(images)
    await writeFile(
      images,
      bytes.map((v, i) => (i < 16 ? v : 255 - v)),
    )
    const refused = await onnxgrad('train', '--resume', out, '--repeats', '4')
    expect(complaint(refused)).toEqual([
      `onnxgrad: ${out}: the data differ from those of the run: the training set has the same number of examples but different content; the validation set has the same number of examples but different content; give the run's own data`,
    ])
    expect(await readdir(out)).not.toContain('seed-8')
  })
})
