import { beforeAll, describe, expect, it } from 'vitest'
import { constant, input } from '../../src/graph/leaf.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import {
  dropout,
  dropPath,
  globalAvgPool2d,
  globalMaxPool2d,
  grad,
  mul,
  oneHot,
  sum,
  topK,
} from '../../src/ops/index.ts'
import { inferenceForm } from '../../src/ops/mode.ts'
import { seedValues } from '../../src/ops/random.ts'
import { trainingForm } from '../../src/passes/training.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

type Feeds = Record<string, number[]>

async function valuesOf(outputs: Record<string, AnyTensor>, feeds: Feeds, runtime = cpu) {
  const got = await evaluate(runtime, outputs, feeds)
  return Object.fromEntries(Object.entries(got).map(([name, t]) => [name, Array.from(t.data, Number)]))
}

describe('one-hot', () => {
  it('has a 1 at each index, and no 1 for an index that is no class', async () => {
    const labels = input('labels', 'int64', [2, 2])
    const got = await evaluate(cpu, { y: oneHot(labels, 3) }, { labels: [2, 0, -1, 3] })
    expect(got.y!.dims).toEqual([2, 2, 3])
    expect(Array.from(got.y!.data, Number)).toEqual([0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
  })

  it('takes only indices', () => {
    expect(() => oneHot(input('x', 'float32', [2]) as AnyTensor, 3)).toThrow(
      'oneHot: indices must be int32 or int64, not float32',
    )
  })
})

describe('top-k', () => {
  const x = input('x', 'float64', [2, 4])
  const feeds = { x: [3, 9, 9, 1, -2, -5, -1, -2] }

  it('gives the largest elements first, and the lower index first at a tie', async () => {
    const [values, indices] = topK(x, 3)
    const got = await valuesOf({ values, indices }, feeds)
    expect(got).toEqual({ values: [9, 9, 3, -1, -2, -2], indices: [1, 2, 0, 2, 0, 3] })
  })

  it('gives each gradient to the element that was taken', async () => {
    const [values] = topK(x, 2, 1)
    const [dx] = grad(sum(mul(values, constant([1, 2, 3, 4], 'float64', [2, 2]))), [x])
    expect(await valuesOf({ dx: dx! }, feeds)).toEqual({ dx: [0, 1, 2, 0, 4, 0, 3, 0] })
  })

  it('refuses more elements than there are', () => {
    expect(() => topK(x, 5)).toThrow('topK: cannot take the top 5 of dim 4 of [2,4]')
  })
})

it('global pooling reduces each channel to its mean and its maximum', async () => {
  const x = input('x', 'float64', [1, 2, 2, 2])
  const y = { mean: globalAvgPool2d(x), max: globalMaxPool2d(x) }
  expect(await valuesOf(y, { x: [1, 2, 3, 6, -4, -3, -2, -1] })).toEqual({ mean: [3, -2.5], max: [6, -1] })
  // @ts-expect-error the compiler says it too
  expect(() => globalAvgPool2d(input('x', 'float32', [2, 3]))).toThrow('takes [n, channels, height, width]')
})

describe('stochastic depth', () => {
  const [samples, size, rate] = [64, 6, 0.25]
  const x = input('x', 'float32', [samples, 2, size / 2])
  const ones: Feeds = { x: Array.from({ length: samples * size }, () => 1) }
  const graph = { inputs: { x }, parameters: {}, outputs: { y: dropPath(x, rate) } }

  const draw = async (seed: number, step: number, runtime = cpu): Promise<number[]> => {
    const seeded = trainingForm(graph, constant(seedValues(seed, step), 'float32', [3]))
    return (await valuesOf({ y: seeded.outputs.y! }, ones, runtime)).y!
  }

  it('drops whole samples at its rate and scales the others by 1 / (1 − rate)', async () => {
    let kept = 0
    for (let step = 0; step < 20; step++) {
      const y = await draw(5, step)
      for (let i = 0; i < samples; i++) {
        const [first, ...rest] = y.slice(i * size, (i + 1) * size)
        expect(rest.every(v => v === first)).toBe(true)
        if (first) expect(first).toBeCloseTo(1 / (1 - rate), 3)
        kept += Number(first !== 0)
      }
    }
    // 1280 draws: five standard deviations.
    expect(Math.abs(kept / (20 * samples) - (1 - rate))).toBeLessThan(
      5 * Math.sqrt((rate * (1 - rate)) / 1280),
    )
  })

  it('is drawn from the seed and the step, equally on every device', async () => {
    const first = await draw(5, 1)
    expect(await draw(5, 1, await nodeRuntime('wasm'))).toEqual(first)
    expect(await draw(5, 2)).not.toEqual(first)
    expect(await draw(6, 1)).not.toEqual(first)
  })

  it('is the identity in evaluation', () => {
    expect(inferenceForm(graph).outputs.y).toBe(x)
  })

  it.each([-0.1, 1, Number.NaN])('refuses a rate of %d, as dropout does', wrong => {
    expect(() => dropPath(x, wrong)).toThrow('dropPath: the rate must be at least 0 and below 1')
    expect(() => dropout(x, wrong)).toThrow('dropout: the rate must be at least 0 and below 1')
  })
})
