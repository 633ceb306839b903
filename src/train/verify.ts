import { batches } from '../data/batches.ts'
import type { Dataset } from '../data/dataset.ts'
import type { Runtime } from '../runtime/session.ts'
import type { Predictor } from './evaluate.ts'
import { compileForward } from './forward.ts'
import { batchOf, type FilePredictor, filePredictor } from './predictor.ts'
import type { TrainedModel } from './trained.ts'

/** How many examples are compared, in which batches, and how far a logit may be off, unless somebody says otherwise. */
export const VERIFY = { count: 256 as number, batch: 100, tolerance: 1e-4 as number }

/** One runtime's answer, held against the reference. */
export interface Verdict {
  readonly runtime: string
  readonly version: string
  /** Largest difference of any logit; NaN when the runtime gave something that is no number. */
  readonly maxAbsDiff: number
  readonly ok: boolean
  /** Why the runtime gave no answer at all. */
  readonly error?: string
}

/** The graph that training evaluates, with a model's weights: what an exported file must agree with. */
export async function trainingPredictor(runtime: Runtime, trained: TrainedModel): Promise<FilePredictor> {
  const { model, normalization, params } = trained
  const { bytes, layout } = compileForward(model, {
    target: runtime.device.target,
    ...(normalization ? { normalization } : {}),
  })
  const session = await runtime.load(bytes, { optimize: 'disabled' })
  const weights = runtime.tensor('float32', params, [layout.size])
  return {
    async predict({ input: example, count }) {
      const { name, dtype, shape } = model.input
      const x = runtime.tensor(dtype, example, [count, ...shape])
      const { logits } = await session.run({ [name]: x, params: weights })
      return logits!.data as Float32Array
    },
    allocate: runtime.allocate,
    close: () => session.close(),
  }
}

/** Logits of the first `most` examples. */
async function logitsOf(predictor: Predictor, examples: Dataset, most: number): Promise<Float32Array> {
  const parts: Float32Array[] = []
  // Odd sizes, so that a batch dimension that was fixed by mistake is noticed.
  let left = Math.min(most, examples.size)
  for (const { input, count } of batches(examples, {
    batch: batchOf(examples.shape, VERIFY.batch),
    shuffle: false,
  })) {
    const taken = Math.min(count, left)
    const some = input.subarray(0, (input.length / count) * taken)
    parts.push((await predictor.predict({ input: some, count: taken })).slice())
    left -= taken
    if (!left) break
  }
  const out = new Float32Array(parts.reduce((n, p) => n + p.length, 0))
  let at = 0
  for (const p of parts) {
    out.set(p, at)
    at += p.length
  }
  return out
}

/** Largest |a − b|; NaN when sizes differ or something is no number. */
export function maxAbsDiff(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Number.NaN
  let most = 0
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i]! - b[i]!)
    if (!(d <= most)) most = d
    if (Number.isNaN(most)) return most
  }
  return most
}

/**
 * Runs a file on each runtime over the first `count` examples and compares its logits with the reference's.
 * @param tolerance largest |difference| of a logit that counts as equal
 */
export async function verify(
  bytes: Uint8Array,
  reference: Predictor,
  examples: Dataset,
  runtimes: readonly Runtime[],
  { count = VERIFY.count, tolerance = VERIFY.tolerance } = {},
): Promise<Verdict[]> {
  const expected = await logitsOf(reference, examples, count)
  const verdicts: Verdict[] = []
  for (const runtime of runtimes) {
    const name = runtime.device.name
    const label = name === 'wasm' ? 'onnxruntime-web wasm' : `onnxruntime-node ${name}`
    try {
      const predictor = await filePredictor(runtime, bytes, examples.shape)
      const diff = maxAbsDiff(await logitsOf(predictor, examples, count), expected)
      await predictor.close()
      verdicts.push({ runtime: label, version: runtime.version, maxAbsDiff: diff, ok: diff <= tolerance })
    } catch (error) {
      const text = (error as Error).message
      verdicts.push({
        runtime: label,
        version: runtime.version,
        maxAbsDiff: Number.NaN,
        ok: false,
        error: text,
      })
    }
  }
  return verdicts
}
