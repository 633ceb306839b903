import { describe, expect, test } from 'vitest'
import type { Tensors } from '../../src/graph/graph.ts'
import { input } from '../../src/graph/leaf.ts'
import { allOps } from '../../src/graph/op.ts'
import { erf } from '../../src/ops/index.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import { nodeRuntime, wasmRuntime } from '../../src/runtime/node.ts'
import { checkOp } from '../../src/testing/check-op.ts'
import { allCases, type Feeds } from './samples.ts'

test.each(allOps())('$type keeps its contract', async op => {
  const checked = await checkOp(op, { runtime: await nodeRuntime('cpu') })
  expect(checked).toContain('types')
  expect(checked.includes('gradient')).toBe(!('none' in op.vjp))
  expect(checked.includes('decompose')).toBe(op.decompose !== undefined)
})

describe('WASM', () => {
  const feeds: Feeds = {}
  const outputs: Tensors = Object.fromEntries(
    allCases('float32', feeds).flatMap(c =>
      c.apply(c.inputs).outputs.map((t, k) => [`${c.name}/y${k}`, t] as const),
    ),
  )

  test('gives the values of the CPU for every op', async () => {
    const cpu = await evaluate(await nodeRuntime('cpu'), outputs, feeds)
    const wasm = await evaluate(await wasmRuntime(), outputs, feeds)
    for (const [name, { dims, data }] of Object.entries(cpu)) {
      expect(wasm[name]?.dims, name).toEqual(dims)
      const want = Array.from(data, Number)
      const scale = Math.max(1, ...want.map(Math.abs))
      const apart = Array.from(wasm[name]?.data ?? [], Number).map(
        (v, i) => Math.abs(v - (want[i] ?? 0)) / scale,
      )
      expect(Math.max(0, ...apart), name).toBeLessThan(2e-6)
    }
  })
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
