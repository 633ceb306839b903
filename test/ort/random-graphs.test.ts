import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { isFloat } from '../../src/graph/dtype.ts'
import { ShapeError } from '../../src/graph/errors.ts'
import type { Graph, Tensors } from '../../src/graph/graph.ts'
import { constant, input } from '../../src/graph/leaf.ts'
import { print } from '../../src/graph/print.ts'
import { hash, type Rng, rng } from '../../src/graph/random.ts'
import { type Dim, UNKNOWN } from '../../src/graph/shape.ts'
import type { AnyTensor, Tensor } from '../../src/graph/tensor.ts'
import * as ops from '../../src/ops/index.ts'
import { withDType } from '../../src/passes/float64.ts'
import { optimizeFor } from '../../src/passes/index.ts'
import { DEVICES } from '../../src/runtime/device.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

/** The size that a run gives the symbol of the random graphs. */
const BATCH = 3

/** What an inferred dim is in a run; undefined where inference does not know. */
const dimOf = (d: Dim): number | undefined =>
  d === UNKNOWN
    ? undefined
    : String(d)
        .split('+')
        .map(term =>
          term.split('*').reduce((n, factor) => n * (factor === 'batch' ? BATCH : Number(factor)), 1),
        )
        .reduce((a, b) => a + b)

/** One op on a random tensor `x` of the graph; `y` is another one. A ShapeError means that it does not fit. */
type Move = (x: AnyTensor, y: AnyTensor, r: Rng) => AnyTensor | readonly AnyTensor[]

const axisOf = (x: AnyTensor, r: Rng): number => r.int(Math.max(1, x.shape.length))
const axesOf = (x: AnyTensor, r: Rng): number[] =>
  [...x.shape.keys()].filter(() => r.uniform() < 0.5) as number[]
const last = (x: AnyTensor): number => {
  const d = x.shape.at(-1)
  if (typeof d !== 'number' || d < 1) throw new ShapeError('needs a last dim')
  return d
}
const weight = (name: string, ...shape: number[]): AnyTensor => {
  const r = rng(hash('weight', name, ...shape))
  const values = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => r.normal())
  return constant(values, 'float32', shape)
}
/** Values that no later op can overflow. */
const tame = (x: AnyTensor): AnyTensor => ops.softsign(x)

const MOVES: Readonly<Record<string, Move>> = {
  unary: (x, _, r) =>
    [ops.tanh, ops.sigmoid, ops.relu, ops.neg, ops.abs, ops.softplus, ops.silu, ops.sin, ops.erf][r.int(9)]!(
      x,
    ),
  activation: (x, _, r) => [ops.gelu, ops.elu, ops.leakyRelu, ops.hardswish, ops.softsign][r.int(5)]!(x),
  clip: x => ops.clip(x, -0.5, 0.5),
  binary: (x, y, r) => [ops.add, ops.sub, ops.mul, ops.maximum, ops.minimum][r.int(5)]!(x, y),
  quotient: (x, y) => ops.div(x, ops.add(ops.mul(y, y), 1)),
  twice: (x, _, r) => ops.add(x, ops.mul(ops.mean(x, axisOf(x, r), true), 2)),
  where: (x, y) => ops.where(ops.less(x, y), x, y),
  reduce: (x, _, r) =>
    [ops.sum, ops.mean, ops.max, ops.min, ops.variance, ops.logsumexp][r.int(6)]!(
      tame(x),
      axesOf(x, r),
      r.uniform() < 0.5,
    ),
  softmax: (x, _, r) => [ops.softmax, ops.logSoftmax][r.int(2)]!(x, axisOf(x, r)),
  transpose: (x, _, r) => {
    const keys = x.shape.map(() => r.uniform())
    return ops.transpose(
      x,
      [...keys.keys()].sort((a, b) => keys[a]! - keys[b]!),
    )
  },
  flatten: x => ops.reshape(x, [-1, last(x)]),
  heads: x => ops.reshape(x, [...x.shape.slice(0, -1), 2, last(x) / 2]),
  unsqueeze: (x, _, r) => ops.unsqueeze(x, r.int(x.shape.length + 1)),
  expand: (x, y) => ops.expand(x, y.shape),
  slice: (x, _, r) => ops.slice(x, axisOf(x, r), r.int(3) - 1, r.int(9) - 1, [1, 2, 1, 3][r.int(4)]!),
  back: (x, _, r) => ops.slice(x, axisOf(x, r), -1 - r.int(2), Number.MIN_SAFE_INTEGER, -1 - r.int(2)),
  select: (x, _, r) => ops.select(x, axisOf(x, r), -r.int(2)),
  concat: (x, y, r) => ops.concat([x, y, x], axisOf(x, r)),
  split: (x, _, r) => ops.split(x, axisOf(x, r), 2),
  pad: (x, _, r) =>
    ops.pad(
      x,
      x.shape.map(() => r.int(2)),
      x.shape.map(() => r.int(2)),
      0.5,
    ),
  matmul: (x, y) => ops.matmul(tame(x), ops.transposeLast(y)),
  linear: (x, _, r) => ops.linear(tame(x), weight('w', 1 + r.int(4), last(x))),
  linearWithBias: (x, _, r) => {
    const out = 1 + r.int(4)
    return ops.linear(tame(x), weight('w', out, last(x)), weight('b', out))
  },
  layerNorm: x => ops.layerNorm(x, weight('scale', last(x)), weight('shift', last(x))),
  rmsNorm: x => ops.rmsNorm(x, weight('scale', last(x))),
  attention: (x, y) => ops.attention(x, y, ops.tanh(y)),
  causal: x => ops.attention(x, x, x, { causal: true }),
  cumsum: (x, _, r) => ops.cumsum(tame(x), axisOf(x, r)),
  tril: (x, _, r) => ops.tril(x, r.int(3) - 1),
  gather: (x, _, r) => ops.gather(x, constant([0, 0, -r.int(2)], 'int64', [3]), axisOf(x, r)),
  topK: (x, _, r) => ops.topK(x, 1 + r.int(2), axisOf(x, r))[0],
  oneHot: (x, _, r) => ops.oneHot(ops.argmax(x, axisOf(x, r)), 3),
}
const NAMES = Object.keys(MOVES)

