import { beforeAll, describe, expect, test } from 'vitest'
import { isFloat } from '../../src/graph/dtype.ts'
import type { AnyTensor, Tensor } from '../../src/graph/tensor.ts'
import { add, grad, mul, sub, sum } from '../../src/ops/index.ts'
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
