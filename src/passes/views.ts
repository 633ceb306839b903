import { type Graph, rewrite } from '../graph/graph.ts'
import { nth } from '../graph/present.ts'
import type { Dim } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { reshape, transpose } from '../ops/layout.ts'
import { Reshape, Transpose } from '../ops/primitives.ts'
import { groups, match, permuted } from './match.ts'

/**
 * Fewer steps between one layout and another: reshapes and transpositions that follow each other become one, and
 * those that move nothing go; a transposition leaves axes of size 1 to a reshape, which costs nothing.
 */
export const simplifyViews = (graph: Graph): Graph =>
  rewrite(graph, (node, inputs) => {
    const reshaping = match(node, Reshape, inputs)
    if (reshaping) return [reshaped(reshaping.inputs[0], reshaping.attrs.shape)]
    const turning = match(node, Transpose, inputs)
    return turning && [transposed(turning.inputs[0], turning.attrs.perm)]
  })

const reshaped = (x: AnyTensor, shape: readonly (number | string)[]): AnyTensor => {
  const before = match(x.node, Reshape)
  return reshape(before ? before.inputs[0] : x, shape)
}

export function transposed(x: AnyTensor, perm: readonly number[]): AnyTensor {
  const before = match(x.node, Transpose)
  if (before) return transposed(before.inputs[0], permuted(before.attrs.perm, perm))
  const block = blockwise(x, perm)
  if (block) return block
  const kept = perm.filter(p => x.shape[p] !== 1)
  if (kept.length === perm.length) return transpose(x, perm)
  const shape = permuted<Dim>(x.shape, perm)
  const order = [...kept].sort((a, b) => a - b)
  const narrow = reshaped(x, permuted<Dim>(x.shape, order))
  return reshaped(
    transposed(
      narrow,
      kept.map(p => order.indexOf(p)),
    ),
    shape,
  )
}

/** Axes that a reshape made of whole runs of transposed axes are moved before it, where the two transpositions are one. */
function blockwise(x: AnyTensor, perm: readonly number[]): AnyTensor | undefined {
  const source = match(x.node, Reshape)?.inputs[0]
  if (!source || !match(source.node, Transpose)) return undefined
  const runs = groups(source.shape, x.shape)
  if (runs.length !== x.shape.length || runs.some(({ to: [first, end] }) => end !== first + 1))
    return undefined
  const order = perm.flatMap(p => {
    const [first, end] = nth(runs, p).from
    return Array.from({ length: end - first }, (_, i) => first + i)
  })
  return reshaped(transposed(source, order), permuted<Dim>(x.shape, perm))
}
