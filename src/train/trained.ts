import type { DataSource, Normalization } from '../data/dataset.ts'
import type { Preprocessing } from '../data/preprocess.ts'
import { exportOnnx } from '../export/export.ts'
import type { Graph } from '../graph/graph.ts'
import type { Model, TraceOptions } from '../nn/model.ts'
import { removeDropout } from '../passes/dropout.ts'
import { pushSlices } from '../passes/slices.ts'
import { VERSION } from '../version.ts'
import type { FitResult } from './fit-options.ts'
import { traceNormalized } from './forward.ts'
import { layoutOf, views } from './layout.ts'

/** A model with its weights: what training gives and export takes. */
export interface TrainedModel {
  readonly model: Model
  /** All parameters, flat, in the order of the model's layout. */
  readonly params: Float32Array
  readonly normalization?: Normalization
  /** How pictures become its input. */
  readonly preprocessing?: Preprocessing
  /** Class names, by index. */
  readonly classes?: readonly string[]
  /** What the training came to; goes into the file's metadata. */
  readonly training?: Readonly<Record<string, unknown>>
}

/** Puts the outcome of a run together with its model. Nothing in it depends on the clock. */
export const trainedModel = (model: Model, data: DataSource, result: FitResult): TrainedModel => ({
  model,
  params: result.params,
  ...(data.normalization ? { normalization: data.normalization } : {}),
  ...(data.preprocessing ? { preprocessing: data.preprocessing } : {}),
  classes: data.train.classes,
  training: {
    data: data.train.name,
    images: data.train.size,
    epochs: result.epoch,
    steps: result.steps,
    ...(result.val && result.best ? { bestEpoch: result.best.epoch } : {}),
    trainAccuracy: result.train.accuracy,
    ...(result.val ? { valAccuracy: result.val.accuracy } : {}),
    testAccuracy: result.test.accuracy,
  },
})

export interface OnnxOptions {
  /** 17 to 21. @default 17 */
  readonly opset?: number
  /** Also output `probabilities`. @default false */
  readonly probabilities?: boolean
  /** Also output what each block attends to, as `attention.0` … `[batch, heads, T, T]`. @default false */
  readonly attention?: boolean
}

/** The graph that is shipped: any batch size, pixels in [0, 1] in, logits out, nothing of the training in it. */
export const servingGraph = (
  { model, normalization }: Pick<TrainedModel, 'model' | 'normalization'>,
  options?: TraceOptions,
): Graph => removeDropout(traceNormalized(model, 'batch', normalization, options))

/**
 * The trained model as the bytes of an `.onnx` file; equal models give equal bytes.
 * @throws UserError when attention is asked of a model that has none
 */
export function toOnnx(trained: TrainedModel, options: OnnxOptions = {}): Uint8Array {
  const { model, params, preprocessing, normalization, classes, training } = trained
  const optional = Object.entries({ preprocessing, normalization, classes, training }).filter(
    ([, v]) => v !== undefined,
  )
  // No more is computed than is read: of a ViT's last block, the CLS token.
  const graph = pushSlices(servingGraph(trained, options))
  return exportOnnx(graph, views(layoutOf(model.parameters), params), {
    ...options,
    ...Object.fromEntries(optional),
    model: { name: model.name, config: model.config },
    version: VERSION,
  })
}
