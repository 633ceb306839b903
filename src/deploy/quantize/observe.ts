import type { NdArray } from '../../graph/array.ts'
import { UserError } from '../../graph/errors.ts'
import { lookup, nth } from '../../graph/present.ts'
import type { Tensor } from '../../graph/tensor.ts'
import { modelOf } from '../../nn/model.ts'
import type { TrainedModel } from '../../nn/trained.ts'
import type { Runtime } from '../../runtime/session.ts'
import { answers, type Calibration } from '../calibration.ts'
import { count, type Extremes, extremes, histogramFor } from './histogram.ts'
import type { Observed } from './ranges.ts'

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
