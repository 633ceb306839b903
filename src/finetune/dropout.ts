import { UserError } from '../graph/errors.ts'
import { layerEnds } from '../graph/layers.ts'
import { makeNode, type Node } from '../graph/node.ts'
import { lookup, nth } from '../graph/present.ts'
import { withScope } from '../graph/scope.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { edited, startingAt } from '../nn/edit.ts'
import type { Model } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import { dropout } from '../ops/dropout.ts'
import { matchesAny, type NamePattern } from '../optim/patterns.ts'

/** Where `withDropout` drops: at layers by their paths, such as `blocks.*.mlp` or `fc`. */
export type DropoutPlace =
  | { readonly after: NamePattern | readonly NamePattern[]; readonly before?: undefined }
  | { readonly before: NamePattern | readonly NamePattern[]; readonly after?: undefined }

/**
 * Inserts dropout before or after layers: a file that was exported for inference has lost its own. Exported files and predictions do
 * not change.
 * @param rate fraction of elements that a training step sets to zero
 * @returns a model with the same parameters
 * @throws UserError when no layer matches, or the rate is not at least 0 and below 1
 */
export function withDropout(source: Model | TrainedModel, rate: number, place: DropoutPlace): Model {
  const model = startingAt(source)
  const pattern = place.before ?? place.after
  const ends = layerEnds(model.graph)
  const paths = [...ends.keys()].filter(path => matchesAny(pattern, path))
  if (!paths.length)
    throw new UserError(
      `withDropout: ${model.name} has no layer ${[pattern].flat().join(', ')}; its layers are ${[...ends.keys()].slice(-8).join(', ') || 'not named'}`,
    )
  // Before a layer its own nodes read the tensor with elements dropped; after a layer everyone does.
  const places = paths.flatMap(path => {
    const { inputs, output } = lookup(ends, path)
    return (place.before === undefined ? [output] : inputs).map(t => ({ path, t }))
  })
  const dropped = (t: AnyTensor, path: string): Tensor =>
    withScope(path ? `${path}.dropout` : 'dropout', () => dropout(t, rate))
  if (place.before === undefined)
    return edited(model, {
      rule: (node, inputs) => {
        const own = places.filter(({ t }) => t.node === node)
        if (!own.length) return undefined
        const outputs = [...makeNode(node.op, inputs, node.attrs).outputs]
        for (const { t, path } of own) outputs[t.index] = dropped(nth(outputs, t.index), path)
        return outputs
      },
    })
  const inside = ({ scope }: Node, path: string) => scope === path || scope.startsWith(`${path}.`)
  return edited(model, {
    rule: (node, inputs) => {
      const given = node.inputs.map((t, i) => {
        const own = places.find(p => p.t === t && inside(node, p.path))
        return own ? dropped(nth(inputs, i), own.path) : nth(inputs, i)
      })
      return given.every((t, i) => t === inputs[i]) ? undefined : makeNode(node.op, given, node.attrs).outputs
    },
  })
}
