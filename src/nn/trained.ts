import { sizesOf } from '../graph/bind.ts'
import type { Tensors } from '../graph/graph.ts'
import { constant } from '../graph/leaf.ts'
import { zip } from '../graph/present.ts'
import type { Tensor } from '../graph/tensor.ts'
import { inferenceForm } from '../ops/mode.ts'
import { initialize, layoutOf, views } from './layout.ts'
import { insert, type Model } from './model.ts'

/** A model with its weights: the result of training, and the input of prediction and export. */
export interface TrainedModel<M extends Model = Model> {
  /** The model. */
  readonly model: M
  /** All parameters and buffers, flat, in the order of declaration: float32 `[P]`. */
  readonly params: Float32Array
  /** Names of the classes, by label. */
  readonly classes?: readonly string[]
  /** How pictures are preprocessed into its input, such as `{ kind: 'resize' }`; written to exported files. */
  readonly preprocessing?: { readonly kind: string }
  /** Training results, such as `{ testAccuracy: 0.98 }`; written to exported files. */
  readonly training?: Readonly<Record<string, unknown>>
}

/** A model with its initial weights; for a loaded model, those of its file. @param seed seed of the random weights */
export const initialized = <M extends Model>(model: M, seed = 0): TrainedModel<M> => ({
  model,
  params: initialize(layoutOf(model.parameters), seed),
})

export const isTrained = (source: object): source is TrainedModel => 'params' in source && 'model' in source

/** What is given with its weights: its own, or the initial ones of a model alone. */
export const trainedOf = (source: TrainedModel | Model): TrainedModel =>
  isTrained(source) ? source : initialized(source)

/** Weights by name, as views of the trained model's. */
export const weightsOf = ({ model, params }: TrainedModel): ReadonlyMap<string, Float32Array> =>
  views(layoutOf(model.parameters), params)

/**
 * A trained model as a function of tensors, with constant weights and in evaluation mode: a frozen part of another graph, such as
 * the teacher in distillation.
 */
export function constantModel(trained: TrainedModel): (inputs: Tensors) => Tensors {
  const { model } = trained
  const weights = weightsOf(trained)
  const fixed = new Map<Tensor, Tensor>(
    [...model.parameters].map(([name, p]) => [
      p,
      constant(weights.get(name) ?? [], p.dtype, sizesOf(p.shape)),
    ]),
  )
  const { outputs } = inferenceForm(model.graph)
  return inputs => {
    const made = insert(model.name, model.graph.inputs, inputs, Object.values(outputs), fixed)
    return Object.fromEntries(zip(Object.keys(outputs), made))
  }
}
