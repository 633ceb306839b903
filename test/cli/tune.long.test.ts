import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { complaint, type Finished, onnxgrad, start } from './program.ts'
import { begin, epochsIn, essence, folder, resultOf, tune } from './tunes.ts'

it('a tune comes to the same winner when it is killed again and again', async () => {
  await begin()
  const whole = await onnxgrad(...tune('--out', join(folder, 'whole'), '--json'))
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
