import { constant } from '../../graph/leaf.ts'
import { match } from '../../graph/match.ts'
import type { Node } from '../../graph/node.ts'
import { lookup } from '../../graph/present.ts'
import type { AnyTensor, Tensor } from '../../graph/tensor.ts'
import { edited } from '../../nn/edit.ts'
import { type TrainedModel, weightsOf } from '../../nn/trained.ts'
import { add, cast, mul } from '../../ops/elementwise.ts'
import { Gemm } from '../../ops/gemm.ts'
import { MatMulInteger } from '../../ops/integer.ts'
import { transpose } from '../../ops/layout.ts'
import { MatMul } from '../../ops/primitives.ts'
import { DynamicQuantizeLinear, quantize } from '../../ops/quantize.ts'
import { type Product, productsOf } from './products.ts'
import { roundedWeights, weightQuantization } from './static.ts'

/** A matrix product whose weight the node reads as it is stored. */
const readsStored = ({ node, weight }: Product): boolean =>
  (match(node, MatMul) !== undefined || match(node, Gemm)?.attrs.alpha === 1) && node.inputs[1] === weight

/**
 * A model whose linear layers multiply integers: int8 weights, and uint8 activations with a scale that is computed at each run, so that
 * no calibration data is needed. Convolutions, for whose dynamic form runtimes have no good kernel, and weights that several nodes read
 * are stored as int8 and multiplied as float32.
 */
export function withDynamicProducts(
  trained: TrainedModel,
  chosen: readonly Product[],
  steps?: number,
): TrainedModel {
  const readers = new Map<Tensor, number>()
  for (const { weight } of productsOf(trained.model)) readers.set(weight, (readers.get(weight) ?? 0) + 1)
  const integer = new Map<Node, Product>(
    chosen.filter(p => readsStored(p) && readers.get(p.weight) === 1).map(p => [p.node, p]),
  )
  const values = weightsOf(trained)
  const others = chosen.filter(({ node }) => !integer.has(node))
  const model = edited(trained.model, {
    config: {},
    replaced: roundedWeights(trained, others, steps),
    rule(node, inputs) {
      const product = integer.get(node)
      const [x, w, bias] = inputs
      if (!product || !x || !w) return undefined
      const y = dynamicProduct(x, w, lookup(values, product.name), product.axis, steps)
      return [bias ? add(y, bias) : y]
    },
  })
  return { ...trained, model }
}

/** x times a weight of int8, which is quantized along its outputs. */
function dynamicProduct(
  x: AnyTensor,
  w: AnyTensor,
  values: Float32Array,
  axis: number,
  steps?: number,
): AnyTensor {
  const own = weightQuantization(w, values, axis, steps)
  const integers = quantize(w, own.scale, own.zero, axis)
  const [q, ofX, zero] = DynamicQuantizeLinear.applyAll([x])
  const turned = axis === 0 ? transpose(integers, [1, 0]) : integers
  const y = MatMulInteger.apply([q, turned, zero, constant(0, 'int8', [])])
  return mul(cast(y, x.dtype), mul(ofX, own.scale))
}
