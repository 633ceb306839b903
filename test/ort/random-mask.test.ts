import { beforeAll, describe, expect, it } from 'vitest'
import { constant } from '../../src/graph/leaf.ts'
import { randomMask, seedValues } from '../../src/ops/random.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'

const ROWS = 400
const COLUMNS = 96

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

const maskOf = (rate: number, step: number, site: number) =>
  randomMask([4, ROWS / 4, COLUMNS], 'float32', rate, constant(seedValues(5, step), 'float32', [3]), site)

async function draw(rate: number, step = 1, site = 0, runtime = cpu): Promise<Float32Array> {
  return (await evaluate(runtime, { mask: maskOf(rate, step, site) }, {})).mask!.data as Float32Array
}

const kept = (mask: Float32Array): Float32Array => mask.map(x => (x > 0 ? 1 : 0))
const mean = (a: ArrayLike<number>): number => Array.from(a).reduce((x, y) => x + y, 0) / a.length

/** Correlation of two equally long lists of 0 and 1. */
function correlation(a: Float32Array, b: Float32Array): number {
  const [ma, mb] = [mean(a), mean(b)]
  const covariance = mean(a.map((x, i) => (x - ma) * (b[i]! - mb)))
  return covariance / Math.sqrt(ma * (1 - ma) * mb * (1 - mb))
}

describe('a random mask', () => {
  it.each([0.1, 0.3, 0.5, 0.9])('keeps a share 1 − %d and preserves the mean', async rate => {
    const means = []
    for (let step = 0; step < 8; step++) {
      const mask = await draw(rate, step)
      means.push(mean(kept(mask)))
      const [first] = mask.filter(x => x > 0)
      expect(first! * (1 - rate)).toBeCloseTo(1, 2)
    }
    // 8 × 38,400 draws: five standard deviations.
    const deviation = Math.sqrt((rate * (1 - rate)) / (8 * ROWS * COLUMNS))
    expect(Math.abs(mean(means) - (1 - rate))).toBeLessThan(5 * deviation + 2e-4)
  })

  it('is as uneven over rows and columns as independent draws are', async () => {
    const mask = kept(await draw(0.5))
    const variance = (sums: number[], n: number) => mean(sums.map(s => (s - n / 2) ** 2)) / (n / 4)
    const rows = Array.from(
      { length: ROWS },
      (_, r) => mean(mask.subarray(r * COLUMNS, (r + 1) * COLUMNS)) * COLUMNS,
    )
    const columns = Array.from({ length: COLUMNS }, (_, c) =>
      mask.reduce((n, x, i) => n + (i % COLUMNS === c ? x : 0), 0),
    )
    for (const ratio of [variance(rows, COLUMNS), variance(columns, ROWS)]) {
      expect(ratio).toBeGreaterThan(0.6)
      expect(ratio).toBeLessThan(1.5)
    }
  })

  it('is not correlated with its neighbours, other rows, other steps or other sites', async () => {
    const mask = kept(await draw(0.5))
    const size = mask.length
    const shifts = [1, 2, COLUMNS, 2 * COLUMNS, COLUMNS + 1, 100 * COLUMNS]
    const others = [await draw(0.5, 2), await draw(0.5, 3), await draw(0.5, 1, 1), await draw(0.5, 2, 1)].map(
      kept,
    )
    const found = [
      ...shifts.map(n => correlation(mask.subarray(0, size - n), mask.subarray(n))),
      ...others.map(other => correlation(mask, other)),
    ]
    for (const r of found) expect(Math.abs(r)).toBeLessThan(5 / Math.sqrt(size - 100 * COLUMNS))
  })

  it('has no two rows that are alike', async () => {
    const mask = kept(await draw(0.5))
    const rows = new Set(
      Array.from({ length: ROWS }, (_, r) => mask.subarray(r * COLUMNS, (r + 1) * COLUMNS).join('')),
    )
    expect(rows.size).toBe(ROWS)
  })

  it('is the same on the web runtime, bit for bit', async () => {
    const wasm = await nodeRuntime('wasm')
    expect(await draw(0.3, 7, 2, wasm)).toEqual(await draw(0.3, 7, 2))
  })
})
