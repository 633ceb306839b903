import { UserError } from '../../graph/errors.ts'
import { postorder } from '../../graph/graph.ts'
import { match } from '../../graph/match.ts'
import { nth } from '../../graph/present.ts'
import type { Tensor } from '../../graph/tensor.ts'
import { startingAt } from '../../nn/edit.ts'
import type { Model } from '../../nn/model.ts'
import { type TrainedModel, trainedOf } from '../../nn/trained.ts'
import { QuantizeLinear } from '../../ops/image-primitives.ts'
import type { Runtime } from '../../runtime/session.ts'
import { answersTo, type Calibration, calibrationOf, type ExampleOptions } from '../calibration.ts'
import { fold } from '../fold.ts'
import { optimizeModel } from '../optimize.ts'
import { withIntegerBiases } from './bias.ts'
import { compacted } from './compact.ts'
import { type Deviation, deviationOf } from './deviation.ts'
import { withDynamicProducts } from './dynamic.ts'
import type { Extremes } from './histogram.ts'
import { type LayerOptions, layersOf, refuseSmall } from './layers.ts'
import { observe } from './observe.ts'
import { type Product, rootsOf } from './products.ts'
import { CALIBRATION_METHODS, type CalibrationMethod, type Observed, rangeOf } from './ranges.ts'
import { weightSteps } from './scales.ts'
import { observedBy, withRounding } from './static.ts'

/** Options of `quantize` and `quantizationAware`. */
export interface CalibrationOptions extends LayerOptions, ExampleOptions {
  /** How ranges are chosen. @default the one whose outputs are closest to the model's */
  readonly method?: CalibrationMethod | undefined
  /** Called before each form that is tried, with how many are done. */
  readonly onProgress?: ((what: string, done: number, of: number) => void) | undefined
}

/** How a quantized model was made. */
export interface Quantization {
  /** How ranges were chosen. */
  readonly method: CalibrationMethod
  /** Names of the weights that are int8. */
  readonly layers: readonly string[]
  /** Names of the weights that stay float32, because measurement shows that this reduces the error. */
  readonly kept: readonly string[]
  /** On the calibration data. */
  readonly deviation: Deviation
}

/** A model whose weights are 8-bit integers. */
export type Quantized = TrainedModel & { readonly quantization?: Quantization }

/** Batches on which layers are compared with each other. */
const SOME = 4
/** Share of the weights that may stay float32, and by how much the error must fall for it. */
const MOST_KEPT = 0.03
const PAYS = 0.85

/** What quantization needs: the optimized model, the ranges of its tensors, and what the model answers. */
interface Calibrated extends Pick<LayerOptions, 'keep'> {
  readonly runtime: Runtime
  readonly base: TrainedModel
  readonly products: readonly Product[]
  readonly ranges: (method: CalibrationMethod) => ReadonlyMap<Tensor, Extremes>
  readonly calibration: Calibration
  readonly expected: Awaited<ReturnType<typeof answersTo>>
  /** The largest integer of a weight. */
  readonly steps: number
}

/** Which layers are quantized, and how. */
interface Choice {
  readonly method: CalibrationMethod
  readonly products: readonly Product[]
}

/** The ranges of tensors by a method, which are found once: each layer that is tried alone reads them again. */
function rangesBy(observed: ReadonlyMap<Tensor, Observed>): Calibrated['ranges'] {
  const known = new Map<CalibrationMethod, ReadonlyMap<Tensor, Extremes>>()
  return method => {
    const ranges =
      known.get(method) ?? new Map([...observed].map(([t, seen]) => [t, rangeOf(method, seen)] as const))
    known.set(method, ranges)
    return ranges
  }
}

async function calibrated(
  runtime: Runtime,
  trained: TrainedModel,
  options: CalibrationOptions,
): Promise<Calibrated> {
  const { data, examples, method, keep } = options
  if (data === undefined)
    throw new UserError(
      `${trained.model.name}: int8 needs data to calibrate ranges on: a few hundred examples like those that the model will see`,
    )
  if (method !== undefined && !CALIBRATION_METHODS.includes(method))
    throw new UserError(`method must be one of ${CALIBRATION_METHODS.join(', ')}, not ${method}`)
  const base = await optimizeModel(runtime, trained)
  const products = layersOf(base, options)
  const calibration = await calibrationOf(base, data, examples)
  const observed = await observe(runtime, base, observedBy(base, products), calibration)
  const expected = await answersTo(runtime, base, calibration)
  const steps = weightSteps(options.reduceRange)
  return { runtime, base, products, ranges: rangesBy(observed), calibration, expected, keep, steps }
}

/** The model as its file holds it: integers in place of the weights, and everything else in as few bytes as it needs. */
const stored = (
  runtime: Runtime,
  rounding: TrainedModel,
  keep: LayerOptions['keep'],
): Promise<TrainedModel> => fold(runtime, compacted(withIntegerBiases(rounding), keep))

const roundingOf = ({ base, ranges, steps }: Calibrated, { method, products }: Choice): TrainedModel =>
  withRounding(base, products, ranges(method), steps)

