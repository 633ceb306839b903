import { expect, test } from 'vitest'
import { fates } from './run-models.ts'

test('twenty thousand changed .onnx files end in an answer or one line', async () => {
  const { counts, crashes } = await fates('onnx runs, long', 20_000)
  expect(crashes).toEqual([])
  expect(counts.ran).toBeGreaterThan(3000)
  expect(counts.refused).toBeGreaterThan(3000)
}, 3_600_000)
