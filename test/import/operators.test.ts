import { readdirSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import { OPSETS } from '../../src/export/opsets.ts'
import { readOnnx } from '../../src/export/read.ts'
import { toTyped } from '../../src/export/tensor-data.ts'
import { isFloat } from '../../src/graph/dtype.ts'
import { type Graph, substitute } from '../../src/graph/graph.ts'
import { input } from '../../src/graph/leaf.ts'
import { lookup } from '../../src/graph/present.ts'
import type { Tensor } from '../../src/graph/tensor.ts'
import { importOnnx } from '../../src/import/import.ts'
import { OPERATORS } from '../../src/import/operators/index.ts'
import { withDType } from '../../src/passes/float64.ts'
import { runnableOn } from '../../src/passes/runnable.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { OrtTensors, Runtime } from '../../src/runtime/session.ts'
import { values } from '../../src/testing/cases.ts'
import { compareGradients, type GradientCase } from '../../src/testing/gradients.ts'
import { drawnOf, fileOfSample, type NodeSample, type NodeSamples } from './sample.ts'

const SAMPLES: Record<string, readonly NodeSample[]> = {}
for (const file of readdirSync('test/import/samples')) {
  const { samples }: { samples: NodeSamples } = await import(`./samples/${file.replace('.ts', '')}.ts`)
  Object.assign(SAMPLES, samples)
}

let runtime: Runtime
beforeAll(async () => {
  runtime = await nodeRuntime('cpu')
})

const graphOf = (type: string, sample: NodeSample): Graph =>
  importOnnx(readOnnx(fileOfSample(type, sample), 'x.onnx'), 'x.onnx').graph

const feedsOf = (type: string, i: number, sample: NodeSample): OrtTensors =>
  Object.fromEntries(
    drawnOf(sample).map(([name, x]) => {
      const data = toTyped(
        values(x, `${type}/${i}/${name}`),
        x.dtype,
        x.shape.reduce((a, b) => a * b, 1),
      )
      return [name, runtime.tensor(x.dtype, data, x.shape)]
    }),
  )

async function run(bytes: Uint8Array, feeds: OrtTensors) {
  const session = await runtime.load(bytes, { optimize: 'disabled' })
  const got = await session.run(feeds)
  await session.close()
  return got
}

const difference = (a: number, b: number): number => (Object.is(a, b) || a === b ? 0 : Math.abs(a - b))

/** The case in a precision: the imported graph as a function of its inputs. */
function caseOf(
  type: string,
  i: number,
  sample: NodeSample,
  precision: 'float32' | 'float64',
  feeds: Record<string, number[]>,
): GradientCase {
  const graph = withDType(graphOf(type, sample), 'float32', precision)
  const names = Object.keys(graph.inputs)
  const inputs = drawnOf(sample)
    .filter(([name]) => names.includes(name))
    .map(([name, x]) => {
      const key = `${type}/${i}/${name}`
      feeds[key] = values(x, key)
      return [name, input(key, x.dtype === 'float32' ? precision : x.dtype, x.shape)] as const
    })
  return {
    name: `${type}/${i}`,
    inputs: inputs.map(([, t]) => t),
    apply: (xs: readonly Tensor[]) => ({
      outputs: Object.values(
        substitute(graph, new Map(inputs.map(([name], k) => [lookup(graph.inputs, name), xs[k] as Tensor]))),
      ),
    }),
  }
}

test('every operator that is read with others has samples', () => {
  const names = Object.entries(OPERATORS).flatMap(([domain, operators]) =>
    Object.keys(operators).map(name => (domain ? `${domain}.${name}` : name)),
  )
  expect(names.filter(name => !SAMPLES[name]?.length)).toEqual([])
})

describe.each(Object.entries(SAMPLES))('%s', (type, samples) => {
  test('computes what the runtime computes for the node', async () => {
    for (const [i, sample] of samples.entries()) {
      const feeds = feedsOf(type, i, sample)
      const want = await run(fileOfSample(type, sample), feeds)
      const graph = runnableOn(graphOf(type, sample), runtime.device)
      const got = await run(lower(graph, { name: 'again', opset: OPSETS.max - 2 }), feeds)
      for (const [name, w] of Object.entries(want)) {
        const g = lookup(got, name)
        expect([g.type, g.dims], `${type}/${i}/${name}`).toEqual([w.type, w.dims])
        const numbers = Array.from(w.data as ArrayLike<number>, Number)
        const scale = Math.max(1, ...numbers.filter(Number.isFinite).map(Math.abs))
        const apart = Array.from(
          g.data as ArrayLike<number>,
          (v, k) => difference(Number(v), numbers[k] ?? Number.NaN) / scale,
        )
        expect(Math.max(0, ...apart), `${type}/${i}/${name}`).toBeLessThanOrEqual(
          sample.options.tolerance ?? 2e-6,
        )
      }
    }
  })

  const smooth = [...samples.entries()].filter(
    ([, s]) => s.options.gradient !== false && drawnOf(s).some(([, x]) => isFloat(x.dtype)),
  )
  test.runIf(smooth.length)('has the gradient that differences give', async () => {
    const found = await compareGradients(
      {
        cases: (precision, feeds) => smooth.map(([i, s]) => caseOf(type, i, s, precision, feeds)),
        opset: OPSETS.max - 2,
      },
      runtime,
    )
    expect(found).toEqual([])
  })
})
