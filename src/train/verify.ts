import { batches } from '../data/batches.ts'
import type { Dataset, UserBatch } from '../data/dataset.ts'
import type { NdArray, TypedArray } from '../graph/array.ts'
import { nth } from '../graph/present.ts'
import type { TrainedModel } from '../nn/trained.ts'
import type { Runtime } from '../runtime/session.ts'
import { examplesOf, portsOf } from './examples.ts'
import { anyBatch } from './fixed-batch.ts'
import { hold } from './forward.ts'
import { openPredictor, type Predictor } from './predictor.ts'

/** How many examples are compared, in which batches, and how far a value may be off, unless somebody says otherwise. */
export const VERIFY = { count: 256, batch: 100, tolerance: 1e-4 }

/** One runtime's results, compared with the reference. */
export interface Verdict {
  /** Such as `onnxruntime-node cpu`. */
  readonly runtime: string
  /** Of onnxruntime. */
  readonly version: string
  /** Largest difference of any output; NaN when the runtime gave something that is not a number. */
  readonly maxAbsDiff: number
  /** Whether the difference is within the tolerance. */
  readonly ok: boolean
  /** Why the runtime returned nothing. */
  readonly error?: string
}

/** What answers inputs by name with outputs by name. */
export type Runner = Pick<Predictor, 'run' | 'close'>

/** The graph that training evaluates, with a model's weights: what an exported file must agree with. */
export function trainingPredictor(runtime: Runtime, trained: TrainedModel): Runner {
  const { model } = trained
  const { forward, parameters, close } = hold(runtime, trained)
  const ports = portsOf({ model, targets: {} })
  return {
    async run(inputs) {
      const { arrays } = examplesOf(model.name, ports, inputs, false)
      return forward.predict(arrays, parameters)
    },
    close,
  }
}

/** Rows of a batch from the beginning. */
const firstOf = (batch: Readonly<Record<string, NdArray>>, count: number): UserBatch =>
  Object.fromEntries(
    Object.entries(batch).map(([name, { data, dims }]) => [
      name,
      { data: data.subarray(0, (data.length / nth(dims, 0)) * count), dims: [count, ...dims.slice(1)] },
    ]),
  )

/** Largest |a − b|, of integers exactly; NaN when sizes differ or something is not a number. */
function maxAbsDiff(a: TypedArray, b: TypedArray | undefined): number {
  if (a.length !== b?.length) return Number.NaN
  let most = 0
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i], b[i]]
    const d = Math.abs(typeof x === 'bigint' && typeof y === 'bigint' ? Number(x - y) : Number(x) - Number(y))
    if (!(d <= most)) most = d
    if (Number.isNaN(most)) return most
  }
  return most
}

/** The larger of two differences; NaN is the largest. */
const worse = (a: number, b: number): number => (Number.isNaN(a) || a > b ? a : b)

/** Largest difference of any output of the reference, over the first `most` examples. */
async function difference(
  reference: Runner,
  predictor: Predictor,
  examples: Dataset,
  most: number,
  batch: number,
): Promise<number> {
  const names = Object.keys(predictor.inputs)
  let [left, diff] = [most, 0]
  // Batches of different sizes, so that a batch dimension that was fixed by mistake is noticed.
  for await (const all of batches(examples, { batch, shuffle: false })) {
    const own = Object.fromEntries(names.map(name => [name, all[name] as NdArray]))
    const taken = Math.min(Object.values(own)[0]?.dims[0] ?? 0, left)
    const inputs = firstOf(own, taken)
    const [expected, got] = [await reference.run(inputs), await predictor.run(inputs)]
    for (const [name, { data }] of Object.entries(expected))
      diff = worse(diff, maxAbsDiff(data, got[name]?.data))
    left -= taken
    if (!left) break
  }
  return diff
}

/**
 * Runs a file on each runtime over the first `count` examples and compares its outputs with the reference's.
 * @param examples with arrays under the names of the file's inputs
 * @param tolerance largest |difference| of a value that counts as equal
 */
export async function verify(
  bytes: Uint8Array,
  reference: Runner,
  examples: Dataset,
  runtimes: readonly Runtime[],
  { count = VERIFY.count, batch = VERIFY.batch, tolerance = VERIFY.tolerance } = {},
): Promise<Verdict[]> {
  const most = Math.min(count, examples.size ?? count)
  const verdicts: Verdict[] = []
  for (const runtime of runtimes) {
    const name = runtime.device.name
    const about = {
      runtime: name === 'wasm' ? 'onnxruntime-web wasm' : `onnxruntime-node ${name}`,
      version: runtime.version,
    }
    try {
      const predictor = anyBatch(await openPredictor(runtime, bytes))
      const diff = await difference(reference, predictor, examples, most, batch)
      await predictor.close()
      verdicts.push({ ...about, maxAbsDiff: diff, ok: diff <= tolerance })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      verdicts.push({ ...about, maxAbsDiff: Number.NaN, ok: false, error: why })
    }
  }
  return verdicts
}
