import { sizeOfDims } from '../../src/graph/array.ts'
import { bind, solve } from '../../src/graph/bind.ts'
import { messageOf } from '../../src/graph/errors.ts'
import { substitute } from '../../src/graph/graph.ts'
import { constant, input } from '../../src/graph/leaf.ts'
import { lookup, nth } from '../../src/graph/present.ts'
import type { Dim } from '../../src/graph/shape.ts'
import type { AnyTensor, Tensor } from '../../src/graph/tensor.ts'
import type { Imported } from '../../src/import/import.ts'
import { add, mul } from '../../src/ops/elementwise.ts'
import { grad } from '../../src/ops/grad.ts'
import { sum } from '../../src/ops/reduce.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import type { Values } from './reference.ts'

/** Σ cos(i) yᵢ, of all outputs of floats. */
function loss(outputs: readonly AnyTensor[]): AnyTensor {
  return outputs
    .filter(y => y.dtype === 'float32')
    .map((y): AnyTensor => {
      const size = sizeOfDims(y.shape)
      const weights = constant(
        Float32Array.from({ length: size }, (_, i) => Math.cos(i)),
        'float32',
        y.shape,
      )
      return sum(mul(y, weights))
    })
    .reduce((a, b) => add(a, b))
}

/** Share of the largest gradient of all that counts as zero. */
const LEAST = 1e-3

/** Gradients of a file's weights against those of another framework. */
export async function compareWeightGradients(
  runtime: Runtime,
  { graph, weights }: Imported,
  inputs: Values,
  want: Values,
): Promise<{ readonly weights: number; readonly worst: number; readonly fault?: string }> {
  try {
    const sizes: Record<string, Dim> = {}
    for (const [name, t] of Object.entries(graph.inputs))
      solve(name, t.shape, lookup(inputs, name).dims, sizes)
    const bound = bind(graph, sizes)
    const names = Object.keys(want).filter(name => graph.parameters[name])
    // Parameters as inputs, so that a graph of named outputs can be evaluated.
    const leaves = new Map<Tensor, AnyTensor>()
    const feeds: Record<string, ArrayLike<number>> = {}
    for (const [name, t] of Object.entries(graph.parameters)) {
      const { data } = lookup(weights, name)
      const key = `weight ${name}`
      leaves.set(t, input(key, t.dtype, t.shape))
      feeds[key] = data as ArrayLike<number>
    }
    for (const [name, { data }] of Object.entries(inputs)) feeds[name] = data as ArrayLike<number>
    const outputs = Object.values(substitute(bound, leaves))
    const found = grad(
      loss(outputs),
      names.map(name => lookup(leaves, lookup(graph.parameters, name)) as AnyTensor),
    )
    const got = await evaluate(
      runtime,
      Object.fromEntries(names.map((name, i) => [name, nth(found, i)])),
      feeds,
    )
    const most = (values: readonly number[]): number => values.reduce((a, b) => (a > b ? a : Math.abs(b)), 0)
    const wanted = names.map(name => Array.from(lookup(want, name).data, Number))
    // A gradient that is zero but for rounding is compared with the others'.
    const least = Math.max(...wanted.map(most)) * LEAST
    let worst = 0
    let worstName = ''
    for (const [i, name] of names.entries()) {
      const values = nth(wanted, i)
      const data: ArrayLike<number | bigint> = lookup(got, name).data
      const off = most(values.map((v, k) => Number(data[k]) - v)) / Math.max(most(values), least)
      if (!(off <= worst)) [worst, worstName] = [off, name]
    }
    return { weights: names.length, worst, ...(worst <= 1e-4 ? {} : { fault: `gradient of ${worstName}` }) }
  } catch (error) {
    return {
      weights: 0,
      worst: Number.NaN,
      fault: (process.env.ONNXGRAD_DEBUG && error instanceof Error
        ? String(error.stack)
        : messageOf(error)
      ).slice(0, 2000),
    }
  }
}
