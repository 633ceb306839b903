import { ShapeError } from '../graph/errors.ts'
import { type Graph, rewrite } from '../graph/graph.ts'
import { marker, noGradient } from '../graph/op.ts'
import { equalShape, show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { type BinaryModeFn, typed } from '../graph/typed/signatures.ts'
import { mul } from './elementwise.ts'

/** Chooses between what a training step computes (input 0) and what everything else does (input 1). */
export const Mode = marker('Mode', {
  inputs: ['training', 'otherwise'],
  infer: ([a, b]) => {
    if (a.dtype !== b.dtype || !equalShape(a.shape, b.shape))
      throw new ShapeError(
        `whenTraining: ${a.dtype} ${show(a.shape)} and ${b.dtype} ${show(b.shape)} differ; both must have the same dtype and shape`,
      )
    return [a]
  },
  vjp: noGradient('the step compiler chooses a branch before differentiation'),
  resolve: ([, otherwise]) => [otherwise],
})

/**
 * `training` in a training step and `otherwise` in evaluation, prediction and exported files; both have the same dtype and shape.
 * Batch norm is built on it: the batch's statistics or the running ones.
 */
export const whenTraining: BinaryModeFn = typed(
  (training: AnyTensor, otherwise: AnyTensor): AnyTensor =>
    training === otherwise ? training : Mode.apply([training, otherwise]),
  t => [mul(t(2, 3), 2), t(2, 3)],
)

/** A graph without markers: each takes the form that it has outside of training steps. */
export const resolved = (graph: Graph): Graph =>
  rewrite(graph, ({ op, attrs }, inputs) => op.resolve?.(inputs, attrs))

/** The graph for evaluation, prediction and export: dropout is the identity, no marker is left. */
export const inferenceForm = (graph: Graph): Graph =>
  rewrite(graph, ({ op, attrs }, inputs) => (op.random ? inputs.slice(0, 1) : op.resolve?.(inputs, attrs)))