async function deviation(
  from: Calibrated,
  choice: Choice,
  most = Number.POSITIVE_INFINITY,
): Promise<Deviation> {
  const { runtime, calibration, expected, keep } = from
  const form = await stored(runtime, roundingOf(from, choice), keep)
  const got = await answersTo(runtime, form, calibration.slice(0, most))
  return deviationOf(expected.slice(0, most), got)
}

/** The method whose outputs are closest to the model's. */
async function methodOf(
  from: Calibrated,
  { method, onProgress }: CalibrationOptions,
): Promise<CalibrationMethod> {
  if (method) return method
  const errors = []
  for (const [i, method] of CALIBRATION_METHODS.entries()) {
    onProgress?.(method, i, CALIBRATION_METHODS.length)
    errors.push((await deviation(from, { method, products: from.products }, SOME)).error)
  }
  return nth(CALIBRATION_METHODS, errors.indexOf(Math.min(...errors)))
}

/** Layers by how much the outputs change when they alone are quantized, the most sensitive first. */
async function bySensitivity(
  from: Calibrated,
  method: CalibrationMethod,
  { onProgress }: CalibrationOptions,
): Promise<readonly Product[]> {
  const found: { product: Product; error: number }[] = []
  for (const product of from.products) {
    onProgress?.(product.name, found.length, from.products.length)
    const { error } = await deviation(from, { method, products: [product] }, SOME)
    found.push({ product, error })
  }
  return found.sort((a, b) => b.error - a.error).map(({ product }) => product)
}

/** Leaves the most sensitive layers float32, one after the other, as long as that pays. */
async function chosen(
  from: Calibrated,
  options: CalibrationOptions,
): Promise<Choice & Pick<Quantization, 'deviation'>> {
  const method = await methodOf(from, options)
  let best = {
    method,
    products: from.products,
    deviation: await deviation(from, { method, products: from.products }),
  }
  if (options.keep !== undefined) return best
  const sensitive = await bySensitivity(from, method, options)
  let left = MOST_KEPT * from.products.reduce((sum, { size }) => sum + size, 0)
  for (const product of sensitive) {
    if (product.size > left) continue
    const products = best.products.filter(p => p !== product)
    if (!products.length) break
    const next = { method, products, deviation: await deviation(from, { method, products }) }
    if (!(next.deviation.error < PAYS * best.deviation.error)) break
    best = next
    left -= product.size
  }
  return best
}

/** Whether a model rounds to integers already. */
const isRounding = (model: Model): boolean =>
  postorder(rootsOf(model)).some(node => match(node, QuantizeLinear) !== undefined)

/**
 * A model of 8-bit integers for inference: its linear layers and convolutions multiply int8 weights, which have a scale for each
 * output, with uint8 activations, whose ranges are calibrated on data. Its file has QuantizeLinear and DequantizeLinear around float
 * operators, which runtimes replace with integer kernels. A model that {@link quantizationAwareModel} made and that was trained knows
 * its ranges, and needs no data.
 * @throws UserError when the model has nothing to quantize, or data does not fit it
 */
export async function quantizeModel(
  runtime: Runtime,
  source: TrainedModel | Model,
  options: CalibrationOptions,
): Promise<Quantized> {
  const trained = trainedOf(source)
  if (isRounding(trained.model)) {
    refuseSmall(trained.model, ['int8', 'uint8'])
    return stored(runtime, trained, options.keep)
  }
  const from = await calibrated(runtime, trained, options)
  const choice = await chosen(from, options)
  const quantization = quantizationOf(from, choice)
  return { ...(await stored(runtime, roundingOf(from, choice), from.keep)), quantization }
}

function quantizationOf(
  { products }: Calibrated,
  choice: Choice & Pick<Quantization, 'deviation'>,
): Quantization {
  const layers = choice.products.map(({ name }) => name)
  return {
    method: choice.method,
    layers,
    kept: products.map(({ name }) => name).filter(name => !layers.includes(name)),
    deviation: choice.deviation,
  }
}

/**
 * A model for quantization-aware training: it starts at the weights of a trained one and rounds as its int8 file will, so that
 * training finds weights that lose little when they are rounded. An epoch or two with a small learning rate are enough.
 * `quantizeModel` turns the result into integers.
 * @throws UserError as {@link quantizeModel} does
 */
export async function quantizationAwareModel(
  runtime: Runtime,
  source: TrainedModel | Model,
  options: CalibrationOptions,
): Promise<Model> {
  const from = await calibrated(runtime, trainedOf(source), options)
  const choice = await chosen(from, options)
  return startingAt(roundingOf(from, choice))
}

/**
 * A model whose weights are 8-bit integers, without calibration: linear layers multiply integers, with a scale of the activations
 * that is computed at each run.
 * @throws UserError when the model has nothing to quantize
 */
export async function quantizeDynamically(
  runtime: Runtime,
  source: TrainedModel | Model,
  options: LayerOptions = {},
): Promise<TrainedModel> {
  const base = await optimizeModel(runtime, trainedOf(source))
  const steps = weightSteps(options.reduceRange)
  const form = withDynamicProducts(base, layersOf(base, options), steps)
  return fold(runtime, compacted(form, options.keep))
}
