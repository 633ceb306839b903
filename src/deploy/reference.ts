import type { TrainedModel } from '../nn/trained.ts'
import type { Runtime } from '../runtime/session.ts'
import { examplesOf, portsOf } from '../train/examples.ts'
import { anyBatch } from '../train/fixed-batch.ts'
import { hold } from '../train/forward.ts'
import type { Predictor } from '../train/predictor.ts'

/** What answers inputs by name with outputs by name. */
export type Runner = Pick<Predictor, 'inputs' | 'run' | 'close'>

/** The graph that training evaluates, with a model's weights: what an exported file must agree with. */
export function trainingPredictor(runtime: Runtime, trained: TrainedModel): Runner {
  const { model } = trained
  const { forward, parameters, close } = hold(runtime, trained)
  const inputs = portsOf({ model, targets: {} })
  return anyBatch({
    inputs,
    outputs: Object.keys(model.outputs),
    classes: undefined,
    async run(given) {
      const { arrays } = examplesOf(model.name, inputs, given, false)
      return forward.predict(arrays, parameters)
    },
    close,
  })
}
