import type { Rule, Tensors } from '../graph/graph.ts'
import { rewriteTensors } from '../graph/graph.ts'
import type { Init } from '../graph/init.ts'
import { type Parameter, parameter, parameterAttrs } from '../graph/leaf.ts'
import type { Tensor } from '../graph/tensor.ts'
import { type Model, modelOf } from './model.ts'
import { remade } from './rewrite.ts'
import { isTrained, type TrainedModel, weightsOf } from './trained.ts'

/** How a model differs from the one that it is made of. */
export interface Edit {
  /** What takes the place of a node, whose inputs are rewritten already. */
  readonly rule?: Rule
  /** Tensors that are replaced from the outset, such as parameters. */
  readonly replaced?: ReadonlyMap<Tensor, Tensor>
  /** The parameters of the result. @default the model's */
  readonly parameters?: ReadonlyMap<string, Parameter>
  /** The configuration of the result. @default the model's */
  readonly config?: object
  /** The outputs of the result, of those of the model. @default all */
  readonly outputs?: (outputs: Tensors) => Tensors
  /** The new values of buffers, of those of the model. @default all */
  readonly assigned?: (assigned: Tensors) => Tensors
}

/** Everything that a model computes, under names that say what it is. */
export const allRoots = ({ outputs, assigned, intermediates }: Model): Tensors =>
  Object.fromEntries(
    Object.entries({ outputs, assigned, intermediates }).flatMap(([kind, group]) =>
      Object.entries(group).map(([key, t]) => [`${kind}.${key}`, t]),
    ),
  )

/** A model whose graph is rewritten: same inputs, name and normalization. Parameters keep their names. */
export function edited(model: Model, edit: Edit): Model {
  const { name, inputs, graph, normalization } = model
  const { rule = () => undefined, replaced = new Map(), parameters = model.parameters } = edit
  const outputs = edit.outputs?.(model.outputs) ?? model.outputs
  const made = remade({ ...model, outputs }, roots => rewriteTensors(roots, rule, replaced))
  return modelOf({
    name,
    config: edit.config ?? model.config,
    inputs,
    // Names of parameters are whole: how layers were nested is not known of every model.
    layers: Object.fromEntries(parameters),
    parameters,
    leaves: graph.inputs,
    ...made,
    assigned: edit.assigned?.(made.assigned) ?? made.assigned,
    normalization,
  })
}

/** A parameter like another, that starts otherwise. */
export function restarted(p: Parameter, init: Init, shape?: readonly number[]): Parameter {
  const { dtype, shape: own, decay, buffer } = parameterAttrs(p)
  return parameter(shape ?? own, init, { dtype, decay, buffer })
}

/** A model whose parameters are replaced, each by one of the same name. */
export function withParameters(model: Model, made: ReadonlyMap<string, Parameter>): Model {
  const parameters = new Map([...model.parameters].map(([name, p]) => [name, made.get(name) ?? p] as const))
  const replaced = new Map([...model.parameters].map(([name, p]) => [p, made.get(name) ?? p] as const))
  return edited(model, { parameters, replaced })
}

/** A trained model as a model that starts at its weights. */
export function startingAt(source: TrainedModel | Model): Model {
  if (!isTrained(source)) return source
  const values = weightsOf(source)
  const made = [...source.model.parameters].map(([name, p]): [string, Parameter] => [
    name,
    restarted(p, { kind: 'values', values: values.get(name) ?? [] }),
  ])
  return withParameters(source.model, new Map(made))
}
