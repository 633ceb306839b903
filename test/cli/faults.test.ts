import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, it, vi } from 'vitest'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { faults } from './faults.ts'
import { Trial } from './faults-run.ts'
import { workFolder, writeDigits } from './program.ts'

vi.mock('node:fs/promises', async original => (await import('./faults.ts')).faulty(await original()))

const folder = await workFolder()
let trial: Trial
/** How many calls an undisturbed run makes. */
let calls = 0

beforeAll(async () => {
  const data = join(folder, 'digits')
  await mkdir(data)
  await writeDigits(data, 50, 10)
  trial = new Trial(folder, data, await nodeRuntime('cpu'))
  faults.begin()
  await trial.train('whole')
  calls = faults.calls.length
  expect(calls).toBeGreaterThan(100)
})

it('wherever the process ends, what is resumed comes to the same bytes', { timeout: 300_000 }, async () => {
  const left = await trial.deaths('watched')
  expect(faults.calls.length).toBe(0)
  expect(left.length).toBeGreaterThan(40)
  // All of them, and all calls: faults.long.test.ts.
  for (let i = 0; i < left.length; i += 8) await trial.expectSame(left[i]!, 'whole', left[i]!)
})

it('where a call fails, one line says so, and what is resumed comes to the same bytes', {
  timeout: 300_000,
}, async () => {
  for (let at = 0; at < calls; at += 16) {
    await trial.failing(`at-${at}`, at, at % 32 ? 'EIO' : 'ENOSPC')
    await trial.expectSame(`at-${at}`, 'whole', `call ${at}`)
  }
})
