import { type SafeTensor, writeSafetensors } from '../export/safetensors.ts'
import { UserError } from '../graph/errors.ts'
import { rewriteTensors } from '../graph/graph.ts'
import { input } from '../graph/leaf.ts'
import { lookup } from '../graph/present.ts'
import type { Shape } from '../graph/shape.ts'
import type { Tensor } from '../graph/tensor.ts'
import { copyShared, layoutOf, type Slot } from '../nn/layout.ts'
import { modelOf, type PortSpec } from '../nn/model.ts'
import { remade } from '../nn/rewrite.ts'
import { type TrainedModel, weightsOf } from '../nn/trained.ts'
import { matchesAny, type NamePattern } from '../optim/patterns.ts'
import { LORA } from './lora.ts'
import { isLora } from './merge.ts'

/** Options of `adapterInputs` and `writeAdapter`. */
export interface AdapterOptions {
  /** Names of further parameters that belong to the adapter, such as a head that was trained with it. @default none */
  readonly include?: NamePattern | readonly NamePattern[] | undefined
}

/** The symbol of the rank: adapters of any rank fit into one file. */
const RANK = 'rank'

function slotsOf({ model }: TrainedModel, { include }: AdapterOptions): Slot[] {
  const { slots } = layoutOf(model.parameters)
  const idle = (include === undefined ? [] : [include].flat()).find(
    pattern => !slots.some(slot => matchesAny(pattern, slot.name)),
  )
  if (idle !== undefined) throw new UserError(`adapter: no parameter of ${model.name} matches ${idle}`)
  const own = slots.filter(
    // Running statistics that training steps update are the adapter's too.
    ({ name }) => isLora(name) || Object.hasOwn(model.assigned, name) || matchesAny(include, name),
  )
  if (own.some(({ name }) => isLora(name))) return own
  throw new UserError(`adapter: ${model.name} has no updates that lora has added`)
}

const shapeOf = ({ name, shape }: Slot): Shape => {
  if (!LORA.test(name)) return shape
  const axis = name.endsWith('lora_A.weight') ? 0 : 1
  return shape.map((d, i) => (i === axis ? RANK : d))
}

/**
 * A model whose adapter is not part of its weights: the updates of `lora` are inputs, under the names of their parameters. Its file is
 * the base that adapters share; one session switches between them by what it is given, of any rank: {@link writeAdapter} writes one.
 * All inputs must be given, since onnxruntime for JavaScript ignores values for optional ones; zeros in `lora_B` are no adapter.
 * @throws UserError when the model has no updates
 */
export function adapterInputs(trained: TrainedModel, options: AdapterOptions = {}): TrainedModel {
  const { model } = trained
  const slots = slotsOf(trained, options)
  const ports = Object.fromEntries(
    slots.map(slot => [
      slot.name,
      { shape: shapeOf(slot), batch: false, about: 'of the adapter' } satisfies PortSpec,
    ]),
  )
  const leaves = Object.fromEntries(
    slots.map(slot => [slot.name, input(slot.name, 'float32', shapeOf(slot))]),
  )
  const replaced = new Map<Tensor, Tensor>(
    slots.map(({ name }) => [lookup(model.parameters, name), lookup(leaves, name)]),
  )
  const parameters = new Map([...model.parameters].filter(([name]) => !Object.hasOwn(ports, name)))
  const base = modelOf({
    name: model.name,
    config: model.config,
    inputs: { ...model.inputs, ...ports },
    layers: Object.fromEntries(parameters),
    parameters,
    leaves: { ...model.graph.inputs, ...leaves },
    // A file is for prediction: it assigns nothing.
    ...remade({ ...model, assigned: {} }, roots => rewriteTensors(roots, () => undefined, replaced)),
    normalization: model.normalization,
  })
  const layout = layoutOf(parameters)
  const params = new Float32Array(layout.size)
  copyShared(layoutOf(model.parameters), trained.params, layout, params)
  return { ...trained, model: base, params }
}

/**
 * The adapter of a model as a small safetensors file: the updates of `lora`, and what else `include` names. `loadWeights` reads it
 * for the inputs of the file of {@link adapterInputs}, or as `weights` of a training.
 * @throws UserError when the model has no updates
 */
export function writeAdapter(trained: TrainedModel, options: AdapterOptions = {}): Uint8Array {
  const weights = weightsOf(trained)
  const tensors = slotsOf(trained, options).map(({ name, shape }): [string, SafeTensor] => [
    name,
    { dtype: 'float32', shape, data: lookup(weights, name) },
  ])
  return writeSafetensors(Object.fromEntries(tensors), { 'onnxgrad.model': trained.model.name })
}
