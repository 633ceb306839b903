import type { UserBatch } from '../data/dataset.ts'
import { exportOnnx } from '../export/export.ts'
import { type FileInfo, readOnnx } from '../export/read.ts'
import { dtypeOf } from '../export/tensor-data.ts'
import { UserError } from '../graph/errors.ts'
import { lookup } from '../graph/present.ts'
import { printable } from '../graph/printable.ts'
import { type Shape, UNKNOWN } from '../graph/shape.ts'
import type { Model } from '../nn/model.ts'
import { isTrained, type TrainedModel } from '../nn/trained.ts'
import type { OrtTensors, Runtime } from '../runtime/session.ts'
import { examplesOf, type Ports } from './examples.ts'
import { arraysOf, type InputArrays, type OutputArrays } from './model-arrays.ts'

/** Source of a predictor: a trained model, a model at its initial weights, or the bytes of an `.onnx` file. */
export type PredictorSource<M extends Model = Model> = TrainedModel<M> | M | Uint8Array

/** A model loaded for prediction. */
export interface Predictor<M extends Model = Model> {
  /** Its inputs by name. A variable size is a symbol; an unknown size is -1. */
  readonly inputs: Ports
  /** Names of its outputs. */
  readonly outputs: readonly string[]
  /** Names of the classes, by label, if the file or model has them. */
  readonly classes: readonly string[] | undefined
  /**
   * Runs the model: inputs and outputs by name, with any batch size if the first dim is a symbol.
   * @throws UserError for inputs that do not match
   */
  run(inputs: InputArrays<M>): Promise<OutputArrays<M>>
  /** Releases the model. */
  close(): Promise<void>
}

/** @internal The inputs of a file that are not weights. @throws UserError for one of a type that is not supported */
export function inputPorts({ proto }: FileInfo, name: string): Ports {
  const weights = new Set(proto.graph?.initializer?.map(t => t.name))
  const inputs = (proto.graph?.input ?? []).filter(i => !weights.has(i.name))
  return Object.fromEntries(
    inputs.map(({ name: key = '', type }) => {
      const dtype = dtypeOf(type?.tensorType?.elemType)
      if (!dtype) throw new UserError(`${name}: input ${printable(key)} is not a tensor of a supported type`)
      const dims = type?.tensorType?.shape?.dim ?? []
      const shape: Shape = dims.map((d, i) => d.dimValue ?? (d.dimParam || (i ? UNKNOWN : 'batch')))
      return [key, { dtype, shape }]
    }),
  )
}

/**
 * Loads a model on a runtime.
 * @param name its name in error messages
 * @throws UserError when it cannot be loaded
 */
export async function openPredictor<M extends Model>(
  runtime: Runtime,
  source: PredictorSource<M>,
  { name = 'the model', threads }: { readonly name?: string; readonly threads?: number | undefined } = {},
): Promise<Predictor<M>> {
  const bytes = source instanceof Uint8Array ? source : exportOnnx(source)
  const info = readOnnx(bytes, name)
  const inputs = inputPorts(info, name)
  const session = await runtime.load(bytes, threads ? { threads } : {})
  const classes =
    info.classes ?? (source instanceof Uint8Array || !isTrained(source) ? undefined : source.classes)
  return {
    inputs,
    outputs: session.outputs,
    classes,
    async run(given) {
      const { arrays } = examplesOf(name, inputs, given as UserBatch, false)
      const feeds = Object.entries(arrays).map(([key, { data, dims }]) => [
        key,
        runtime.tensor(lookup(inputs, key).dtype, data, dims),
      ])
      const got: OrtTensors = await session.run(Object.fromEntries(feeds))
      return arraysOf<M>(got)
    },
    close: () => session.close(),
  }
}
