import { expect, test } from 'vitest'
import { ROUNDS } from './fuzz.ts'
import { fates } from './run-models.ts'

test(
  'thousands of changed .onnx files end in an answer or one line',
  async () => {
    const rounds = 3000 * ROUNDS
    const { counts, crashes } = await fates('onnx runs, long', rounds)
    expect(crashes).toEqual([])
    expect(counts.ran).toBeGreaterThan(0.15 * rounds)
    expect(counts.refused).toBeGreaterThan(0.15 * rounds)
  },
  600_000 * ROUNDS,
)
