import type { DType } from '../graph/dtype.ts'
import { ShapeError } from '../graph/errors.ts'
import { constant } from '../graph/leaf.ts'
import { hash } from '../graph/random.ts'
import { product, type Shape, show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { add, cast, floor, greater, mul, sub } from './elementwise.ts'
import { reshape, select } from './layout.ts'

// Random bits from float32 arithmetic alone, which every device has and does exactly: all intermediate values are
// whole numbers below 2²⁴. Three primes below 2¹¹, so that products of residues stay below 2²².
const PRIMES = [2039, 2029, 2027] as const
const LAST = 4093

/** Numbers that a step's seed holds; each a whole number in [0, 2027). */
export const SEED_SIZE = 3

/** The `seed` input of a step, from the run's seed and the step number. */
export const seedValues = (seed: number, step: number): Float32Array =>
  Float32Array.from({ length: SEED_SIZE }, (_, i) => hash(seed, 'step', step, i) % PRIMES[2])

/** x mod p for whole x in [0, 2²⁴); a multiple of p may give p, on every device alike. */
const mod = (x: AnyTensor, p: number): AnyTensor => sub(x, mul(floor(mul(x, 1 / p)), p))

/** A pseudo-random residue for each of 0 … n − 1, different for each stream and seed: [n]. */
function residues(n: number, stream: number, seed: AnyTensor): AnyTensor {
  const [p, q, r] = PRIMES
  const spread = (prime: number, salt: number) => {
    const factor = 1 + (hash(stream, salt) % (prime - 1))
    const shift = hash(stream, salt, 'shift') % prime
    // Squared once here, where arithmetic is exact, so that neighbours are not equally far apart.
    const values = Array.from({ length: n }, (_, i) => (((i % prime) * factor + shift) % prime) ** 2 % prime)
    return constant(values, 'float32', [n])
  }
  const a = mod(add(spread(p, 0), select(seed, 0, 0)), p)
  const b = mod(add(spread(q, 1), select(seed, 0, 1)), q)
  return mod(add(mul(a, b), select(seed, 0, 2)), r)
}

/**
 * A tensor that holds 0 with probability `rate` and else 1 / (1 − rate), a pure function of seed and site: equal on
 * every device. Each element hashes its row and column, u = x² · (y² + z) mod 4093 with x, y, z from both.
 * @param shape sizes must be known @param seed float32 [3], see {@link seedValues} @param site tells masks of one step apart
 */
export function randomMask(
  shape: Shape,
  dtype: DType,
  rate: number,
  seed: AnyTensor,
  site: number,
): AnyTensor {
  const columns = shape.at(-1) ?? 1
  const rows = product(shape.slice(0, -1))
  if (typeof rows === 'string' || typeof columns === 'string' || rows < 0 || columns < 0)
    throw new ShapeError(
      `dropout: the sizes of ${show(shape)} must be known when a training step is compiled`,
    )
  // In the mask's own shape from the start, so that a pass can cut or turn it like any other tensor.
  const sum = (k: number): AnyTensor =>
    add(
      reshape(residues(rows, hash(site, 'row', k), seed), [...shape.slice(0, -1), 1]),
      residues(columns, hash(site, 'column', k), seed),
    )
  const [x, y, z] = [sum(0), sum(1), sum(2)] as const
  const u = mod(mul(mod(mul(x, x), PRIMES[0]), add(mod(mul(y, y), PRIMES[1]), mod(z, PRIMES[2]))), LAST)
  const dropped = Math.round(rate * LAST)
  const keep = cast(greater(u, dropped - 0.5), 'float32')
  return reshape(cast(mul(keep, LAST / (LAST - dropped)), dtype), shape)
}
