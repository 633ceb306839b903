import { beforeAll, describe, expect, test } from 'vitest'
import type { Tensors } from '../../src/graph/graph.ts'
import { input } from '../../src/graph/leaf.ts'
import type { Op } from '../../src/graph/node.ts'
import { allOps } from '../../src/graph/op.ts'
import { erf } from '../../src/ops/index.ts'
import { decompose } from '../../src/passes/decompose.ts'
import { withDType } from '../../src/passes/float64.ts'
import { type Evaluated, evaluate, graphOf } from '../../src/runtime/evaluate.ts'
import { nodeRuntime, wasmRuntime } from '../../src/runtime/node.ts'
import { allCases, type Case, type Feeds } from './samples.ts'

const feeds: Feeds = {}
const cases = allCases('float32', feeds)

/** All outputs of some cases as one graph, so that one session computes every op. */
const outputsOf = (some: readonly Case[]): Tensors =>
  Object.fromEntries(
    some.flatMap(c => c.apply(c.inputs).outputs.map((t, k) => [`${c.name}/y${k}`, t] as const)),
  )

const hasDecomposition = (type: string): boolean =>
  allOps().some(op => op.type === type && op.decompose !== undefined)

type Results = Record<string, Evaluated>
let cpu: Results
let others: Record<'float64' | 'opset 17' | 'elementary ops' | 'WASM', Results>

beforeAll(async () => {
  const node = await nodeRuntime('cpu')
  const all = outputsOf(cases)
  const old = outputsOf(cases.filter(c => (c.op.since ?? 0) <= 17))
  cpu = await evaluate(node, all, feeds)
  others = {
    float64: await evaluate(node, withDType(graphOf(all), 'float32', 'float64').outputs, feeds),
    'opset 17': await evaluate(node, old, feeds, {}, 17),
    'elementary ops': await evaluate(node, decompose(graphOf(all), hasDecomposition).outputs, feeds),
    WASM: await evaluate(await wasmRuntime(), all, feeds),
  }
})

const outputNames = (op: Op): string[] => Object.keys(outputsOf(cases.filter(c => c.op === op)))
const numbers = (e: Evaluated): number[] => Array.from(e.data, Number)

test.each(allOps())('$type has samples', op => {
  expect(op.samples.length).toBeGreaterThan(0)
})

describe.each(allOps())('$type', op => {
  test('has the dtypes and shapes that were inferred', () => {
    const inferred = outputsOf(cases.filter(c => c.op === op))
    for (const [name, t] of Object.entries(inferred))
      expect({ dtype: cpu[name]!.dtype, dims: cpu[name]!.dims }, name).toEqual({
        dtype: t.dtype,
        dims: t.shape,
      })
  })

  test.each(['float64', 'opset 17', 'elementary ops', 'WASM'] as const)(
    'gives the same values in %s',
    where => {
      for (const name of outputNames(op)) {
        const got = others[where][name]
        if (!got) {
          expect([where, (op.since ?? 0) > 17], `${name} was not computed`).toEqual(['opset 17', true])
          continue
        }
        expect(got.dims, name).toEqual(cpu[name]!.dims)
        const want = numbers(cpu[name]!)
        const scale = Math.max(1, ...want.map(Math.abs))
        const worst = Math.max(0, ...numbers(got).map((v, i) => Math.abs(v - want[i]!) / scale))
        expect(worst, name).toBeLessThan(2e-6)
      }
    },
  )
})

// Values of C's erf (glibc), among them the ends of the intervals that the approximation changes at.
const ERF = [
  [1e-300, 1.1283791670955126e-300],
  [1e-8, 1.1283791670955126e-8],
  [0.1, 0.1124629160182849],
  [0.4, 0.42839235504666845],
  [0.46874, 0.49260441524411136],
  [0.46876, 0.4926225311068465],
  [0.5, 0.5204998778130465],
  [0.9, 0.7969082124228322],
  [1.5, 0.9661051464753108],
  [2, 0.9953222650189527],
  [2.7, 0.9998656672600594],
  [3.4, 0.9999984780066371],
  [3.99, 0.9999999832607886],
  [4.01, 0.9999999858030606],
  [5, 0.9999999999984626],
  [5.8, 0.9999999999999998],
  [27, 1],
  [1e200, 1],
  [Number.POSITIVE_INFINITY, 1],
  [0, 0],
] as const

test('erf in double precision is exact to 1e-15 of its value on the whole line', async () => {
  const points = [...ERF, ...ERF.map(([x, y]) => [-x, -y] as const)]
  const x = input('x', 'float64', [points.length])
  const got = await evaluate(await nodeRuntime('cpu'), { y: erf(x) }, { x: points.map(([at]) => at) })
  for (const [i, [at, want]] of points.entries())
    expect(Math.abs(Number(got.y!.data[i]) - want), `erf(${at})`).toBeLessThanOrEqual(1e-15 * Math.abs(want))
  const nan = input('x', 'float64', [1])
  expect((await evaluate(await nodeRuntime('cpu'), { y: erf(nan) }, { x: [Number.NaN] })).y!.data).toEqual(
    Float64Array.of(Number.NaN),
  )
})
