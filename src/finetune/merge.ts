import { sizesOf } from '../graph/bind.ts'
import { UserError } from '../graph/errors.ts'
import { match } from '../graph/match.ts'
import { lookup, nth } from '../graph/present.ts'
import type { Tensor } from '../graph/tensor.ts'
import { edited } from '../nn/edit.ts'
import { layoutOf, views } from '../nn/layout.ts'
import { type Model, namesOf } from '../nn/model.ts'
import { type TrainedModel, weightsOf } from '../nn/trained.ts'
import { unread } from '../nn/weight-use.ts'
import elementwise from '../ops/elementwise.ts'
import { LORA, loraNames } from './lora.ts'
import { adaptableWeights } from './lora-weights.ts'

const { Add, Mul } = elementwise

const SCALE = /\.lora_scale$/

/** Names of everything that `lora` adds. */
export const isLora = (name: string): boolean => LORA.test(name) || SCALE.test(name)

/** Whether a model has updates of `lora`. */
export const hasLora = ({ parameters }: Pick<Model, 'parameters'>): boolean =>
  [...parameters.keys()].some(name => SCALE.test(name))

/** The model without its updates. */
function withoutLora(model: Model): Model {
  const names = namesOf(model)
  const isScaled = (t: Tensor) =>
    match(t.node, Mul)?.inputs.some(factor => SCALE.test(names.get(factor) ?? '')) ?? false
  return edited(model, {
    // A layer's output plus B times the scaled output of A.
    rule: (node, inputs) => {
      const update = match(node, Add)?.inputs[1].node
      return update?.inputs[0] && isScaled(update.inputs[0]) ? inputs.slice(0, 1) : undefined
    },
    parameters: new Map([...model.parameters].filter(([name]) => !isLora(name))),
  })
}

/** `scale · B A` as a layer reads it: `[in, out]` of a linear layer, else `[out, in, ...]`. */
function updateOf(
  a: Float32Array,
  b: Float32Array,
  scale: number,
  { outputs, rank, linear }: { readonly outputs: number; readonly rank: number; readonly linear: boolean },
): Float32Array {
  const inputs = a.length / rank
  const update = new Float32Array(outputs * inputs)
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++) {
      let sum = 0
      for (let r = 0; r < rank; r++) sum += Number(b[o * rank + r]) * Number(a[r * inputs + i])
      update[linear ? i * outputs + o : o * inputs + i] = scale * sum
    }
  return update
}

/**
 * The model of before `lora` with the trained updates added to its weights: it computes the same, as fast as before.
 * @throws UserError when the model has no updates
 */
export function mergeLora(trained: TrainedModel): TrainedModel {
  if (!hasLora(trained.model))
    throw new UserError(`mergeLora: ${trained.model.name} has no updates that lora has added`)
  const model = withoutLora(trained.model)
  const given = weightsOf(trained)
  const layout = layoutOf(model.parameters)
  const params = new Float32Array(layout.size)
  const { whole } = adaptableWeights(model)
  for (const [name, place] of views(layout, params)) {
    place.set(lookup(given, name))
    const names = loraNames(name)
    const [a, b, scale] = [names.a, names.b, names.scale].map(key => given.get(key))
    if (!a || !b || !scale) continue
    const use = whole.get(lookup(model.parameters, name))?.[0]
    const [rank = 1] = sizesOf(lookup(trained.model.parameters, names.a).shape)
    const linear = use?.kind === 'linear'
    const operand = updateOf(a, b, nth(scale, 0), { outputs: b.length / rank, rank, linear })
    const update = use ? unread(use, operand) : operand
    for (let i = 0; i < place.length; i++) place[i] = Number(place[i]) + Number(update[i])
  }
  return { ...trained, model, params }
}
