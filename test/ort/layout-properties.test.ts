import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { input } from '../../src/graph/leaf.ts'
import { hash, type Rng, rng } from '../../src/graph/random.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import * as ops from '../../src/ops/index.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

const sizeOf = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1)
const indices = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/** An array with its dims: the reference, which knows nothing of onnxgrad's shape rules. */
interface Plain {
  readonly dims: readonly number[]
  readonly data: readonly number[]
}

/** Position along each axis of the element at `flat`. */
const placeOf = (flat: number, dims: readonly number[]): number[] =>
  dims.map((d, i) => Math.floor(flat / sizeOf(dims.slice(i + 1))) % d)

const flatOf = (place: readonly number[], dims: readonly number[]): number =>
  place.reduce((flat, p, i) => flat * dims[i]! + p, 0)

/** An array whose element at each place is read from another one. */
const read = (from: Plain, dims: readonly number[], where: (place: number[]) => number[]): Plain => ({
  dims,
  data: indices(sizeOf(dims)).map(i => from.data[flatOf(where(placeOf(i, dims)), from.dims)]!),
})

/** Shapes that broadcast against each other: some dims are 1 in some of them, leading ones may be missing. */
const broadcastable = (count: number) =>
  fc
    .record({
      dims: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }),
      ones: fc.array(fc.nat(15), { minLength: count, maxLength: count }),
      cuts: fc.array(fc.nat(4), { minLength: count, maxLength: count }),
    })
    .map(({ dims, ones, cuts }) =>
      ones.map((bits, k) =>
        dims.map((d, i) => ((bits >> i) & 1 ? 1 : d)).slice(cuts[k]! % (dims.length + 1)),
      ),
    )

