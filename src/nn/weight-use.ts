import { sizesOf } from '../graph/bind.ts'
import { isParameter, type Parameter } from '../graph/leaf.ts'
import { match } from '../graph/match.ts'
import type { Node } from '../graph/node.ts'
import { nth } from '../graph/present.ts'
import type { Tensor } from '../graph/tensor.ts'
import { Conv } from '../ops/image-primitives.ts'
import { MatMul, Reshape, Transpose } from '../ops/primitives.ts'

/** A parameter as a node reads it: as it is, transposed or reshaped. */
interface Chain {
  readonly weight: Parameter
  /** Which axis of the parameter holds the layer's outputs; undefined where a reshape mixes it with others. */
  readonly outputs: number | undefined
  /** Transpositions on the way from the parameter to the operand, each with the sizes before it. */
  readonly turns: readonly { readonly sizes: readonly number[]; readonly perm: readonly number[] }[]
}

/** A linear layer or convolution: what is multiplied with a parameter. */
export interface WeightUse extends Chain {
  readonly node: Node
  readonly kind: 'linear' | 'conv'
  /** Of a convolution; 1 for a linear layer. */
  readonly groups: number
}

/** @param axis of `t` that holds the outputs */
function chainOf(t: Tensor, axis: number | undefined): Chain | undefined {
  if (isParameter(t)) return { weight: t, outputs: axis, turns: [] }
  const turned = match(t.node, Transpose)
  if (turned) {
    const [from] = turned.inputs
    const { perm } = turned.attrs
    const inner = chainOf(from, axis === undefined ? undefined : nth(perm, axis))
    return inner && { ...inner, turns: [...inner.turns, { sizes: sizesOf(from.shape), perm }] }
  }
  const shaped = match(t.node, Reshape)
  if (!shaped) return undefined
  const [from] = shaped.inputs
  // The first axis stays where the later ones alone are joined or split.
  return chainOf(from, axis === 0 && from.shape[0] === t.shape[0] ? 0 : undefined)
}

/** How a node uses a parameter as the weight of a linear layer or convolution; undefined for all other nodes. */
export function weightUseOf(node: Node): WeightUse | undefined {
  const product = match(node, MatMul)
  if (product) {
    const [, b] = product.inputs
    const chain = b.shape.length === 2 ? chainOf(b, 1) : undefined
    return chain && { node, kind: 'linear', groups: 1, ...chain }
  }
  const conv = match(node, Conv)
  const chain = conv && chainOf(conv.inputs[1], 0)
  return chain && { node, kind: 'conv', groups: conv.attrs.group, ...chain }
}

/** Values of the operand that a node reads, in the parameter's order. */
export const unread = ({ turns }: WeightUse, operand: Float32Array): Float32Array =>
  turns.reduceRight((values, { sizes, perm }) => turnedBack(values, sizes, perm), operand)

/** Undoes a transposition. @param sizes before it */
function turnedBack(values: Float32Array, sizes: readonly number[], perm: readonly number[]): Float32Array {
  const strides = sizes.map((_, i) => sizes.slice(i + 1).reduce((a, b) => a * b, 1))
  const after = perm.map(p => nth(sizes, p))
  const moves = perm.map(p => nth(strides, p))
  const out = new Float32Array(values.length)
  const at = after.map(() => 0)
  let place = 0
  for (const value of values) {
    out[place] = value
    for (let axis = at.length - 1; axis >= 0; axis--) {
      place += nth(moves, axis)
      at[axis] = nth(at, axis) + 1
      if (nth(at, axis) < nth(after, axis)) break
      place -= nth(moves, axis) * nth(after, axis)
      at[axis] = 0
    }
  }
  return out
}
