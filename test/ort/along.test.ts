import { beforeAll, describe, expect, test } from 'vitest'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { slice } from '../../src/ops/layout.ts'
import { type Evaluated, evaluate } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { allCases, type Feeds } from './samples.ts'

const feeds: Feeds = {}
const outputs: Record<string, AnyTensor> = {}
const checks: string[] = []

// A slice of each output, and the op on slices of the inputs that it says run along.
for (const c of allCases('float32', feeds)) {
  const whole = c.apply(c.inputs)
  whole.outputs[0]!.shape.forEach((size, axis) => {
    const along = c.op.along?.(axis, c.inputs, whole.attrs)
    if (!along || (size as number) < 2) return
    const part = c.apply(
      c.inputs.map((t: AnyTensor, i) =>
        typeof along[i] === 'number' ? slice(t, along[i], 1, size as number) : t,
      ),
    )
    whole.outputs.forEach((y: AnyTensor, k) => {
      const name = `${c.name}/${axis}/${k}`
      outputs[`${name}/of the whole`] = slice(y, axis, 1, size as number)
      outputs[`${name}/of the part`] = part.outputs[k]!
      checks.push(name)
    })
  })
}

describe('an op works element by element along the axes of which it says so', () => {
  let got: Record<string, Evaluated>
  beforeAll(async () => {
    got = await evaluate(await nodeRuntime('cpu'), outputs, feeds)
  })

  test.each(checks)('%s', name => {
    const [whole, part] = [got[`${name}/of the whole`]!, got[`${name}/of the part`]!]
    expect(part.dims).toEqual(whole.dims)
    const want = Array.from(whole.data, Number)
    Array.from(part.data, Number).forEach((v, i) => {
      expect(Math.abs(v - want[i]!)).toBeLessThan(1e-6 * (1 + Math.abs(want[i]!)))
    })
  })
})
