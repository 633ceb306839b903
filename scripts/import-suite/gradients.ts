import { sizeOfDims } from '../../src/graph/array.ts'
import { bind, solve } from '../../src/graph/bind.ts'
import { isFloat } from '../../src/graph/dtype.ts'
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
import { withDType } from '../../src/passes/float64.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import type { Values } from './reference.ts'

/** Σ cos(i) yᵢ, of all outputs of floats. */
function loss(outputs: readonly AnyTensor[]): AnyTensor {
  return outputs
    .filter(y => isFloat(y.dtype))
    .map((y): AnyTensor => {
      const size = sizeOfDims(y.shape)
      const cosines = Float64Array.from({ length: size }, (_, i) => Math.fround(Math.cos(i)))
      const weights = constant(cosines, y.dtype, y.shape)
      return sum(mul(y, weights))
    })
    .reduce((a, b) => add(a, b))
}

/** Share of the largest gradient of all that counts as zero. */
const LEAST = 1e-2

/** Gradients of a file's weights against those of another framework. */
export interface GradientCheck {
  readonly weights: number
  /** Largest difference, relative to the largest element of the gradient. */
  readonly worst: number
  /** The same in double precision, where the first is too large: what is small here is rounding there. */
  readonly inDouble?: number
  readonly fault?: string
}

const TOLERANCE = 1e-4

const most = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, Math.abs(b)), 0)

/** Compares, in float32 and, where that is not enough, in float64. */
export async function compareWeightGradients(
  runtime: Runtime,
  imported: Imported,
  inputs: Values,
  want: Values,
): Promise<GradientCheck> {
  const names = Object.keys(want).filter(name => imported.graph.parameters[name])
  try {
    const { worst, name } = await difference(runtime, imported, inputs, want, names, 'float32')
    if (worst <= TOLERANCE) return { weights: names.length, worst }
    const double = await difference(runtime, imported, inputs, want, names, 'float64').catch(() => undefined)
    const fault = double && double.worst <= TOLERANCE ? {} : { fault: `gradient of ${name}` }
    return { weights: names.length, worst, ...(double ? { inDouble: double.worst } : {}), ...fault }
  } catch (error) {
    return { weights: 0, worst: Number.NaN, fault: messageOf(error) }
  }
}

/** The largest difference of all gradients, and whose it is. */
async function difference(
  runtime: Runtime,
  { graph, weights }: Imported,
  inputs: Values,
  want: Values,
  names: readonly string[],
  precision: 'float32' | 'float64',
): Promise<{ readonly worst: number; readonly name: string }> {
  const sizes: Record<string, Dim> = {}
  for (const [name, t] of Object.entries(graph.inputs)) solve(name, t.shape, lookup(inputs, name).dims, sizes)
  const bound = withDType(bind(graph, sizes), 'float32', precision)
  // Parameters as inputs, so that a graph of named outputs can be evaluated.
  const leaves = new Map<Tensor, AnyTensor>()
  const feeds: Record<string, ArrayLike<number>> = {}
  for (const [name, t] of Object.entries(bound.parameters)) {
    const key = `weight ${name}`
    leaves.set(t, input(key, t.dtype, t.shape))
    feeds[key] = lookup(weights, name).data as ArrayLike<number>
  }
  for (const [name, { data }] of Object.entries(inputs)) feeds[name] = data as ArrayLike<number>
  const found = grad(
    loss(Object.values(substitute(bound, leaves))),
    names.map(name => lookup(leaves, lookup(bound.parameters, name)) as AnyTensor),
  )
  const outputs = Object.fromEntries(names.map((name, i) => [name, nth(found, i)]))
  const got = await evaluate(runtime, outputs, feeds)
  const wanted = names.map(name => Array.from(lookup(want, name).data, Number))
  // A gradient that is zero but for rounding is compared with the others'.
  const least = most(wanted.map(most)) * LEAST
  const apart = names.map((name, i) => {
    const values = nth(wanted, i)
    const data: ArrayLike<number | bigint> = lookup(got, name).data
    return { name, worst: most(values.map((v, k) => Number(data[k]) - v)) / Math.max(most(values), least) }
  })
  return apart.reduce((a, b) => (b.worst <= a.worst ? a : b), { name: '', worst: 0 })
}
