import { readSafetensors, type SafeTensor, writeSafetensors } from '../../../src/export/safetensors.ts'
import type { TypedArray } from '../../../src/export/tensor-data.ts'
import type { Model } from '../../../src/nn/model.ts'
import type { StepInput } from '../../../src/train/executor.ts'
import { initialize, layoutOf, views } from '../../../src/train/layout.ts'

/** Where training starts: parameters, and the one batch that every step takes. */
export interface Start {
  readonly parameters: Readonly<Record<string, SafeTensor>>
  readonly input: SafeTensor
  readonly label: SafeTensor
}

export function writeStart(model: Model, { input, label, count }: StepInput, seed: number): Uint8Array {
  const layout = layoutOf(model.parameters)
  const parameters = views(layout, initialize(layout, seed))
  const rows = (dtype: 'float32' | 'int32', data: TypedArray, shape: readonly number[]): SafeTensor => ({
    dtype,
    shape: [count, ...shape],
    data,
  })
  return writeSafetensors({
    ...Object.fromEntries(
      layout.slots.map(({ name, shape }) => [name, { dtype: 'float32', shape, data: parameters.get(name)! }]),
    ),
    input: rows(model.input.dtype, input, model.input.shape),
    label: rows('int32', label, label.length === count ? [] : [label.length / count]),
  })
}

export function readStart(bytes: Uint8Array): Start {
  const { input, label, ...parameters } = readSafetensors(bytes, 'the start').tensors
  return { parameters, input: input!, label: label! }
}
