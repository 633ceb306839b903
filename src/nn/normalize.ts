import { UserError } from '../graph/errors.ts'
import { constant } from '../graph/leaf.ts'
import type { Normalization } from '../graph/normalization.ts'
import { div, sub } from '../ops/elementwise.ts'
import type { Model } from './model.ts'
import { reading } from './rewrite.ts'

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
  return reading(model, input, {
    change: pixels => div(sub(pixels, perChannel(mean)), perChannel(std)),
    normalization: { mean, std },
  })
}
