import { sizesOf } from '../../graph/bind.ts'
import { postorder, usersOf } from '../../graph/graph.ts'
import { Constant, constant, constantOf, isParameter } from '../../graph/leaf.ts'
import { match } from '../../graph/match.ts'
import { makeNode, type Node } from '../../graph/node.ts'
import { lookup, nth } from '../../graph/present.ts'
import type { AnyTensor, Tensor } from '../../graph/tensor.ts'
import { edited } from '../../nn/edit.ts'
import { namesOf } from '../../nn/model.ts'
import { type TrainedModel, weightsOf } from '../../nn/trained.ts'
import { cast, clip, div } from '../../ops/elementwise.ts'
import { Gemm } from '../../ops/gemm.ts'
import { Conv, DequantizeLinear, QuantizeLinear } from '../../ops/primitives.ts'
import { dequantize } from '../../ops/quantize.ts'
import rounding from '../../ops/rounding.ts'
import { productsOf, rootsOf } from './products.ts'
import { roundedWeight } from './static.ts'

const { Round } = rounding

/** The largest whole number that float32 and int32 both hold. */
const MOST = 2 ** 31 - 128

/** Weights of more elements are stored as integers though nothing multiplies with integers: tables and positions. */
const TABLE = 1024

/** The scale of what a node dequantizes, where it is constant. */
function scaleOf(t: Tensor): readonly number[] | undefined {
  const scale = match(t.node, DequantizeLinear)?.inputs[1]
  return scale?.node.op === Constant ? Array.from(constantOf(scale.node), Number) : undefined
}

/** The operands of a product that runtimes compute with an integer bias. */
const operands = (node: Node): readonly Tensor[] =>
  (match(node, Conv) ?? match(node, Gemm))?.inputs.filter(t => t !== undefined) ?? []

/** A bias in the scale of the products that it is added to. */
function integerBias(bias: AnyTensor, x: readonly number[], w: readonly number[]): AnyTensor {
  const outputs = sizesOf(bias.shape)
  const scales = w.map(s => Math.fround(nth(x, 0) * s))
  const scale = constant(scales.length === 1 ? nth(scales, 0) : scales, 'float32', outputs)
  const steps = clip(Round.apply([div(bias, scale)]), -MOST, MOST)
  return dequantize(cast(steps, 'int32'), scale, constant(0, 'int32', outputs), 0)
}

/** A model whose integer convolutions add integer biases: runtimes have no kernel for others. */
export function withIntegerBiases(trained: TrainedModel): TrainedModel {
  const model = edited(trained.model, {
    config: {},
    rule(node, inputs) {
      const [x, w, bias] = operands(node).length === 3 ? inputs : []
      const [ofX, ofW] = [x && scaleOf(x), w && scaleOf(w)]
      if (!x || !w || !bias || !ofX || !ofW || scaleOf(bias) || bias.shape.length !== 1) return undefined
      return makeNode(node.op, [x, w, integerBias(bias, ofX, ofW)], node.attrs).outputs
    },
  })
  return { ...trained, model }
}

/** Parameters that are stored as integers already, once what depends on them alone is computed. */
function stored(roots: readonly Tensor[]): ReadonlySet<Tensor> {
  const users = usersOf(postorder(roots))
  const isBias = (node: Node, p: Tensor): boolean => {
    const [x, w, bias] = operands(node)
    return bias === p && x !== undefined && w !== undefined && !!scaleOf(x) && !!scaleOf(w)
  }
  const found = [...users].filter(
    ([p, readers]) =>
      isParameter(p) && readers.every(node => match(node, QuantizeLinear) !== undefined || isBias(node, p)),
  )
  return new Set(found.map(([p]) => p))
}

/** The axis along which a table has a scale for each place: the first one that has several. */
const tableAxis = (sizes: readonly number[]): number =>
  Math.max(
    sizes.findIndex(d => d > 1),
    0,
  )

/**
 * A model that stores in few bytes what it does not compute with integers: tables, such as embeddings and positions, as 8-bit integers, and all
 * else (biases, norms, layers that stay as they are) in half precision. All of it is float32 again when it is read.
 */
export function compacted(trained: TrainedModel): TrainedModel {
  const { model } = trained
  const values = weightsOf(trained)
  const names = namesOf(model)
  const done = stored(rootsOf(model))
  const layers = new Set<Tensor>(productsOf(model).map(({ weight }) => weight))
  const smaller = (p: AnyTensor): AnyTensor => {
    const sizes = sizesOf(p.shape)
    const own = lookup(values, lookup(names, p))
    if (!layers.has(p) && sizes.length > 1 && own.length >= TABLE)
      return roundedWeight(p, own, tableAxis(sizes))
    return own.every(v => Math.abs(v) < HALF_MOST) ? cast(cast(p, 'float16'), 'float32') : p
  }
  const replaced = [...model.parameters.values()]
    .filter(p => p.dtype === 'float32' && !done.has(p))
    .map(p => [p, smaller(p)] as const)
  return { ...trained, model: edited(model, { config: {}, replaced: new Map<Tensor, Tensor>(replaced) }) }
}

/** Half precision holds no larger number. */
const HALF_MOST = 65504
