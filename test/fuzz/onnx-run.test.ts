import { expect, test } from 'vitest'
import { fileOf, values } from '../ort/foreign.ts'
import { looping } from '../ort/looping.ts'
import { fates, Runner } from './run-models.ts'

// What passes our checks goes on to onnxruntime, and is run. The files of npm run test:long are many times as many.

test('a changed .onnx file that is loaded and run ends in an answer or one line', async () => {
  const { counts, crashes } = await fates('onnx runs', 200)
  expect(crashes).toEqual([])
  expect(counts.ran).toBeGreaterThan(30)
  expect(counts.refused).toBeGreaterThan(30)
  expect(counts.failed).toBeGreaterThan(30)
})

test('the fuzzer tells fates apart, and goes on after each', async () => {
  const runner = new Runner()
  expect(await runner.fate(fileOf(looping(2)))).toBe('ran')
  expect(await runner.fate(new Uint8Array())).toBe('refused')
  expect(await runner.fate(fileOf(looping(2 ** 62)))).toBe('ended')
  expect(await runner.fate(fileOf(looping(2)))).toBe('ran')
  const { node: nodes = [], ...graph } = looping(2)
  const none = { ...graph, node: nodes.slice(1), initializer: [values('times', 'int64', [0], [])] }
  // onnxruntime 1.30 and 1.32 crash over it.
  expect(await runner.fate(fileOf(none))).toMatch(/crashed|failed/)
  expect(await runner.fate(fileOf(looping(2)))).toBe('ran')
  await runner.close()
})
