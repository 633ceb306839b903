import { halfValues } from '../graph/half.ts'
import { lookup } from '../graph/present.ts'
import { layoutOf, views } from '../nn/layout.ts'
import type { Model } from '../nn/model.ts'
import { type TrainedModel, trainedOf } from '../nn/trained.ts'
import { readSafetensors, type SafeTensor, writeSafetensors } from './safetensors.ts'
import { toTyped } from './tensor-data.ts'

/** The weights of a model as a safetensors file, with their names, shapes and dtypes. */
export function writeWeightsFile(source: TrainedModel | Model): Uint8Array {
  const { model, params } = trainedOf(source)
  const layout = layoutOf(model.parameters)
  const values = views(layout, params)
  const tensors: Record<string, SafeTensor> = {}
  for (const { name, shape } of layout.slots) {
    const { dtype } = lookup(model.parameters, name)
    const data = lookup(values, name)
    tensors[name] = { dtype, shape, data: toTyped(data, dtype, data.length) }
  }
  return writeSafetensors(tensors, {})
}

/**
 * The float weights of a safetensors file by name, as float32, whatever their precision; the optimizer's vectors of a checkpoint are left out.
 * @throws UserError when the file is damaged
 */
export function readWeightsFile(bytes: Uint8Array, name: string): Readonly<Record<string, Float32Array>> {
  const { tensors } = readSafetensors(bytes, name)
  const floats = Object.entries(tensors).flatMap(([key, { dtype, data }]): [string, Float32Array][] => {
    if (key.startsWith('optimizer.')) return []
    if (data instanceof Float32Array) return [[key, data]]
    if (data instanceof Float64Array) return [[key, Float32Array.from(data)]]
    return dtype === 'float16' && data instanceof Uint16Array ? [[key, halfValues(data)]] : []
  })
  return Object.fromEntries(floats)
}
