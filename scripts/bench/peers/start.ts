import type { Batch } from '../../../src/data/batches.ts'
import { readSafetensors, type SafeTensor, writeSafetensors } from '../../../src/export/safetensors.ts'
import type { DType } from '../../../src/graph/dtype.ts'
import { lookup, nth } from '../../../src/graph/present.ts'
import { initialize, layoutOf, views } from '../../../src/nn/layout.ts'
import type { Model } from '../../../src/nn/model.ts'

/** Where training starts: parameters, and the one batch that every step takes. */
export interface Start {
  readonly parameters: Readonly<Record<string, SafeTensor>>
  readonly input: SafeTensor
  readonly label: SafeTensor
}

/** @param batch of a model with one input */
export function writeStart(model: Model, batch: Batch, seed: number): Uint8Array {
  const layout = layoutOf(model.parameters)
  const parameters = views(layout, initialize(layout, seed))
  const name = nth(Object.keys(model.inputs), 0)
  const array = (key: string, type: DType): SafeTensor => ({
    dtype: type,
    shape: lookup(batch, key).dims,
    data: lookup(batch, key).data,
  })
  return writeSafetensors({
    ...Object.fromEntries(
      layout.slots.map(({ name, shape }) => [
        name,
        { dtype: 'float32', shape, data: lookup(parameters, name) },
      ]),
    ),
    input: array(name, lookup(model.graph.inputs, name).dtype),
    label: array('label', 'int32'),
  })
}

export function readStart(bytes: Uint8Array): Start {
  const { tensors } = readSafetensors(bytes, 'the start')
  const { input: _, label: __, ...parameters } = tensors
  return { parameters, input: lookup(tensors, 'input'), label: lookup(tensors, 'label') }
}
