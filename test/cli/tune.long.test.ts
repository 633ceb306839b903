import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { complaint, type Finished, onnxgrad, start } from './program.ts'
import { begin, data, epochsIn, essence, folder, type Result, resultOf, tune } from './tunes.ts'

let whole: Finished

beforeAll(async () => {
  await begin()
  whole = await onnxgrad(...tune('--out', join(folder, 'whole'), '--json'))
})

it('a tune comes to the same winner when it is killed again and again', async () => {
  const killed = join(folder, 'killed')
  for (const epochs of [1, 3, 5]) {
    const { child, finished } = start(tune('--out', killed))
    while ((await epochsIn(killed)) < epochs && child.exitCode === null)
      await new Promise(done => setTimeout(done, 20))
    child.kill('SIGKILL')
    expect((await finished).code).toBeNull()
  }
  const last = await onnxgrad('tune', '--resume', killed, '--json')
  expect(complaint(last)).toEqual([])
  expect(last.code).toBe(0)
  expect(essence(last)).toEqual(essence(whole))
  const model = (of: Finished) => readFile(join(resultOf(of).winner.out, 'model.onnx'))
  expect(await model(last)).toEqual(await model(whole))
})

it('stops at the first Ctrl-C, says how to go on, and does', async () => {
  const stopped = join(folder, 'stopped')
  const { child, finished } = start(tune('--out', stopped, '--json'))
  while (!(await epochsIn(stopped)) && child.exitCode === null)
    await new Promise(done => setTimeout(done, 20))
  child.kill('SIGINT')
  const first = await finished
  expect(first.code).toBe(130)
  expect(first.stderr).toContain(`npx onnxgrad tune --resume ${stopped}`)
  expect(first.json).toMatchObject({ stopped: true })
  expect(first.json.winner).toBeUndefined()
  // The same command again goes on too.
  const last = await onnxgrad(...tune('--out', stopped, '--json'))
  expect(essence(last)).toEqual(essence(whole))
})

it('puts trials that fail last, with the reason, and goes on', async () => {
  const bad = join(folder, 'bad.json')
  // 20 is not divisible by 8 heads; a rate of 1e30 leads to numbers that are none.
  await writeFile(bad, JSON.stringify({ dim: [16, 20], lr: [0.01, 1e30] }))
  const args = ['tune', 'vit', '--space', bad, '--depth', '1', '--heads', '8', '--mlp', '16', '--data', data]
  const shared = ['--strategy', 'random', '--trials', '4', '--epochs', '1', '--optimizer', 'sgd']
  const at = join(folder, 'bad')
  const { json, stderr, code } = await onnxgrad(...args, ...shared, '--out', at, '--json')
  expect(code).toBe(0)
  expect(stderr).toContain('trials are judged by 10.00 % of the training examples')
  const { trials } = json as unknown as Result
  expect(trials.map(t => t.status)).toEqual(['winner', 'failed', 'failed', 'failed'])
  const failures = trials.slice(1).map(t => t.failure)
  expect(failures.filter(f => f?.includes('dim 20 is not divisible by heads 8'))).toHaveLength(2)
  expect(failures.filter(f => f?.includes('not finite') || f?.includes('NaN'))).toHaveLength(1)
  // What the search decided by itself, such as the validation split, does not make it another one.
  expect((await onnxgrad(...args, ...shared, '--out', at, '--json')).json).toEqual(json)
})
