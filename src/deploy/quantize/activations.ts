import { postorder, usersOf } from '../../graph/graph.ts'
import { match } from '../../graph/match.ts'
import type { Node } from '../../graph/node.ts'
import { nth } from '../../graph/present.ts'
import type { AnyTensor, Tensor } from '../../graph/tensor.ts'
import type { Model } from '../../nn/model.ts'
import { MaxPool } from '../../ops/image-primitives.ts'
import { Add, Clip, Relu, Reshape, Transpose } from '../../ops/primitives.ts'
import { type Product, rootsOf } from './products.ts'

/** Which activations of a model are quantized. */
export interface Activations {
  /**
   * Those that everything reads as integers: inputs and results of convolutions, and sums of such. To each the tensor whose range it
   * has: a pooled image has that of the image.
   */
  readonly everywhere: ReadonlyMap<Tensor, Tensor>
  /** Those that linear layers alone read as integers. */
  readonly edges: ReadonlySet<Tensor>
}

/** The input of a node that only moves or selects values. */
function movedBy(node: Node): AnyTensor | undefined {
  const moved = match(node, MaxPool) ?? match(node, Reshape) ?? match(node, Transpose)
  return moved?.inputs[0]
}

/** Whether a node cuts values off below zero, which integers without negative numbers do by themselves. */
export const isRectifier = (node: Node): boolean =>
  match(node, Relu) !== undefined || match(node, Clip)?.attrs.min === 0

const MAP = 4
const ROWS = 2

/**
 * Where a model with quantized layers computes with integers. Runtimes have integer kernels for convolutions and sums of maps whose
 * inputs and results are quantized, and for matrix products whose inputs are; residual sums of tokens stay float32, as the norms do
 * that read them.
 */
export function activationsOf(model: Model, products: readonly Product[]): Activations {
  const roots = rootsOf(model)
  const nodes = postorder(roots)
  const users = usersOf(nodes)
  const results = new Set(roots)
  const everywhere = new Set<Tensor>()
  /** What is stored of a result: after the rectifier, where that is all that reads it. */
  const stored = (t: Tensor): Tensor => {
    const [reader, ...others] = users.get(t) ?? []
    return reader && !others.length && !results.has(t) && isRectifier(reader) ? nth(reader.outputs, 0) : t
  }
  const mark = (t: Tensor): void => {
    // An output is as exact as it can be.
    if (!results.has(t)) everywhere.add(t)
  }
  const linear = new Set<Tensor>()
  for (const { node, kind } of products) {
    const x = nth(node.inputs, 0)
    if (kind === 'linear') {
      linear.add(x)
      const hidden = rectified(node)
      if (hidden) mark(hidden)
    } else {
      mark(x)
      mark(stored(nth(node.outputs, 0)))
    }
  }
  /** The rectified result of a layer of rows: with a float32 result, runtimes have no integer kernel for it. */
  function rectified(node: Node): Tensor | undefined {
    const [sum, ...others] = users.get(nth(node.outputs, 0)) ?? []
    if (!sum || others.length || !match(sum, Add) || sum.outputs[0]?.shape.length !== ROWS) return undefined
    const [y] = sum.outputs
    return y && stored(y) !== y ? stored(y) : undefined
  }
  const isQuantized = (t: Tensor): boolean => {
    const from = movedBy(t.node)
    return everywhere.has(t) || (from !== undefined && isQuantized(from))
  }
  for (const node of nodes) {
    const sum = match(node, Add)
    const [a, b] = sum?.inputs ?? []
    if (a?.shape.length === MAP && b?.shape.length === MAP && isQuantized(a) && isQuantized(b))
      mark(stored(nth(node.outputs, 0)))
  }
  const rangeOf = (t: Tensor): Tensor => {
    const from = movedBy(t.node)
    return from && isQuantized(from) ? rangeOf(from) : t
  }
  return {
    everywhere: new Map([...everywhere].map(t => [t, rangeOf(t)])),
    edges: new Set([...linear].filter(t => !everywhere.has(t))),
  }
}
