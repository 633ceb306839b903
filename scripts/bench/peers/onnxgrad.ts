import { buildModel } from '../../../models/index.ts'
import { nth } from '../../../src/graph/present.ts'
import { adam } from '../../../src/optim/optimizer.ts'
import type { Runtime } from '../../../src/runtime/session.ts'
import { classification } from '../../../src/tasks/classification.ts'
import { ONLY } from '../../../src/train/step/state.ts'
import { Trainer } from '../../../src/train/trainer.ts'
import type { SingleStep } from '../../../src/train/trainer-options.ts'
import type { Request } from './protocol.ts'
import type { Start } from './start.ts'

/** Our own side of the comparison: a function that takes a step and gives its loss. */
export async function trainOnnxgrad(
  runtime: Runtime,
  { model: name, config, lr, threads }: Omit<Request, 'start'>,
  { parameters, input, label }: Start,
): Promise<() => Promise<number>> {
  const model = buildModel(name, config)
  const weights = Object.entries(parameters).map(([key, { data }]) => [key, data])
  const trainer = new Trainer<SingleStep>(runtime, model, {
    task: classification(),
    optimizer: adam({ lr }),
    weights: Object.fromEntries(weights),
    seed: 1,
    threads,
  })
  const [key] = Object.keys(model.inputs) as [string]
  const batch = {
    [key]: { data: input.data, dims: input.shape },
    label: { data: label.data, dims: label.shape },
  }
  await trainer.executor.prepare(ONLY, { batch: nth(input.shape, 0) })
  return async () => (await trainer.step(batch)).loss
}
