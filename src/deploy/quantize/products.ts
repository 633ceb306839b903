import { sizesOf } from '../../graph/bind.ts'
import { postorder } from '../../graph/graph.ts'
import { isParameter, type Parameter } from '../../graph/leaf.ts'
import { match } from '../../graph/match.ts'
import type { Node } from '../../graph/node.ts'
import { lookup } from '../../graph/present.ts'
import type { Tensor } from '../../graph/tensor.ts'
import { type Model, namesOf } from '../../nn/model.ts'
import { weightUseOf } from '../../nn/weight-use.ts'
import { Gemm } from '../../ops/gemm.ts'

/** A linear layer or convolution whose weight can be stored as integers. */
export interface Product {
  readonly node: Node
  readonly kind: 'linear' | 'conv'
  readonly weight: Parameter
  /** Name of the weight, which names the layer. */
  readonly name: string
  /** Axis of the weight that holds the layer's outputs: each has a scale of its own. */
  readonly axis: number
  /** Elements of the weight. */
  readonly size: number
}

/** Everything that a model computes. */
export const rootsOf = ({ outputs, intermediates }: Model): readonly Tensor[] =>
  [outputs, intermediates].flatMap(group => Object.values(group))

/** The weight that a node multiplies with, and its axis of outputs. */
function weightOf(node: Node): Pick<Product, 'kind' | 'weight' | 'axis'> | undefined {
  const gemm = match(node, Gemm)
  if (gemm) {
    const weight = gemm.inputs[1]
    if (!isParameter(weight) || gemm.attrs.transA) return undefined
    return { kind: 'linear', weight, axis: gemm.attrs.transB ? 0 : 1 }
  }
  const use = weightUseOf(node)
  return use?.outputs === undefined ? undefined : { kind: use.kind, weight: use.weight, axis: use.outputs }
}

/** The linear layers and convolutions of a model with a float32 weight, in the order in which they are computed. */
export function productsOf(model: Model): readonly Product[] {
  const names = namesOf(model)
  return postorder(rootsOf(model)).flatMap(node => {
    const found = weightOf(node)
    if (found?.weight.dtype !== 'float32') return []
    const size = sizesOf(found.weight.shape).reduce((a, b) => a * b, 1)
    return [{ node, name: lookup(names, found.weight), size, ...found }]
  })
}
