import { expect, test } from 'vitest'
import { input } from '../../src/graph/leaf.ts'
import { add, erf, gather, grad, mul, pow, sum, tanh } from '../../src/ops/index.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'

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
