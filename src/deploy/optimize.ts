import type { TrainedModel } from '../nn/trained.ts'
import { withFoldedWeights } from '../passes/deployment.ts'
import type { Runtime } from '../runtime/session.ts'
import { fold } from './fold.ts'
import { deployed, inferenceModel } from './inference.ts'

/**
 * A model that gives the same outputs, up to rounding, in less time: batch norms and other scales and shifts are part of the weights
 * next to them, and what depends on weights alone is computed once, now. It is not for training: it has other parameters, and no
 * intermediates, which would keep alive what no output needs.
 * @param runtime computes the new weights
 */
export function optimizeModel(runtime: Runtime, trained: TrainedModel): Promise<TrainedModel> {
  const model = { ...trained.model, intermediates: {} }
  return fold(runtime, deployed(inferenceModel({ ...trained, model }), withFoldedWeights))
}
