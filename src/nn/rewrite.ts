import type { Tensors } from '../graph/graph.ts'
import type { Normalization } from '../graph/normalization.ts'
import { lookup, zip } from '../graph/present.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { insert, type Model, modelOf, type PortSpec, portTensors } from './model.ts'

/** Everything that a model computes. */
export type Computed = Pick<Model, 'outputs' | 'assigned' | 'intermediates'>

/** What a model computes, with other tensors in the places of its own. @param rewrite of all of them at once, in their order */
export function remade(
  { outputs, assigned, intermediates }: Computed,
  rewrite: (roots: readonly Tensor[]) => readonly Tensor[],
): Computed {
  const roots = [outputs, assigned, intermediates].flatMap(group => Object.values(group))
  const made = new Map(zip(roots, rewrite(roots)))
  const again = (group: Tensors): Tensors =>
    Object.fromEntries(Object.entries(group).map(([key, t]) => [key, lookup(made, t)]))
  return { outputs: again(outputs), assigned: again(assigned), intermediates: again(intermediates) }
}

/** How a model takes one of its inputs. */
export interface Reading {
  /** What it takes. @default what it took */
  readonly port?: PortSpec
  /** What the model reads, of what is given. */
  readonly change: (given: AnyTensor) => AnyTensor
  /** What normalizes the input then. @default what did */
  readonly normalization?: Normalization
}

/** A model that changes an input before it reads it. It has the same names and parameters. */
export function reading(model: Model, input: string, { port, change, normalization }: Reading): Model {
  const { name, config, layers, parameters } = model
  const inputs = port ? { ...model.inputs, [input]: port } : model.inputs
  const leaves = portTensors(name, inputs)
  const given = { ...leaves, [input]: change(lookup(leaves, input)) }
  return modelOf({
    ...{ name, config, inputs, layers, parameters, leaves },
    normalization: normalization ? { ...model.normalization, [input]: normalization } : model.normalization,
    ...remade(model, roots => insert(name, model.graph.inputs, given, roots)),
  })
}
