import { UserError } from './errors.ts'

/**
 * Seeded random numbers. A stream is named, not positioned: `rng(hash(seed, 'blocks.0.mlp.fc1.weight'))` gives a parameter the same
 * numbers at any position in a model and for any order in which models are built.
 */
export interface Rng {
  /** A double in [0, 1), uniform, in steps of 2⁻³². */
  uniform(): number
  /** A double from the standard normal distribution N(0, 1). */
  normal(): number
  /** An integer in 0 … n − 1, each equally likely. @throws UserError unless n is an integer in 1 … 2³² */
  int(n: number): number
}

/**
 * 32 bits (0 … 2³² − 1) that depend on every part, its type and its place: `hash(1, 23)`, `hash(12, 3)` and
 * `hash('1', 23)` differ. FNV-1a over the UTF-16 units of the parts' JSON, finished with MurmurHash3's mixer.
 */
export function hash(...parts: (string | number)[]): number {
  const text = JSON.stringify(parts)
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/**
 * The stream of a seed: sfc32 (C. Doty-Humphrey, PractRand), seeded with three hashes of the seed. `uniform` and `int`
 * are integer arithmetic and so the same on every machine; `normal` also needs `Math.log` and `Math.sqrt`.
 */
export function rng(seed: number | string): Rng {
  let a = hash(0, seed)
  let b = hash(1, seed)
  let c = hash(2, seed)
  let counter = 1
  let spare: number | undefined

  const next = (): number => {
    const sum = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
  // Similar seeds have drifted apart after a dozen rounds, as the generator's author advises.
  for (let i = 0; i < 12; i++) next()

  return {
    uniform: () => next() / 2 ** 32,

    // Marsaglia's polar method: a uniform point of the unit disc gives two independent normals.
    normal() {
      if (spare !== undefined) {
        const value = spare
        spare = undefined
        return value
      }
      let x: number
      let y: number
      let r: number
      do {
        x = next() / 2 ** 31 - 1
        y = next() / 2 ** 31 - 1
        r = x * x + y * y
      } while (r >= 1 || r === 0)
      const scale = Math.sqrt((-2 * Math.log(r)) / r)
      spare = y * scale
      return x * scale
    },

    int(n) {
      if (!Number.isInteger(n) || n < 1 || n > 2 ** 32)
        throw new UserError(`rng: int(${n}) takes a whole number from 1 to 2³²`)
      // The draws past the last whole multiple of n would favour the small values.
      const limit = 2 ** 32 - (2 ** 32 % n)
      let draw: number
      do draw = next()
      while (draw >= limit)
      return draw % n
    },
  }
}
