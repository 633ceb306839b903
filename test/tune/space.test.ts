import { describe, expect, it } from 'vitest'
import { draws, readSpace } from '../../src/runs/search/space.ts'
import type { Values } from '../../src/settings/setting.ts'

const drawn = (declared: object, count: number, seed = 0): Values[] =>
  draws(readSpace(declared, 'space.json'), seed, count)

/** The largest distance between the distribution of values in [0, 1] and the uniform one (Kolmogorov–Smirnov). */
function distance(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return Math.max(...sorted.map((v, i) => Math.max(v - i / sorted.length, (i + 1) / sorted.length - v)))
}

const N = 4000

describe('draws', () => {
  it('are spread evenly over a range, or over its logarithm', () => {
    // 1.63/√n: one in a hundred seeds would exceed it by chance.
    const least = 1.63 / Math.sqrt(N)
    const points = drawn({ lr: { log: [1e-5, 1e-1] }, dropout: { uniform: [-1, 3] } }, N)
    expect(distance(points.map(p => (Math.log10(Number(p.lr)) + 5) / 4))).toBeLessThan(least)
    expect(distance(points.map(p => (Number(p.dropout) + 1) / 4))).toBeLessThan(least)
  })

  it('take each whole number of a range, and each value of a list, equally often', () => {
    // With a continuous setting beside them, so that no two points are alike.
    const points = drawn(
      { depth: { int: [2, 6] }, kind: ['a', 'b', 'c', 'd', 'e'], x: { uniform: [0, 1] } },
      N,
    )
    for (const name of ['depth', 'kind']) {
      const counts = new Map<unknown, number>()
      for (const p of points) counts.set(p[name], (counts.get(p[name]) ?? 0) + 1)
      expect([...counts.keys()].sort()).toEqual(
        name === 'depth' ? [2, 3, 4, 5, 6] : ['a', 'b', 'c', 'd', 'e'],
      )
      const chi = [...counts.values()].reduce((sum, c) => sum + (c - N / 5) ** 2 / (N / 5), 0)
      // The 99 % quantile of χ² with 4 degrees of freedom.
      expect(chi).toBeLessThan(13.28)
    }
  })

  it('do not go together from one setting to another', () => {
    const points = drawn({ a: { uniform: [0, 1] }, b: { uniform: [0, 1] } }, N)
    const mean = (of: (p: Values) => number) => points.reduce((sum, p) => sum + of(p), 0) / N
    const [a, b] = [(p: Values) => Number(p.a) - 0.5, (p: Values) => Number(p.b) - 0.5]
    const correlation = mean(p => a(p) * b(p)) / Math.sqrt(mean(p => a(p) ** 2) * mean(p => b(p) ** 2))
    expect(Math.abs(correlation)).toBeLessThan(2.6 / Math.sqrt(N))
  })

  it('stay within their range, its ends too, with few digits', () => {
    for (const p of drawn({ lr: { log: [0.123456, 0.123499] } }, 30)) {
      expect(p.lr).toBeGreaterThanOrEqual(0.123456)
      expect(p.lr).toBeLessThanOrEqual(0.123499)
    }
    for (const p of drawn({ lr: { log: [1e-4, 1e-2] } }, 100))
      expect(String(p.lr).replace(/^0\.0*/, '').length).toBeLessThanOrEqual(4)
  })

  it('depend on seed and number only: not on how many there are, nor on the order of the settings', () => {
    const [a, b] = [{ lr: { log: [1e-4, 1e-2] } }, { dim: [64, 96], depth: { int: [1, 9] } }]
    const long = drawn({ ...a, ...b }, 40, 7)
    expect(drawn({ ...a, ...b }, 10, 7)).toEqual(long.slice(0, 10))
    expect(drawn({ ...b, ...a }, 40, 7)).toEqual(long)
    expect(drawn(a, 40, 7)).toEqual(long.map(({ lr }) => ({ lr })))
    expect(drawn({ ...a, ...b }, 10, 8)).not.toEqual(long.slice(0, 10))
  })

  it('are all different, until the space has no more', () => {
    const points = drawn({ dim: [64, 96], flip: [true, false], depth: { int: [1, 3] } }, 100)
    expect(points).toHaveLength(12)
    expect(new Set(points.map(p => JSON.stringify(p))).size).toBe(12)
  })
})

describe('a space that is none is refused with what is wrong:', () => {
  const cases: Readonly<Record<string, unknown>> = {
    'a list': [1],
    'nothing in it': {},
    'a bare number': { lr: 0.1 },
    'an unknown form': { lr: { normal: [0, 1] } },
    'two forms': { lr: { log: [1, 2], uniform: [1, 2] } },
    'ends the wrong way round': { lr: { uniform: [0.1, 0] } },
    'equal ends': { lr: { int: [2, 2] } },
    'a logarithm of zero': { lr: { log: [0, 1] } },
    'one end': { lr: { uniform: [1] } },
    'ends that are no numbers': { lr: { uniform: ['0', '1'] } },
    'a range of fractions for whole numbers': { depth: { int: [1, 2.5] } },
    'an empty list': { lr: [] },
    'a value that no setting has': { lr: [1, null] },
    'a list within a list of texts': { head: [['a']] },
  }
  for (const [name, declared] of Object.entries(cases))
    it(name, () => {
      expect(() => readSpace(declared, 'space.json')).toThrowErrorMatchingSnapshot()
    })
})
