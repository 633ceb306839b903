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
import { Conv, DequantizeLinear, QuantizeLinear } from '../../ops/image-primitives.ts'
import { Add, MatMul } from '../../ops/primitives.ts'
import { dequantize, quantize } from '../../ops/quantize.ts'
import rounding from '../../ops/rounding.ts'
import { rootsOf } from './products.ts'

export const { Round } = rounding

/** The largest integer of a bias: half of what int32 holds, for the sums of products that are added to it. */
const MOST = 2 ** 30

/** The scale of what a node dequantizes, where it is constant. */
function scaleOf(t: Tensor): readonly number[] | undefined {
  const scale: AnyTensor | undefined = match(t.node, DequantizeLinear)?.inputs[1]
  return scale?.node.op === Constant ? Array.from(constantOf(scale.node), Number) : undefined
}

/** A layer's rounded weight and its bias. */
interface Terms {
  readonly w: AnyTensor
  readonly bias: AnyTensor
}

/**
 * A bias as int32 in the scale of the products of x and w that it is added to. A filter of tiny weights beside a large bias, as weight decay
 * leaves one that has died, has a scale in which its bias is no int32: such filters are rounded more coarsely.
 * @param values of the bias @returns undefined where the products have no scale, or the weight cannot have another
 */
function integerTerms(
  x: Tensor,
  { w, bias }: Terms,
  values: ArrayLike<number> | undefined,
): Terms | undefined {
  const [[ofX] = [], ofW] = [scaleOf(x), scaleOf(w)]
  if (!ofX || !ofW || !values || bias.shape.length !== 1) return undefined
  const least = Array.from({ length: Math.max(ofW.length, values.length) }, (_, i) => {
    const value = nth(values, values.length === 1 ? 0 : i)
    return Math.fround(Math.abs(value) / (MOST * ofX))
  })
  const fits = least.every((s, i) => s <= nth(ofW, ofW.length === 1 ? 0 : i))
  const wide = fits ? ofW : ofW.length > 1 ? ofW.map((s, i) => Math.max(s, nth(least, i))) : undefined
  const weight = wide && (fits ? w : inScales(w, wide))
  if (!wide || !weight) return undefined
  const scales = wide.map(s => Math.fround(ofX * s))
  const scale = constant(scales.length === 1 ? nth(scales, 0) : scales, 'float32', sizesOf(bias.shape))
  const steps = clip(Round.apply([div(bias, scale)]), -MOST, MOST)
  return { w: weight, bias: dequantize(cast(steps, 'int32'), scale, undefined, 0) }
}

/** A rounded weight in other scales; undefined where it is of integers already. */
function inScales(w: AnyTensor, scales: readonly number[]): AnyTensor | undefined {
  const rounded = match(w.node, DequantizeLinear)
  const source = rounded && match(rounded.inputs[0].node, QuantizeLinear)
  if (!source) return undefined
  const [own, , zero] = source.inputs
  const scale = constant(scales, 'float32', [scales.length])
  return dequantize(quantize(own, scale, zero, source.attrs.axis), scale, zero, rounded.attrs.axis)
}

const PLAIN = { alpha: 1, transA: false, transB: false } as const

/**
 * A model whose integer products add integer biases: runtimes have no integer kernel for others, and none for a matrix product whose
 * bias is added separately.
 */
export function withIntegerBiases(trained: TrainedModel): TrainedModel {
  const nodes = postorder(rootsOf(trained.model))
  const users = usersOf(nodes)
  const weights = weightsOf(trained)
  const names = namesOf(trained.model)
  const valuesOf = (t: Tensor | undefined): ArrayLike<number> | undefined =>
    t &&
    (isParameter(t)
      ? weights.get(lookup(names, t))
      : t.node.op === Constant
        ? Array.from(constantOf(t.node), Number)
        : undefined)
  /** A matrix product, and the bias that is all that reads it. */
  const sumOf = (node: Node, inputs: readonly Tensor[]) => {
    if (!match(node, Add)) return undefined
    const at = node.inputs.findIndex(t => match(t.node, MatMul) && users.get(t)?.length === 1)
    const [product, bias, own] = [inputs[at], inputs[1 - at], node.inputs[1 - at]]
    const [x, w]: readonly (AnyTensor | undefined)[] = (product && match(product.node, MatMul)?.inputs) ?? []
    if (at < 0 || !x || !w || !bias) return undefined
    return x.shape.length === 2 && bias.shape[0] === w.shape[1] ? { x, w, bias, own } : undefined
  }
  const rule = (node: Node, inputs: readonly Tensor[]): readonly Tensor[] | undefined => {
    const sum = sumOf(node, inputs)
    const added = sum && integerTerms(sum.x, sum, valuesOf(sum.own))
    if (added) return [Gemm.apply([sum.x, added.w, added.bias], PLAIN)]
    const [x, w, bias] = (match(node, Conv) ?? match(node, Gemm)) ? inputs : []
    const terms = x && w && bias && integerTerms(x, { w, bias }, valuesOf(node.inputs[2]))
    return terms && makeNode(node.op, [x, terms.w, terms.bias], node.attrs).outputs
  }
  return { ...trained, model: edited(trained.model, { config: {}, rule }) }
}
