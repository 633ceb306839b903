import { batches } from '../data/batches.ts'
import { type DataInput, datasetOf } from '../data/source.ts'
import { exportOnnx } from '../export/export.ts'
import type { NdArray } from '../graph/array.ts'
import { UserError } from '../graph/errors.ts'
import type { TrainedModel } from '../nn/trained.ts'
import type { Runtime } from '../runtime/session.ts'
import { examplesOf, portsOf } from '../train/examples.ts'
import { fixedBatch, openPorts, rowsFrom } from '../train/fixed-batch.ts'
import { openPredictor } from '../train/predictor.ts'

/** Options of forms that are made with examples of what the model will see. */
export interface ExampleOptions {
  /** Examples like those that the model will see: arrays by name, a data set, or batches. Labels are not needed. */
  readonly data?: DataInput | undefined
  /** How many of them are run. @default 512 */
  readonly examples?: number | undefined
}

const EXAMPLES = 512
/** Files of any opset can be read: it has the operators of newer ones, too. */
const OPSET = 21
/** Examples of one run. */
const BATCH = 32

/** Inputs of a model, by name, in batches. */
export type Calibration = readonly Readonly<Record<string, NdArray>>[]

/**
 * The first examples of a data set in random order, so that sorted classes are all among them.
 * @throws UserError when the data set does not fit the model, or is empty
 */
export async function calibrationOf(
  { model }: TrainedModel,
  input: DataInput,
  examples = EXAMPLES,
): Promise<Calibration> {
  if (!Number.isInteger(examples) || examples < 1)
    throw new UserError(`examples must be a whole number above 0, not ${examples}`)
  const own = portsOf({ model, targets: {} })
  const ports = openPorts(own)
  const data = datasetOf('data', input, ports)
  const found: Record<string, NdArray>[] = []
  let left = examples
  for await (const batch of batches(data, { batch: Math.min(BATCH, left), shuffle: true })) {
    const { arrays, sizes } = examplesOf(data.name, ports, batch)
    const count = Number(sizes.batch ?? 1)
    const size = fixedBatch(own) ?? count
    // Batches share their memory, and files may fix how many examples they take at a time.
    for (let at = 0; at < count; at += size)
      found.push(
        Object.fromEntries(
          Object.entries(arrays).map(([name, a]) => [
            name,
            size === count ? { ...a, data: a.data.slice() } : rowsFrom(a, at, size),
          ]),
        ),
      )
    left -= count
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
  const predictor = await openPredictor(runtime, exportOnnx(trained, { opset: OPSET }))
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
