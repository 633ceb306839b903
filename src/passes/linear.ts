import type { Node } from '../graph/node.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import convolution from '../ops/conv.ts'
import { add, mul } from '../ops/elementwise.ts'
import { expand, reshape } from '../ops/layout.ts'
import { matmul } from '../ops/matmul.ts'
import { Add, MatMul } from '../ops/primitives.ts'
import { sum } from '../ops/reduce.ts'
import { isFixed } from './fixed.ts'
import { match, pairs, type Readers } from './match.ts'

const { Conv, ConvTranspose } = convolution

/** A linear layer or convolution. Vectors below are those of its input or output channels, or `[1]` for all of them. */
export interface Linear {
  readonly x: AnyTensor
  readonly weight: AnyTensor
  readonly bias: AnyTensor | undefined
  /** Axis of the channels in x, and in the result. */
  readonly reads: number
  readonly writes: number
  /** Number of output channels. */
  readonly outputs: number
  /** What a bias costs: nothing where the operator has one. */
  readonly takesBias: boolean
  /** A vector of the input (output) channels as it broadcasts against the weight. */
  readonly onInputs: (v: AnyTensor) => AnyTensor
  readonly onOutputs: (v: AnyTensor) => AnyTensor
  /** What a shift of the inputs adds to each output; undefined where outputs at the border see less of it than others. */
  readonly carried: ((shift: AnyTensor) => AnyTensor) | undefined
  readonly make: (x: AnyTensor, weight: AnyTensor, bias: AnyTensor | undefined) => AnyTensor
}

const ones = (count: number): number[] => Array.from({ length: count }, () => 1)
const later = (weight: AnyTensor): number[] => weight.shape.slice(2).map(() => 1)

/** A vector with one element for each pair of group and place in the group, where groups come first or second in the weight. */
function grouped(v: AnyTensor, weight: AnyTensor, group: number): AnyTensor {
  const [rows, columns] = [Number(weight.shape[0]), Number(weight.shape[1])]
  if (v.shape[0] === 1) return v
  const each = expand(reshape(v, [group, 1, columns]), [group, rows / group, columns])
  return reshape(each, [rows, columns, ...later(weight)])
}

const first = (v: AnyTensor, weight: AnyTensor): AnyTensor =>
  reshape(v, [v.shape[0], ...ones(weight.shape.length - 1)])

function convOf(node: Node): Linear | undefined {
  const found = match(node, Conv)
  if (!found) return undefined
  const { inputs, attrs } = found
  const [x, weight, bias] = inputs
  const onInputs = (v: AnyTensor) => grouped(v, weight, attrs.group)
  const axes = [...weight.shape.keys()].slice(1)
  return {
    ...{ x, weight, bias, reads: 1, writes: 1, outputs: Number(weight.shape[0]), takesBias: true, onInputs },
    onOutputs: v => first(v, weight),
    // Padding is zeros, also where all else is shifted.
    carried: attrs.pads.every(pad => pad === 0) ? t => sum(mul(weight, onInputs(t)), axes) : undefined,
    make: (x, w, b) => Conv.apply(b ? [x, w, b] : [x, w], attrs),
  }
}

function transposedOf(node: Node): Linear | undefined {
  const found = match(node, ConvTranspose)
  if (!found) return undefined
  const { inputs, attrs } = found
  const [x, weight, bias] = inputs
  return {
    ...{ x, weight, bias, reads: 1, writes: 1, outputs: Number(weight.shape[1]) * attrs.group },
    takesBias: true,
    onInputs: v => first(v, weight),
    onOutputs: v => grouped(v, weight, attrs.group),
    // At the border, and between strides, fewer inputs reach an output.
    carried: undefined,
    make: (x, w, b) => ConvTranspose.apply(b ? [x, w, b] : [x, w], attrs),
  }
}

function productOf(node: Node): Linear | undefined {
  const found = match(node, MatMul)
  if (!found) return undefined
  const [x, weight] = found.inputs
  if (weight.shape.length !== 2 || x.shape.length < 2) return undefined
  const last = x.shape.length - 1
  return {
    ...{ x, weight, bias: undefined, reads: last, writes: last, outputs: Number(weight.shape[1]) },
    takesBias: false,
    onInputs: v => reshape(v, [v.shape[0], 1]),
    onOutputs: v => v,
    carried: t => sum(mul(weight, reshape(t, [t.shape[0], 1])), 0),
    make: (x, w, b) => (b ? add(matmul(x, w), b) : matmul(x, w)),
  }
}

/**
 * The linear layer or convolution that a node is, without a bias that is added to a product; undefined where its weight is computed at
 * run time.
 */
export function linearAt(node: Node): Linear | undefined {
  const found = convOf(node) ?? transposedOf(node) ?? productOf(node)
  return found && isFixed(found.weight.node) ? found : undefined
}

/** The linear layer or convolution whose result a tensor is, with its bias, where nothing else reads what it computes. */
export function linearOf(y: Tensor, readers: Readers): Linear | undefined {
  if (readers(y) > 1) return undefined
  const whole = linearAt(y.node)
  if (whole) return whole.bias && !isFixed(whole.bias.node) ? undefined : whole
  for (const [product, bias] of pairs(y.node, Add)) {
    const found = readers(product) === 1 && match(product.node, MatMul) && linearAt(product.node)
    if (found && isFixed(bias.node) && bias.shape.length === 1 && bias.shape[0] === found.outputs)
      return { ...found, bias, takesBias: true }
  }
  return undefined
}
