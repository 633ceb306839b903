import { nodesOf } from '../graph/graph.ts'
import type { Model } from '../nn/model.ts'

/** Operations of one run: one or two seconds of two cores, so that a run that has begun soon ends. */
const OPERATIONS = 5e11
const MOST = 8

/**
 * How many steps one run of the graph should take: as many as are done in a second or two. Between runs onnxruntime-node
 * copies the state into new arrays (1.30, also where it wrote into given ones), which costs a tenth of a small step.
 */
export function stepsPerRun(model: Model, batch: number): number {
  const macs = nodesOf(model.graph).reduce(
    (n, { op, inputs, outputs, attrs }) => n + (op.macs?.(inputs, outputs, attrs) ?? 0),
    0,
  )
  // Two operations each; the backward pass takes twice the forward pass.
  return Math.max(1, Math.min(MOST, Math.floor(OPERATIONS / (6 * macs * batch))))
}