test('broadcasting is numpy’s: shapes and values of random pairs', async () => {
  const each = fc.array(broadcastable(3), { minLength: 20, maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(each, async list => {
      const feeds: Record<string, number[]> = {}
      const outputs: Record<string, AnyTensor> = {}
      const leaf = (name: string, dims: readonly number[]): AnyTensor => {
        feeds[name] = indices(sizeOf(dims)).map(i => (hash(name, i) % 19) - 9)
        return input(name, 'float32', dims)
      }
      list.forEach((dims, k) => {
        const [a, b, c] = dims.map((d, i) => leaf(`${k}${'abc'[i]}`, d)) as [AnyTensor, AnyTensor, AnyTensor]
        outputs[`${k}`] = ops.where(ops.greater(a, 0), ops.sub(a, b), ops.mul(b, c))
      })
      const got = await evaluate(cpu, outputs, feeds)
      list.forEach((dims, k) => {
        const rank = Math.max(...dims.map(d => d.length))
        const padded = dims.map(d => [...Array<number>(rank - d.length).fill(1), ...d])
        const out = indices(rank).map(i => Math.max(...padded.map(d => d[i]!)))
        const [a, b, c] = padded.map((d, i) =>
          read({ dims: d, data: feeds[`${k}${'abc'[i]}`]! }, out, place =>
            place.map((p, axis) => (d[axis] === 1 ? 0 : p)),
          ),
        ) as [Plain, Plain, Plain]
        const want = a.data.map((v, i) => (v > 0 ? v - b.data[i]! : b.data[i]! * c.data[i]!))
        expect(outputs[`${k}`]!.shape).toEqual(out)
        expect(got[`${k}`]!.dims).toEqual(out)
        const values = Array.from(got[`${k}`]!.data, Number)
        // Adding 0 makes no difference between 0 and -0.
        expect(values.map(v => v + 0)).toEqual(want.map(v => v + 0))
      })
    }),
    { numRuns: 5 },
  )
})

/** A step of a chain of views, in onnxgrad and in the reference. */
type View = (x: AnyTensor, plain: Plain, r: Rng) => [AnyTensor, Plain]

const shuffled = (n: number, r: Rng): number[] => {
  const keys = indices(n).map(() => r.uniform())
  return indices(n).sort((a, b) => keys[a]! - keys[b]!)
}

const VIEWS: readonly View[] = [
  // Any factorization of the size, one dim left to inference.
  (x, { dims, data }, r) => {
    const target: number[] = []
    let rest = sizeOf(dims)
    for (const p of [2, 3, 5])
      while (rest % p === 0 && rest > 0) {
        rest /= p
        if (target.length && r.uniform() < 0.5) target[r.int(target.length)]! *= p
        else target.push(p)
      }
    // Other primes, where a slice has left such a size.
    if (rest > 1 || !target.length) target.push(rest)
    const hole = target.with(r.int(target.length), -1)
    return [ops.reshape(x, hole), { dims: target, data }]
  },
  (x, plain, r) => {
    const perm = shuffled(plain.dims.length, r)
    const dims = perm.map(p => plain.dims[p]!)
    return [
      ops.transpose(x, perm),
      read(plain, dims, place => plain.dims.map((_, axis) => place[perm.indexOf(axis)]!)),
    ]
  },
  (x, plain, r) => {
    if (!plain.dims.length) return [x, plain]
    const axis = r.int(plain.dims.length)
    const n = plain.dims[axis]!
    const step = [1, 2, 3, -1, -2, -3][r.int(6)]!
    // Kept in bounds, so that the reference needs no clamping: the first element, then every step-th while there are any.
    const start = step > 0 ? r.int(Math.min(n, 2)) : n - 1 - r.int(Math.min(n, 2))
    const length = Math.floor((step > 0 ? n - 1 - start : start) / Math.abs(step)) + 1
    const given = r.uniform() < 0.5 ? start : start - n
    const y = ops.slice(x, axis, given, step > 0 ? Number.MAX_SAFE_INTEGER : Number.MIN_SAFE_INTEGER, step)
    const dims = plain.dims.with(axis, length)
    return [y, read(plain, dims, place => place.with(axis, start + place[axis]! * step))]
  },
  (x, plain, r) => {
    const axis = r.int(plain.dims.length + 1)
    return [ops.unsqueeze(x, axis), { dims: plain.dims.toSpliced(axis, 0, 1), data: plain.data }]
  },
  (x, plain) => {
    const dims = plain.dims.map(d => (d === 1 ? 2 : d))
    const y = ops.expand(x, dims)
    return [y, read(plain, dims, place => place.map((p, i) => (plain.dims[i] === 1 ? 0 : p)))]
  },
]

test('chains of views keep every element where numpy keeps it', async () => {
  const chain = fc.record({
    dims: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 3 }),
    steps: fc.array(fc.nat(2 ** 31), { minLength: 1, maxLength: 7 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(chain, { minLength: 12, maxLength: 12 }), async list => {
      const feeds: Record<string, number[]> = {}
      const outputs: Record<string, AnyTensor> = {}
      const wanted: Record<string, Plain> = {}
      list.forEach(({ dims, steps }, k) => {
        feeds[`x${k}`] = indices(sizeOf(dims))
        let x: AnyTensor = input(`x${k}`, 'float32', dims)
        let plain: Plain = { dims, data: feeds[`x${k}`]! }
        steps.forEach((seed, i) => {
          const next = VIEWS[seed % VIEWS.length]!(x, plain, rng(seed))
          // Repeated doubling would make the arrays large and test nothing more.
          if (sizeOf(next[1].dims) > 2000) return
          ;[x, plain] = next
          outputs[`${k}/${i}`] = x
          wanted[`${k}/${i}`] = plain
        })
      })
      const got = await evaluate(cpu, outputs, feeds)
      for (const [name, { dims, data }] of Object.entries(wanted)) {
        expect(outputs[name]!.shape, name).toEqual(dims)
        expect(got[name]!.dims, name).toEqual(dims)
        expect(Array.from(got[name]!.data, Number), name).toEqual(data)
      }
    }),
    { numRuns: 8 },
  )
})
