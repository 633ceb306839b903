import { readFileSync } from 'node:fs'
import { exportOnnx } from '../../src/export/export.ts'
import { lookup, nth } from '../../src/graph/present.ts'
import type { Model } from '../../src/nn/model.ts'
import { initialized } from '../../src/nn/trained.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { interleaved, median, quantile, ratio, timed } from './timing.ts'
import { noise } from './workloads.ts'

/** Seed of the parameters that files are exported with. */
export const SEED = 1
const BATCH = 64

/** An exported file, loaded; `run` gives the logits of the examples that it was opened with. */
async function open(model: Model, runtime: Runtime, bytes: Uint8Array, threads: number | undefined) {
  const session = await runtime.load(bytes, threads ? { threads } : {})
  const runner = (count: number) => {
    const examples = noise(model, count, 9)
    const feeds = Object.fromEntries(
      Object.entries(model.graph.inputs).map(([name, { dtype }]) => {
        const { data, dims } = lookup(examples, name)
        return [name, runtime.tensor(dtype, data, dims)]
      }),
    )
    return async () => lookup(await session.run(feeds), 'logits').data as Float32Array
  }
  return { one: runner(1), many: runner(BATCH), close: () => session.close() }
}

const ours = (model: Model): Uint8Array => exportOnnx(initialized(model, SEED))

/** Latency of the exported file for one example, in its fastest half and in the worst of a hundred, and throughput. */
export interface Inference {
  readonly inferenceP50Ms: number
  readonly inferenceP99Ms: number
  /** In batches of 64. */
  readonly inferencePerSecond: number
}

export async function inference(
  model: Model,
  runtime: Runtime,
  threads: number | undefined,
): Promise<Inference> {
  const file = await open(model, runtime, ours(model), threads)
  const [latencies] = await interleaved([timed(file.one)], { rounds: 300, seconds: 4 })
  const [batches] = await interleaved([timed(file.many)], { rounds: 50, seconds: 4 })
  await file.close()
  return {
    inferenceP50Ms: quantile(latencies, 0.5),
    inferenceP99Ms: quantile(latencies, 0.99),
    inferencePerSecond: (1000 * BATCH) / median(batches),
  }
}

/** Our exported file beside one that torch.onnx wrote of the same model: our time over its, in the same runtime. */
export interface TorchOnnx {
  readonly ratio1: number
  readonly ratio64: number
}

/** @throws Error when the files give different logits */
export async function compareFiles(
  model: Model,
  runtime: Runtime,
  threads: number | undefined,
  path: string,
): Promise<TorchOnnx> {
  const mine = await open(model, runtime, ours(model), threads)
  const theirs = await open(model, runtime, readFileSync(path), threads)
  const [expected, got] = [await mine.many(), await theirs.many()]
  const apart = expected.reduce((most, v, i) => Math.max(most, Math.abs(v - nth(got, i))), 0)
  if (!(apart <= 1e-4))
    throw new Error(`internal: torch.onnx's file gives logits that are ${apart} from ours`)
  const one = await interleaved([timed(mine.one), timed(theirs.one)], { rounds: 300, seconds: 4 })
  const many = await interleaved([timed(mine.many), timed(theirs.many)], { rounds: 50, seconds: 8 })
  await Promise.all([mine.close(), theirs.close()])
  return { ratio1: ratio(...one), ratio64: ratio(...many) }
}
