import { sizesOf } from '../../graph/bind.ts'
import { constant } from '../../graph/leaf.ts'
import { match } from '../../graph/match.ts'
import { makeNode, type Node } from '../../graph/node.ts'
import { lookup, nth } from '../../graph/present.ts'
import type { AnyTensor, Tensor } from '../../graph/tensor.ts'
import { edited } from '../../nn/edit.ts'
import { type TrainedModel, weightsOf } from '../../nn/trained.ts'
import { Clip } from '../../ops/primitives.ts'
import { dequantize, quantize } from '../../ops/quantize.ts'
import { activationsOf, isRectifier } from './activations.ts'
import type { Extremes } from './histogram.ts'
import type { Product } from './products.ts'
import { activationScale, weightScales } from './scales.ts'

/** A tensor rounded to what integers stand for. */
const rounded = (x: AnyTensor, scale: AnyTensor, zero: AnyTensor, axis?: number): AnyTensor =>
  dequantize(quantize(x, scale, zero, axis), scale, zero, axis)

/** An activation rounded to 256 steps over a range. */
function roundedActivation(x: AnyTensor, range: Extremes): AnyTensor {
  const { scale, zero } = activationScale(range)
  return rounded(x, constant(scale, 'float32', []), constant(zero, 'uint8', []))
}

/** The scale of each place of a weight's axis and its zero points, as tensors. */
export function weightQuantization(
  weight: AnyTensor,
  values: Float32Array,
  axis: number,
  steps?: number,
): { readonly scale: AnyTensor; readonly zero: AnyTensor } {
  const scales = weightScales(values, sizesOf(weight.shape), axis, steps)
  return {
    scale: constant(scales, 'float32', [scales.length]),
    zero: constant(new Array<number>(scales.length).fill(0), 'int8', [scales.length]),
  }
}

/** A weight rounded to 255 steps around zero, each place of an axis with a scale of its own. */
export function roundedWeight(
  weight: AnyTensor,
  values: Float32Array,
  axis: number,
  steps?: number,
): AnyTensor {
  const { scale, zero } = weightQuantization(weight, values, axis, steps)
  return rounded(weight, scale, zero, axis)
}

/** The weights of some layers, each rounded. */
export const roundedWeights = (
  trained: TrainedModel,
  products: readonly Product[],
  steps?: number,
): ReadonlyMap<Tensor, Tensor> => {
  const values = weightsOf(trained)
  return new Map(
    products.map(({ name, weight, axis }) => [
      weight,
      roundedWeight(weight, lookup(values, name), axis, steps),
    ]),
  )
}

/** The activations whose range must be known to quantize some layers. */
export function observedBy(trained: TrainedModel, products: readonly Product[]): ReadonlySet<Tensor> {
  const { everywhere, edges } = activationsOf(trained.model, products)
  return new Set([...everywhere.keys(), ...everywhere.values(), ...edges])
}

/**
 * A model that rounds weights and activations to 8-bit integers and back where it multiplies (QuantizeLinear, DequantizeLinear): it
 * computes what an int8 file computes, and can be trained further, since rounding lets gradients pass.
 * @param ranges of {@link observedBy}'s tensors @param steps the largest integer of a weight
 */
export function withRounding(
  trained: TrainedModel,
  products: readonly Product[],
  ranges: ReadonlyMap<Tensor, Extremes>,
  steps?: number,
): TrainedModel {
  const { everywhere, edges } = activationsOf(trained.model, products)
  const own = new Set(products.map(({ node }) => node))
  const range = (t: Tensor): Extremes => lookup(ranges, everywhere.get(t) ?? t)
  const computed = (node: Node, inputs: readonly Tensor[]): readonly Tensor[] => {
    const [x, ...rest] = inputs
    const [from] = node.inputs
    if (x && from && own.has(node) && edges.has(from))
      return makeNode(node.op, [roundedActivation(x, range(from)), ...rest], node.attrs).outputs
    const y = nth(node.outputs, 0)
    // Integers of a range that begins at zero are rectified; runtimes then find the kernel with quantized results.
    if (x && isRectifier(node) && everywhere.has(y) && isCut(node, range(y))) return [x]
    return inputs.length ? makeNode(node.op, inputs, node.attrs).outputs : node.outputs
  }
  const model = edited(trained.model, {
    config: {},
    replaced: roundedWeights(trained, products, steps),
    rule(node, inputs) {
      const outputs = computed(node, inputs)
      if (!node.outputs.some(t => everywhere.has(t))) return outputs
      return outputs.map((t, i) => {
        const before = nth(node.outputs, i)
        return everywhere.has(before) ? roundedActivation(t, range(before)) : t
      })
    },
  })
  return { ...trained, model }
}

/** Whether a range ends where a rectifier does. */
function isCut(node: Node, { low, high }: Extremes): boolean {
  return low >= 0 && high <= (match(node, Clip)?.attrs.max ?? Number.POSITIVE_INFINITY)
}
