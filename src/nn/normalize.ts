import { UserError } from '../graph/errors.ts'
import { constant } from '../graph/leaf.ts'
import type { Normalization } from '../graph/normalization.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { div, sub } from '../ops/elementwise.ts'
import { insert, type Model, modelOf, portTensors } from './model.ts'

/**
 * A model that first normalizes an image input, (x − mean) / std per channel. It has the same names and parameters; the
 * normalization is part of its graph.
 * @param input its name; float32 `[channels, height, width]`
 * @throws UserError when the model has no such input, or another number of channels
 */
export function normalized(model: Model, input: string, { mean, std }: Normalization): Model {
  const { name, inputs, graph } = model
  const image = graph.inputs[input]
  if (image?.shape.length !== 4)
    throw new UserError(
      `${name}: has no image input ${input} to normalize; its inputs are ${Object.keys(inputs).join(', ')}`,
    )
  const channels = image.shape[1]
  for (const [what, values] of Object.entries({ mean, std }))
    if (values.length !== channels)
      throw new UserError(`normalization: ${values.length} values of ${what} for ${channels} channels`)
  const perChannel = (values: readonly number[]) => constant(values, 'float32', [values.length, 1, 1])
  const leaves = portTensors(name, inputs)
  const pixels = leaves[input] as AnyTensor
  const given = { ...leaves, [input]: div(sub(pixels, perChannel(mean)), perChannel(std)) }
  const groups = [model.outputs, model.assigned, model.intermediates]
  const names = groups.map(group => Object.keys(group))
  const roots = insert(
    name,
    graph.inputs,
    given,
    groups.flatMap(group => Object.values(group)),
  )
  let at = 0
  const [outputs, assigned, intermediates] = names.map(group =>
    Object.fromEntries(group.map(key => [key, roots[at++]!])),
  )
  const normalization = { ...model.normalization, [input]: { mean, std } }
  const { config, layers, parameters } = model
  const parts = { name, config, inputs, layers, parameters, leaves, normalization }
  return modelOf({ ...parts, outputs: outputs!, assigned: assigned!, intermediates: intermediates! })
}
