import type { Graph, Tensors } from '../graph/graph.ts'
import { nth } from '../graph/present.ts'
import { type Model, modelOf } from '../nn/model.ts'
import { remade } from '../nn/rewrite.ts'
import type { TrainedModel } from '../nn/trained.ts'
import { inferenceForm } from '../ops/mode.ts'

/** A trained model as it is deployed: what rewrites its graph sees all of its outputs and intermediates as outputs of one graph. */
export function deployed(trained: TrainedModel, rewrite: (graph: Graph) => Graph): TrainedModel {
  return { ...trained, model: rewritten(trained.model, rewrite) }
}

function rewritten(model: Model, rewrite: (graph: Graph) => Graph): Model {
  const { name, inputs, layers, parameters, graph, normalization } = model
  const computed = remade({ ...model, assigned: {} }, roots => {
    const outputs: Tensors = Object.fromEntries(roots.map((t, i) => [String(i), t]))
    const made = rewrite({ ...graph, outputs }).outputs
    return roots.map((_, i) => nth(Object.values(made), i))
  })
  return modelOf({
    ...{ name, inputs, layers, parameters, normalization },
    // It is not what the configuration builds.
    config: {},
    leaves: graph.inputs,
    ...computed,
  })
}

/** What a model computes outside of training: no dropout, the running statistics, no buffer assigned. */
export const inferenceModel = (trained: TrainedModel): TrainedModel => deployed(trained, inferenceForm)
