import { type Graph, rewrite } from '../graph/graph.ts'
import { reshape, transpose } from '../ops/layout.ts'
import { Reshape, Transpose } from '../ops/primitives.ts'
import { match, permuted } from './match.ts'

/**
 * Two reshapes in a row become one, and so do two transpositions; what moves nothing goes. Nothing is moved past a view, as
 * {@link simplifyViews} does for steps of training: onnxruntime takes the last transposition of attention's keys into the product, but not
 * one that was merged with the heads'.
 */
export const joinViews = (graph: Graph): Graph =>
  rewrite(graph, (node, inputs) => {
    const reshaping = match(node, Reshape, inputs)
    if (reshaping) {
      const [x] = reshaping.inputs
      return [reshape(match(x.node, Reshape)?.inputs[0] ?? x, reshaping.attrs.shape)]
    }
    const turning = match(node, Transpose, inputs)
    if (!turning) return undefined
    const [x] = turning.inputs
    const before = match(x.node, Transpose)
    const perm = before ? permuted(before.attrs.perm, turning.attrs.perm) : turning.attrs.perm
    const source = before?.inputs[0] ?? x
    return [perm.every((p, i) => p === i) ? source : transpose(source, perm)]
  })
