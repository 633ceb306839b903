import { type DataInput, datasetOf } from '../data/source.ts'
import type { Model } from '../nn/model.ts'
import { type TrainedModel, trainedOf } from '../nn/trained.ts'
import type { Runtime } from '../runtime/session.ts'
import type { Task } from '../tasks/task.ts'
import { checkDataset } from './check-data.ts'
import { portsOf } from './examples.ts'
import { hold } from './forward.ts'
import type { Evaluation } from './measured.ts'

/** Options of `evaluate`. */
export interface EvaluateOptions {
  /** Its targets, loss and metrics are evaluated. */
  readonly task: Task
  /** Arrays by name, a data set, or a stream of batches. */
  readonly data: DataInput
  /** Examples of one run. @default 250 */
  readonly batch?: number | undefined
  /** Threads of one op. @default the physical cores */
  readonly threads?: number | undefined
}

/**
 * Loss and metrics of a model over a whole data set; every example counts once.
 * @throws UserError when model, task and data do not match
 */
export async function evaluateModel(
  runtime: Runtime,
  source: TrainedModel | Model,
  { task, data, batch, threads }: EvaluateOptions,
): Promise<Evaluation> {
  const trained = trainedOf(source)
  const { model } = trained
  const objective = task.trace(model).evaluation
  const ports = portsOf(objective)
  const dataset = datasetOf('data', data, ports)
  checkDataset(model.name, dataset, ports)
  const { forward, parameters, close } = hold(runtime, trained, { threads })
  try {
    return await forward.evaluate(objective, dataset, parameters, batch)
  } finally {
    await close()
  }
}
