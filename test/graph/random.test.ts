import { describe, expect, test } from 'vitest'
import { hash, rng } from '../../src/graph/random.ts'

const draw = (n: number, next: () => number): number[] => Array.from({ length: n }, next)
const mean = (values: number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length

/** The published sfc32 step on BigInts, where no 32-bit overflow trick is needed. */
function sfc32(state: readonly [bigint, bigint, bigint], count: number): number[] {
  const mask = 0xffffffffn
  let [a, b, c] = state
  let counter = 1n
  return draw(count, () => {
    const out = (a + b + counter++) & mask
    a = b ^ (b >> 9n)
    b = (c + (c << 3n)) & mask
    c = ((((c << 21n) | (c >> 11n)) & mask) + out) & mask
    return Number(out)
  })
}

describe('random streams', () => {
  test('the integers are those of sfc32, after its twelve warm-up rounds', () => {
    const seed = 'patch_embed.proj.weight'
    const state = [BigInt(hash(0, seed)), BigInt(hash(1, seed)), BigInt(hash(2, seed))] as const
    expect(draw(100, () => rng(seed).int(2 ** 32))[0]).toBe(sfc32(state, 13)[12])
    const stream = rng(seed)
    expect(draw(500, () => stream.int(2 ** 32))).toEqual(sfc32(state, 512).slice(12))
  })

  test('a seed gives the same stream each time and another seed a different one', () => {
    const first = (seed: number | string) => draw(8, rng(seed).uniform)
    expect(first(7)).toEqual(first(7))
    expect(first(7)).not.toEqual(first(8))
    expect(first(7)).not.toEqual(first('7'))
  })

  test('streams stay the same from release to release', () => {
    expect(hash('onnxgrad', 0)).toBe(3574581561)
    expect(draw(3, rng(0).uniform)).toEqual([0.9467564665246755, 0.37568020867183805, 0.04430468170903623])
    expect(Float32Array.from(draw(3, rng(0).normal))).toEqual(
      Float32Array.of(0.52873706, -0.1471327, -1.0203036),
    )
  })

  test('neighbouring seeds do not give neighbouring numbers', () => {
    const xs = Array.from({ length: 4000 }, (_, seed) => rng(seed).uniform())
    const products = xs.slice(1).map((x, i) => (x - 0.5) * (xs[i]! - 0.5))
    expect(Math.abs(mean(products)) * 12).toBeLessThan(0.06)
    expect(mean(xs)).toBeCloseTo(0.5, 1)
  })

  test('uniform fills 16 bins of [0, 1) evenly (chi-squared, 15 degrees of freedom)', () => {
    const bins = new Array<number>(16).fill(0)
    for (const x of draw(64_000, rng(3).uniform)) bins[Math.floor(x * 16)]! += 1
    const chi2 = bins.reduce((sum, n) => sum + (n - 4000) ** 2 / 4000, 0)
    expect(chi2).toBeLessThan(37.7) // the 0.1 % point
  })

  test('normal has the moments and the tails of N(0, 1)', () => {
    const xs = draw(100_000, rng(5).normal)
    expect(mean(xs)).toBeCloseTo(0, 1.7)
    expect(mean(xs.map(x => x * x))).toBeCloseTo(1, 1.5)
    expect(mean(xs.map(x => x ** 3))).toBeCloseTo(0, 1)
    expect(mean(xs.map(x => x ** 4))).toBeCloseTo(3, 0.7)
    expect(mean(xs.map(x => (Math.abs(x) > 1.959964 ? 1 : 0)))).toBeCloseTo(0.05, 2)
    // The two halves of a polar pair must be independent of each other.
    expect(mean(xs.slice(1).map((x, i) => x * xs[i]!))).toBeCloseTo(0, 1.7)
  })

  test('int reaches every value below n equally often, also where n does not divide 2³²', () => {
    const stream = rng(1)
    const n = 3 * 2 ** 30 // plain modulo would give the lowest third twice as often
    const low = draw(30_000, () => stream.int(n)).filter(v => v < 2 ** 30).length
    expect(low / 30_000).toBeCloseTo(1 / 3, 1.7)
    expect(new Set(draw(200, () => stream.int(6)))).toEqual(new Set([0, 1, 2, 3, 4, 5]))
    expect(() => stream.int(0)).toThrow('rng: int(0) takes a whole number from 1 to 2³²')
  })
})

describe('hash', () => {
  test('parts cannot run into each other', () => {
    const keys = [
      hash(1, 23),
      hash(12, 3),
      hash(123),
      hash('1', 23),
      hash('1,23'),
      hash('a', 'b'),
      hash('ab'),
    ]
    expect(new Set(keys).size).toBe(keys.length)
  })

  test('one changed character flips about half of the 32 bits', () => {
    const flips = Array.from({ length: 2000 }, (_, i) => {
      const changed = (hash('blocks', i) ^ hash('blocks', i + 1)) >>> 0
      return changed.toString(2).replaceAll('0', '').length
    })
    expect(mean(flips)).toBeGreaterThan(15.5)
    expect(mean(flips)).toBeLessThan(16.5)
  })
})
