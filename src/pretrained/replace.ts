import { rewriteTensors, type Tensors } from '../graph/graph.ts'
import type { Parameter } from '../graph/leaf.ts'
import { lookup, zip } from '../graph/present.ts'
import type { Tensor } from '../graph/tensor.ts'
import { type Model, modelOf } from '../nn/model.ts'

/** A model of the same graph with other parameters in place of those named; what is not named is shared with the first. */
export function withParameters(model: Model, made: ReadonlyMap<string, Parameter>): Model {
  const { name, config, inputs, graph, normalization } = model
  const parameters = new Map([...model.parameters].map(([key, own]) => [key, made.get(key) ?? own]))
  const leaves = new Map<Tensor, Tensor>(
    [...model.parameters].map(([key, own]) => [own, lookup(parameters, key)]),
  )
  const groups = [model.outputs, model.assigned, model.intermediates]
  const roots = groups.flatMap(group => Object.values(group))
  const again = new Map(
    zip(
      roots,
      rewriteTensors(roots, () => undefined, leaves),
    ),
  )
  const remade = (group: Tensors): Tensors =>
    Object.fromEntries(Object.entries(group).map(([key, t]) => [key, lookup(again, t)]))
  return modelOf({
    name,
    config,
    inputs,
    layers: Object.fromEntries(parameters),
    parameters,
    leaves: graph.inputs,
    outputs: remade(model.outputs),
    assigned: remade(model.assigned),
    intermediates: remade(model.intermediates),
    normalization,
  })
}
