import { fromHalf, HALF_MAX, toHalf } from '../graph/half.ts'
import { constant, isParameter } from '../graph/leaf.ts'
import type { Node } from '../graph/node.ts'
import { lookup } from '../graph/present.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { modelOf } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import { abs, equal, where } from '../ops/elementwise.ts'
import { max } from '../ops/reduce.ts'
import type { Runtime } from '../runtime/session.ts'
import { answers, type Calibration } from './calibration.ts'

/** Why a tensor does not become one of half precision, and its largest absolute value. */
export interface Unfit {
  readonly reason: 'overflow' | 'underflow'
  readonly largest: number
}

/** Error of weights, relative to their root mean square, that is harmful: 16 times that of weights in half precision's own range. */
const MOST_ERROR = 2 ** -8

/** Largest finite absolute value; NaN and infinities are the same in both precisions. */
const largestOf = (values: Float32Array): number =>
  values.reduce((most, v) => (Math.abs(v) > most && Number.isFinite(v) ? Math.abs(v) : most), 0)

/**
 * Whether weights lose more in half precision than its rounding.
 * @param scales whether they multiply: what is added, such as a bias, may vanish beside what it is added to
 */
export function unfitWeights(values: Float32Array, scales: boolean): Unfit | undefined {
  const largest = largestOf(values)
  if (largest > HALF_MAX) return { reason: 'overflow', largest }
  if (!scales) return undefined
  let [error, size] = [0, 0]
  for (let i = 0; i < values.length; i++) {
    const v = Number(values[i])
    if (!Number.isFinite(v)) continue
    error += (fromHalf(toHalf(v)) - v) ** 2
    size += v * v
  }
  return Math.sqrt(error) > MOST_ERROR * Math.sqrt(size) ? { reason: 'underflow', largest } : undefined
}

/** Inputs of a node that multiply. */
export const scalesBy = (node: Node, index: number): boolean =>
  !['Add', 'Sub', 'Where'].includes(node.op.type) && !(index === 2 && node.inputs.length === 3)

/** Largest absolute values of tensors that depend on the inputs, over all examples; infinities are left out. */
export async function largestValues(
  runtime: Runtime,
  { model, params }: TrainedModel,
  tensors: readonly Tensor[],
  calibration: Calibration,
): Promise<ReadonlyMap<Tensor, number>> {
  const named = new Map(tensors.map((t, i) => [`range.${i}`, t]))
  const outputs = Object.fromEntries([...named].map(([name, t]) => [name, largestIn(t)]))
  const { name, inputs, layers, parameters, graph } = model
  const ranges = modelOf({
    ...{ name, config: {}, inputs, layers, parameters, leaves: graph.inputs, outputs },
  })
  const found = new Map(tensors.map(t => [t, 0]))
  for await (const got of answers(runtime, { model: ranges, params }, calibration))
    for (const [key, t] of named) found.set(t, Math.max(lookup(found, t), Number(lookup(got, key).data[0])))
  return found
}

/** The largest finite |x|. */
function largestIn(t: AnyTensor): AnyTensor {
  const size = abs(t)
  return max(where(equal(size, Number.POSITIVE_INFINITY), constant(0, t.dtype, []), size))
}

/** Parameters that a node reads, by the place of the input. */
export const parametersRead = (node: Node): [Tensor, number][] =>
  node.inputs.flatMap((t, i): [Tensor, number][] => (isParameter(t) && t.dtype === 'float32' ? [[t, i]] : []))
