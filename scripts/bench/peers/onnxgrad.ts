import { buildModel } from '../../../models/index.ts'
import type { Runtime } from '../../../src/runtime/session.ts'
import { Executor, type StepInput } from '../../../src/train/executor.ts'
import { layoutOf } from '../../../src/train/layout.ts'
import { adam } from '../../../src/train/optimizer.ts'
import type { Request } from './protocol.ts'
import type { Start } from './start.ts'

/** Our own side of the comparison: a function that takes a step and gives its loss. */
export async function trainOnnxgrad(
  runtime: Runtime,
  { model: name, config, lr, threads }: Omit<Request, 'start'>,
  { parameters, input, label }: Start,
): Promise<() => Promise<number>> {
  const model = buildModel(name, config)
  const layout = layoutOf(model.parameters)
  const params = new Float32Array(layout.size)
  for (const slot of layout.slots) params.set(parameters[slot.name]!.data as Float32Array, slot.offset)
  const executor = new Executor(
    model,
    runtime,
    layout,
    { params },
    { seed: 1, optimizer: adam({ lr }), threads },
  )
  const count = input.shape[0]!
  const batch: StepInput = {
    input: input.data as Float32Array,
    label: label.data as Int32Array,
    count,
  }
  await executor.prepare(count)
  let step = 0
  return async () => (await executor.step(batch, ++step, lr)).loss
}
