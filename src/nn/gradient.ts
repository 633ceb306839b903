import { isFloat } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import type { Tensors } from '../graph/graph.ts'
import { lookup, zip } from '../graph/present.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { grad } from '../ops/grad.ts'
import { inferenceForm } from '../ops/mode.ts'
import { type Model, modelOf } from './model.ts'
import { isTrained, type TrainedModel } from './trained.ts'

/** Options of `gradient`. */
export interface GradientOptions {
  /** The scalar to differentiate, computed from outputs and inputs, such as the sum of the logits of a class. */
  readonly of: (context: {
    readonly out: Readonly<Record<string, AnyTensor>>
    readonly input: Readonly<Record<string, AnyTensor>>
  }) => Tensor
  /** Names of the float inputs to differentiate with respect to. @default all */
  readonly wrt?: readonly string[]
}

/**
 * A model that returns, in addition to the outputs of another one, the gradient of a scalar with respect to its inputs, as
 * `gradient.<input>` of the input's shape: for saliency maps, or the optimization of an input. It has the same parameters, and runs
 * and exports like any model.
 * @throws UserError for an unknown or integer input, or a path without a gradient
 */
export function gradient(source: Model, options: GradientOptions): Model
export function gradient(source: TrainedModel, options: GradientOptions): TrainedModel
export function gradient(source: Model | TrainedModel, options: GradientOptions): Model | TrainedModel {
  if (isTrained(source)) return { ...source, model: gradientOf(source.model, options) }
  return gradientOf(source, options)
}

function gradientOf(model: Model, { of, wrt }: GradientOptions): Model {
  const { name, graph, inputs } = model
  const out: Readonly<Record<string, AnyTensor>> = inferenceForm(graph).outputs
  const input: Readonly<Record<string, AnyTensor>> = graph.inputs
  const floats = Object.entries(input).flatMap(([key, { dtype }]) => (isFloat(dtype) ? [key] : []))
  const names = wrt ?? floats
  for (const key of names)
    if (!floats.includes(key))
      throw new UserError(
        `gradient: ${key} is ${input[key] ? `${input[key].dtype}, which has no gradient` : `not an input of ${name}`}; choose from ${floats.join(', ') || 'none'}`,
      )
  const scalar: AnyTensor = of({ out, input })
  const gradients = grad(
    scalar,
    names.map(key => lookup(input, key)),
  )
  const outputs: Tensors = {
    ...out,
    ...Object.fromEntries(zip(names, gradients).map(([key, g]) => [`gradient.${key}`, g])),
  }
  const { config, layers, parameters, normalization } = model
  return modelOf({
    name: `${name}-gradient`,
    config,
    inputs,
    layers,
    parameters,
    leaves: input,
    outputs,
    normalization,
  })
}
