import { beforeAll, describe, expect, test } from 'vitest'
import { isFloat } from '../../src/graph/dtype.ts'
import { input } from '../../src/graph/leaf.ts'
import type { AnyTensor, Tensor } from '../../src/graph/tensor.ts'
import { add, erf, gather, grad, mul, pow, sub, sum, tanh } from '../../src/ops/index.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { allCases, type Feeds, normalLike } from './samples.ts'

/** Half the width of the central difference, in double precision: truncation and rounding both stay below 1e-9. */
const H = 1e-5

const feeds: Feeds = {}
const outputs: Record<string, AnyTensor> = {}
const checks: string[] = []

// For each input x of each sample a random direction d: ⟨∂f/∂x, d⟩ against (f(x + h d) − f(x − h d)) / 2h, where
// f is Σ gy · y over the outputs that have a gradient, with random gy.
for (const c of allCases('float64', feeds)) {
  const ys = c.apply(c.inputs).outputs
  if ('none' in c.op.vjp || !ys.some(y => isFloat(y.dtype))) continue
  const gys = ys.map((y, k) => normalLike(y, `${c.name}/gy${k}`, feeds))
  const f = (xs: readonly Tensor[]): AnyTensor =>
    c
      .apply(xs)
      .outputs.flatMap((y, k) => (isFloat(y.dtype) ? [sum(mul(y, gys[k]!))] : []))
      .reduce((a, b) => add(a, b))
  c.inputs.forEach((x, i) => {
    if (!isFloat(x.dtype)) return
    const name = `${c.name}/x${i}`
    const d = normalLike(x, `${name}/d`, feeds)
    const step = mul(d, H)
    const [dx] = grad(f(c.inputs), [x])
    outputs[`${name}/rule`] = sum(mul(dx!, d))
    const difference = sub(f(c.inputs.with(i, add(x, step))), f(c.inputs.with(i, sub(x, step))))
    outputs[`${name}/difference`] = mul(difference, 0.5 / H)
    checks.push(name)
  })
}

describe('gradient rules agree with central differences along a random direction', () => {
  let got: Awaited<ReturnType<typeof evaluate>>
  beforeAll(async () => {
    got = await evaluate(await nodeRuntime('cpu'), outputs, feeds)
  })

  test.each(checks)('%s', name => {
    const rule = Number(got[`${name}/rule`]!.data[0])
    const difference = Number(got[`${name}/difference`]!.data[0])
    expect(Number.isFinite(difference)).toBe(true)
    expect(Math.abs(rule - difference)).toBeLessThan(1e-7 * (1 + Math.abs(difference)))
  })
})

test('the gradient of a gather adds up every repeated index, however many threads run it', async () => {
  const count = 200_000
  const table = input('table', 'float32', [10, 16])
  const index = input('index', 'int64', [count])
  const [dTable] = grad(sum(gather(table, index)), [table])
  const runtime = await nodeRuntime('cpu')
  const values = { table: new Float32Array(160), index: Array.from({ length: count }, (_, i) => i % 10) }
  for (let run = 0; run < 3; run++) {
    const { dy } = await evaluate(runtime, { dy: dTable! }, values)
    expect(new Set(dy!.data as Float32Array)).toEqual(new Set([count / 10]))
  }
})

test('gradients of gradients agree with second derivatives by hand', async () => {
  // f = x³ y + erf(z) tanh(y), by hand: f_xx = 6 x y, f_yy = −2 erf(z) t (1 − t²) with t = tanh(y), f_xy = 3 x²
  const [x, y, z] = ['x', 'y', 'z'].map(name => input(name, 'float64', []))
  const f = add(mul(pow(x!, 3), y!), mul(erf(z!), tanh(y!)))
  const [fx, fy] = grad(f, [x!, y!])
  const [fxx, fxy] = grad(fx!, [x!, y!])
  const [fyy] = grad(fy!, [y!])
  const at = { x: [0.7], y: [-1.2], z: [0.4] }
  const got = await evaluate(await nodeRuntime('cpu'), { fxx: fxx!, fxy: fxy!, fyy: fyy! }, at)
  const t = Math.tanh(-1.2)
  expect(got.fxx!.data[0]).toBeCloseTo(6 * 0.7 * -1.2, 12)
  expect(got.fxy!.data[0]).toBeCloseTo(3 * 0.7 ** 2, 12)
  // erf(0.4), Abramowitz & Stegun table 7.1
  expect(got.fyy!.data[0]).toBeCloseTo(-2 * 0.4283923550466685 * t * (1 - t * t), 12)
})
