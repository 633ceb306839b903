import type { Model } from '../nn/model.ts'
import { type TrainedModel, trainedOf } from '../nn/trained.ts'
import type { Runtime } from '../runtime/session.ts'
import { type Open, within } from '../train/api.ts'
import { type Float16Model, type Float16Options, toFloat16 } from './float16.ts'
import { optimizeModel } from './optimize.ts'
import type { LayerOptions } from './quantize/layers.ts'
import {
  type CalibrationOptions,
  type Quantized,
  quantizationAwareModel,
  quantizeDynamically,
  quantizeModel,
} from './quantize/quantize.ts'

// What `onnxgrad/node` and `onnxgrad/web` export, on the runtimes of either, each a function of its own.

type Source = TrainedModel | Model

export const optimizeOn = <O>(open: Open<O>, source: Source, options: O): Promise<TrainedModel> =>
  within(open, options, runtime => optimizeModel(runtime, trainedOf(source)))

export const float16On = <O extends Float16Options>(
  open: Open<O>,
  source: Source,
  options: O,
): Promise<Float16Model> => within(open, options, runtime => float16Of(runtime, trainedOf(source), options))

/** The form of half precision of a model that is optimized first. */
export const float16Of = async (
  runtime: Runtime,
  trained: TrainedModel,
  options: Float16Options,
): Promise<Float16Model> => toFloat16(runtime, await optimizeModel(runtime, trained), options)

export const quantizeOn = <O extends CalibrationOptions>(
  open: Open<O>,
  source: Source,
  options: O,
): Promise<Quantized> => within(open, options, runtime => quantizeModel(runtime, source, options))

export const quantizationAwareOn = <O extends CalibrationOptions>(
  open: Open<O>,
  source: Source,
  options: O,
): Promise<Model> => within(open, options, runtime => quantizationAwareModel(runtime, source, options))

export const quantizeDynamicOn = <O extends LayerOptions>(
  open: Open<O>,
  source: Source,
  options: O,
): Promise<TrainedModel> => within(open, options, runtime => quantizeDynamically(runtime, source, options))
