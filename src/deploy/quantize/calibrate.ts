import { batches } from '../../data/batches.ts'
import type { Dataset } from '../../data/dataset.ts'
import { exportOnnx } from '../../export/export.ts'
import type { NdArray } from '../../graph/array.ts'
import { UserError } from '../../graph/errors.ts'
import { lookup, nth } from '../../graph/present.ts'
import type { Tensor } from '../../graph/tensor.ts'
import { type Model, modelOf } from '../../nn/model.ts'
import type { TrainedModel } from '../../nn/trained.ts'
import type { Runtime } from '../../runtime/session.ts'
import { examplesOf, type Ports, portsOf } from '../../train/examples.ts'
import { anyBatch, openPorts } from '../../train/fixed-batch.ts'
import { openPredictor } from '../../train/predictor.ts'
import { count, type Extremes, extremes, histogramFor } from './histogram.ts'
import type { Observed } from './ranges.ts'

/** Examples of one run. */
const BATCH = 32

/** Inputs of a model, by name, in batches. */
export type Calibration = readonly Readonly<Record<string, NdArray>>[]

/** What examples a model is given. */
export const calibrationPorts = (model: Model): Ports => openPorts(portsOf({ model, targets: {} }))

/**
 * The first examples of a data set in random order, so that sorted classes are all among them.
 * @throws UserError when the data set does not fit the model, or is empty
 */
export async function calibrationOf(
  { model }: TrainedModel,
  data: Dataset,
  examples: number,
): Promise<Calibration> {
  const ports = calibrationPorts(model)
  const found: Record<string, NdArray>[] = []
  let left = examples
  for await (const batch of batches(data, { batch: Math.min(BATCH, left), shuffle: true })) {
    const { arrays, sizes } = examplesOf(data.name, ports, batch)
    // Batches share their memory.
    found.push(
      Object.fromEntries(
        Object.entries(arrays).map(([name, { data, dims }]) => [name, { data: data.slice(), dims }]),
      ),
    )
    left -= Number(sizes.batch ?? 1)
    if (left <= 0) break
  }
  if (!found.length) throw new UserError(`${data.name}: has no examples to calibrate with`)
  return found
}

/** What a model answers to each batch: outputs by name. */
export async function* answers(
  runtime: Runtime,
  trained: TrainedModel,
  calibration: Calibration,
): AsyncGenerator<Readonly<Record<string, NdArray>>> {
  const predictor = anyBatch(await openPredictor(runtime, exportOnnx(trained)))
  try {
    for (const batch of calibration) yield await predictor.run(batch)
  } finally {
    await predictor.close()
  }
}

/** All that a model answers. */
export async function answersTo(
  runtime: Runtime,
  trained: TrainedModel,
  calibration: Calibration,
): Promise<readonly Readonly<Record<string, NdArray>>[]> {
  const found = []
  for await (const outputs of answers(runtime, trained, calibration)) found.push(outputs)
  return found
}

/** A model whose outputs are some of its tensors. */
function returning({ model, ...trained }: TrainedModel, tensors: ReadonlySet<Tensor>): TrainedModel {
  const { name, config, inputs, layers, parameters, graph } = model
  const outputs = Object.fromEntries([...tensors].map((t, i) => [`observed.${i}`, t]))
  return {
    ...trained,
    model: modelOf({ name, config, inputs, layers, parameters, leaves: graph.inputs, outputs }),
  }
}

/**
 * What some tensors of a model hold on calibration data. It is read twice: for the extremes, then for how often values between them
 * occur.
 * @throws UserError when a tensor is not finite
 */
export async function observe(
  runtime: Runtime,
  trained: TrainedModel,
  tensors: ReadonlySet<Tensor>,
  calibration: Calibration,
): Promise<ReadonlyMap<Tensor, Observed>> {
  if (!tensors.size) return new Map()
  const { classes: _, ...own } = trained
  const observed = returning(own, tensors)
  const found = [...tensors].map(t => ({ t, ...extremes([]) }))
  for await (const outputs of answers(runtime, observed, calibration))
    for (const [i, seen] of found.entries())
      Object.assign(seen, extremes(floats(lookup(outputs, `observed.${i}`)), seen))
  for (const { t, low, high } of found) checkFinite(t, { low, high })
  const histograms = found.map(seen => histogramFor(seen))
  for await (const outputs of answers(runtime, observed, calibration))
    for (const [i, histogram] of histograms.entries())
      count(histogram, floats(lookup(outputs, `observed.${i}`)))
  return new Map(found.map(({ t, low, high }, i) => [t, { low, high, histogram: nth(histograms, i) }]))
}

const floats = ({ data }: NdArray): ArrayLike<number> => data as Float32Array

function checkFinite({ node }: Tensor, { low, high }: Extremes): void {
  if (Number.isFinite(low) && Number.isFinite(high)) return
  throw new UserError(
    `${node.scope || node.op.type}: holds ${Number.isFinite(low) ? high : low} on the calibration data, which int8 cannot represent`,
  )
}
