import { beforeAll, describe, expect, test } from 'vitest'
import type { Tensors } from '../../src/graph/graph.ts'
import { allOps, type Op } from '../../src/graph/node.ts'
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

type Results = Record<string, Evaluated>
let cpu: Results
let others: Record<'float64' | 'opset 17' | 'WASM', Results>

beforeAll(async () => {
  const node = await nodeRuntime('cpu')
  const all = outputsOf(cases)
  const old = outputsOf(cases.filter(c => (c.op.since ?? 0) <= 17))
  cpu = await evaluate(node, all, feeds)
  others = {
    float64: await evaluate(node, withDType(graphOf(all), 'float32', 'float64').outputs, feeds),
    'opset 17': await evaluate(node, old, feeds, {}, 17),
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

  test.each(['float64', 'opset 17', 'WASM'] as const)('gives the same values in %s', where => {
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
  })
})
