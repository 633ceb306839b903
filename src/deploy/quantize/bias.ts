import { sizesOf } from '../../graph/bind.ts'
import { postorder, usersOf } from '../../graph/graph.ts'
import { Constant, constant, constantOf } from '../../graph/leaf.ts'
import { match } from '../../graph/match.ts'
import { makeNode, type Node } from '../../graph/node.ts'
import { nth } from '../../graph/present.ts'
import type { AnyTensor, Tensor } from '../../graph/tensor.ts'
import { edited } from '../../nn/edit.ts'
import type { TrainedModel } from '../../nn/trained.ts'
import { cast, clip, div } from '../../ops/elementwise.ts'
import { Gemm } from '../../ops/gemm.ts'
import { Conv, DequantizeLinear } from '../../ops/image-primitives.ts'
import { Add, MatMul } from '../../ops/primitives.ts'
import { dequantize } from '../../ops/quantize.ts'
import rounding from '../../ops/rounding.ts'
import { staticNodes } from '../../passes/match.ts'
import { rootsOf } from './products.ts'

export const { Round } = rounding

/** The largest whole number that float32 and int32 both hold. */
const MOST = 2 ** 31 - 128

/** The scale of what a node dequantizes, where it is constant. */
function scaleOf(t: Tensor): readonly number[] | undefined {
  const scale: AnyTensor | undefined = match(t.node, DequantizeLinear)?.inputs[1]
  return scale?.node.op === Constant ? Array.from(constantOf(scale.node), Number) : undefined
}

/** A bias as int32 in the scale of the products of x and w that it is added to; undefined where they have no scale. */
function integerBias(x: Tensor, w: Tensor, bias: AnyTensor): AnyTensor | undefined {
  const [ofX, ofW] = [scaleOf(x), scaleOf(w)]
  if (!ofX || !ofW || bias.shape.length !== 1) return undefined
  const outputs = sizesOf(bias.shape)
  const scales = ofW.map(s => Math.fround(nth(ofX, 0) * s))
  const scale = constant(scales.length === 1 ? nth(scales, 0) : scales, 'float32', outputs)
  const steps = clip(Round.apply([div(bias, scale)]), -MOST, MOST)
  return dequantize(cast(steps, 'int32'), scale, undefined, 0)
}

const PLAIN = { alpha: 1, transA: false, transB: false } as const

/**
 * A model whose integer products add integer biases: runtimes have no integer kernel for others, and none for a matrix product whose
 * bias is added separately.
 */
export function withIntegerBiases(trained: TrainedModel): TrainedModel {
  const nodes = postorder(rootsOf(trained.model))
  const users = usersOf(nodes)
  const fixed = staticNodes(nodes)
  /** A matrix product, and the bias that is all that reads it. */
  const sumOf = (node: Node, inputs: readonly Tensor[]) => {
    if (!match(node, Add)) return undefined
    const at = node.inputs.findIndex(t => match(t.node, MatMul) && users.get(t)?.length === 1)
    const [product, bias, own] = [inputs[at], inputs[1 - at], node.inputs[1 - at]]
    const [x, w]: readonly (AnyTensor | undefined)[] = (product && match(product.node, MatMul)?.inputs) ?? []
    if (at < 0 || !x || !w || !bias || !own || !fixed.has(own.node)) return undefined
    return x.shape.length === 2 && bias.shape[0] === w.shape[1] ? { x, w, bias } : undefined
  }
  const rule = (node: Node, inputs: readonly Tensor[]): readonly Tensor[] | undefined => {
    const sum = sumOf(node, inputs)
    const added = sum && integerBias(sum.x, sum.w, sum.bias)
    if (added) return [Gemm.apply([sum.x, sum.w, added], PLAIN)]
    const [x, w, bias] = (match(node, Conv) ?? match(node, Gemm)) ? inputs : []
    const integers = x && w && bias && integerBias(x, w, bias)
    return x && w && integers ? makeNode(node.op, [x, w, integers], node.attrs).outputs : undefined
  }
  return { ...trained, model: edited(trained.model, { config: {}, rule }) }
}
