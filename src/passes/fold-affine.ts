import type { Graph } from '../graph/graph.ts'
import { makeNode, type Node } from '../graph/node.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import batchNorm from '../ops/batch-norm.ts'
import { add, mul } from '../ops/elementwise.ts'
import { Reshape, Transpose } from '../ops/primitives.ts'
import { type Affine, affineOf, shaped, whole } from './affine.ts'
import { isFixed, isOwn } from './fixed.ts'
import { type Linear, linearAt, linearOf } from './linear.ts'
import { match, onlyOutput, type Readers, rewriteCounting } from './match.ts'

const { BatchNormalization } = batchNorm

const plus = (a: AnyTensor | undefined, b: AnyTensor | undefined): AnyTensor | undefined =>
  a && b ? add(a, b) : (a ?? b)
const times = (a: AnyTensor | undefined, b: AnyTensor | undefined): AnyTensor | undefined =>
  a && b ? mul(a, b) : (a ?? b)

/** (W x + b) s + t = (s W) x + (s b + t). */
function behind(node: Node, readers: Readers): AnyTensor | undefined {
  for (const y of node.inputs) {
    const linear = linearOf(y, readers)
    const map = linear && affineOf(node, y, linear.writes)
    if (!map) continue
    const { x, weight, bias, outputs, onOutputs, make } = linear
    const { scale, shift } = map
    // The sum that adds the bias of a product.
    if (!scale && !linear.takesBias) continue
    if (scale && !isOwn(weight, readers)) continue
    const total = plus(bias && scale ? mul(bias, scale) : bias, shift && whole(shift, outputs))
    return make(x, scale ? mul(weight, onOutputs(scale)) : weight, total)
  }
  return undefined
}

/** What is read below the affine map that makes `t`, and the map; one of all elements may have views above it. */
function below(t: AnyTensor, axis: number, readers: Readers): { x: Tensor; map: Affine } | undefined {
  if (readers(t) > 1) return undefined
  const { node } = t
  const own = mapAt(node, axis)
  if (own) return own
  const view = match(node, Reshape) ?? match(node, Transpose)
  const inner = view && below(view.inputs[0], view.inputs[0].shape.length - 1, readers)
  if (!inner || [inner.map.scale, inner.map.shift].some(v => v && v.shape[0] !== 1)) return undefined
  return { x: onlyOutput(makeNode(node.op, [inner.x], node.attrs)), map: inner.map }
}

/** W (x s + t) + b = (W s) x + (W t + b). */
function absorbed(linear: Linear, readers: Readers): Linear | undefined {
  const { weight, bias, carried, outputs, onInputs } = linear
  const found = below(linear.x, linear.reads, readers)
  if (!found) return undefined
  const { scale, shift } = found.map
  if ((shift && !carried) || (scale && !isOwn(weight, readers))) return undefined
  if (bias && !isFixed(bias.node)) return undefined
  const moved = shift && carried?.(shift)
  return {
    ...linear,
    x: found.x,
    weight: scale ? mul(weight, onInputs(scale)) : weight,
    bias: plus(moved && whole(moved, outputs), bias),
  }
}

function ahead(node: Node, readers: Readers): AnyTensor | undefined {
  const start = linearAt(node)
  if (!start) return undefined
  let linear = start
  // Rules of the result read its weight: it is the one that was made last.
  for (let next = absorbed(linear, readers); next; next = absorbed(linear, readers))
    linear = { ...(linearAt(next.make(next.x, next.weight, undefined).node) ?? next), bias: next.bias }
  return linear === start ? undefined : linear.make(linear.x, linear.weight, linear.bias)
}

/** Two maps in a row as one, where that is fewer operators. */
function joined(node: Node, readers: Readers): AnyTensor | undefined {
  for (const y of node.inputs) {
    const rank = y.shape.length
    if (!rank || readers(y) > 1 || isFixed(y.node)) continue
    for (const axis of new Set([rank - 1, 1])) {
      const outer = affineOf(node, y, axis)
      const made = outer && axis < rank && onto(y.node, outer, { axis, rank }, readers)
      if (made) return made
    }
  }
  return undefined
}

interface Place {
  readonly axis: number
  readonly rank: number
}

/** The map of a node's only operand that is not fixed. */
function mapAt(node: Node, axis: number): { x: Tensor; map: Affine } | undefined {
  for (const x of node.inputs) {
    const map = isFixed(x.node) ? undefined : affineOf(node, x, axis)
    if (map) return { x, map }
  }
  return undefined
}

function onto(inner: Node, outer: Affine, place: Place, readers: Readers): AnyTensor | undefined {
  const { axis, rank } = place
  const found = mapAt(inner, axis)
  if (!found) return undefined
  const norm = match(inner, BatchNormalization)
  if (norm) {
    const [x, weight, bias, mean, variance] = norm.inputs
    const { scale = weight, shift = bias } = composed({ scale: weight, shift: bias }, outer)
    return BatchNormalization.apply([x, scale, whole(shift, weight.shape[0]), mean, variance], norm.attrs)
  }
  const { scale, shift } = composed(found.map, outer)
  if (scale && !shift) return mul(found.x, shaped(scale, rank, axis))
  if (shift && !scale) return add(found.x, shaped(shift, rank, axis))
  // A scale over a shift: with a scale below, these become one, and what follows may meet the shift.
  const below = readers(found.x) === 1 ? mapAt(found.x.node, axis) : undefined
  const lowest = below?.map.shift ? undefined : below?.map.scale
  if (!below || !lowest || !scale || !shift || found.map.scale) return undefined
  const scaled = mul(below.x, shaped(mul(lowest, scale), rank, axis))
  return add(scaled, shaped(shift, rank, axis))
}

/** The map that does what two do. */
const composed = (inner: Affine, { scale, shift }: Affine): Affine => ({
  scale: times(inner.scale, scale),
  shift: plus(times(inner.shift, inner.shift && scale), shift),
})

/**
 * Scales and shifts of channels that are known before the model runs, such as batch norms, become part of the weights and biases of the
 * convolutions and linear layers before or behind them; those that have none next to them become one.
 */
export const foldAffine = (graph: Graph): Graph =>
  rewriteCounting(graph, (node, readers) => {
    // In the order of the graph, so that none is looked for far up.
    if (isFixed(node)) return undefined
    const y = behind(node, readers) ?? ahead(node, readers) ?? joined(node, readers)
    return y && [y]
  })