/** A graph that starts from two inputs of unlike shape and outputs every tensor that the moves made. */
function build(name: string, moves: readonly number[], batch: Dim): Graph {
  const x: AnyTensor = input(`${name}/x`, 'float32', [batch, 3, 4])
  const w: AnyTensor = input(`${name}/w`, 'float32', [3, 4])
  const made: AnyTensor[] = [x, w]
  for (const seed of moves) {
    const r = rng(seed)
    // Mostly what was made last, so that graphs grow long.
    const pick = (): AnyTensor => made[Math.max(r.int(made.length), r.int(made.length))]!
    const one = pick()
    // Sizes that only a run knows may turn out not to fit each other.
    const two = pick()
    const other = [one, two].some(t => t.shape.includes(UNKNOWN)) ? one : two
    try {
      const found = [MOVES[NAMES[seed % NAMES.length]!]!(one, other, r)].flat() as AnyTensor[]
      const sizes = found.map(t => t.shape.reduce((n: number, d: Dim) => n * (dimOf(d) ?? 99), 1) as number)
      if (sizes.every(n => n > 0 && n < 500)) made.push(...found)
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error
    }
  }
  const inputs = Object.fromEntries([x, w].map(t => [t.node.attrs.name as string, t]))
  return { inputs, parameters: {}, outputs: named(`${name}/t`, made) }
}

const named = (prefix: string, tensors: readonly Tensor[]): Tensors =>
  Object.fromEntries(tensors.map((t, i) => [`${prefix}${i}`, t]))

/** A graph of known sizes with the gradients of a sum of everything that was made. */
function buildWithGradients(name: string, moves: readonly number[]): Graph {
  const graph = build(name, moves, BATCH)
  const total = Object.values(graph.outputs)
    .filter(t => isFloat(t.dtype))
    .map(t => ops.sum(tame(t as AnyTensor)))
    .reduce((a, b) => ops.add(a, b))
  const gradients = ops.grad(total, Object.values(graph.inputs) as AnyTensor[])
  return { ...graph, outputs: { ...graph.outputs, ...named(`${name}/d`, gradients) } }
}

const run = (graphs: readonly Graph[]) => {
  const inputs = graphs.flatMap(g => Object.entries(g.inputs))
  const dims = inputs.map(([name, t]) => [name, t.shape.map(d => dimOf(d)!)] as const)
  const feeds = dims.map(([name, shape]) => {
    const r = rng(hash('feed', name))
    return [name, Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => r.normal())] as const
  })
  const outputs = Object.assign({}, ...graphs.map(g => g.outputs)) as Tensors
  return evaluate(cpu, outputs, Object.fromEntries(feeds), Object.fromEntries(dims))
}

const recipes = (graphs: number) =>
  fc.array(fc.array(fc.nat(2 ** 31), { minLength: 6, maxLength: 16 }), {
    minLength: graphs,
    maxLength: graphs,
  })

test.each([
  ['random graphs of open batch size', (name: string, moves: number[]) => build(name, moves, 'batch')],
  ['random graphs and their gradients', buildWithGradients],
])('what is inferred of %s is what the runtime computes', async (_, make) => {
  let count = 0
  await fc.assert(
    fc.asyncProperty(recipes(8), async list => {
      const graphs = list.map((moves, i) => make(`${i}`, moves))
      const got = await run(graphs)
      for (const graph of graphs)
        for (const [name, t] of Object.entries(graph.outputs)) {
          const { dtype, dims } = got[name]!
          const inferred = t.shape.map((d, i) => dimOf(d) ?? dims[i])
          expect({ dtype, dims }, `${name} of\n${print(graph)}`).toEqual({ dtype: t.dtype, dims: inferred })
          count++
        }
    }),
    { numRuns: 5, endOnFailure: true },
  )
  // Enough of the moves fit.
  expect(count).toBeGreaterThan(5 * 8 * 5)
})

test.each(Object.values(DEVICES))(
  'the passes for $name keep the values of random graphs',
  async ({ target }) => {
    await fc.assert(
      fc.asyncProperty(recipes(6), async list => {
        const pairs = list.map((moves, i) => {
          const before = buildWithGradients(`${i}`, moves)
          const after = optimizeFor(before, { target, dtype: 'float32', training: true })
          const renamed = Object.entries(after.outputs).map(([name, t]) => [`after ${name}`, t] as const)
          const outputs = { ...before.outputs, ...Object.fromEntries(renamed) }
          return { before, both: withDType({ ...before, outputs }, 'float32', 'float64') }
        })
        const got = await run(pairs.map(p => p.both))
        for (const { before } of pairs)
          for (const name of Object.keys(before.outputs)) {
            const [want, value] = [got[name]!, got[`after ${name}`]!].map(e => Array.from(e.data, Number))
            const scale = Math.max(1, ...want!.map(Math.abs))
            const worst = Math.max(0, ...want!.map((v, i) => Math.abs(v - value![i]!) / scale))
            expect(value!.length, name).toBe(want!.length)
            expect(worst, `${name} of\n${print(before)}`).toBeLessThan(1e-9)
          }
      }),
      { numRuns: 3, endOnFailure: true },
    )
  },
)
