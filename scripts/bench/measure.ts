import type { Model } from '../../src/nn/model.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { Executor } from '../../src/train/executor.ts'
import { initialize, layoutOf } from '../../src/train/layout.ts'
import { adam } from '../../src/train/optimizer.ts'
import { compileStep } from '../../src/train/step.ts'
import { toOnnx } from '../../src/train/trained.ts'
import { loadProducts } from './floor.ts'
import { noise, type Workload } from './workloads.ts'

/** Times in milliseconds; ratios are medians of ratios of neighbours in time, so a machine's moods cancel. */
export interface Result {
  readonly batch: number
  /** Compiling the step's graph, and loading it. */
  readonly buildMs: number
  readonly sessionMs: number
  /** Median and 20th percentile. */
  readonly stepMs: number
  readonly stepP20Ms: number
  readonly imagesPerSecond: number
  /** Time of the step's matrix products alone over that of the step. */
  readonly floorShare: number
  /** Time of the step with all passes over that without any. */
  readonly passesRatio: number
  /** Largest memory of the process after the first steps. */
  readonly peakMB: number
  /** Latency of the exported file for one image, in its fastest half and in the worst of a hundred. */
  readonly inferenceP50Ms: number
  readonly inferenceP99Ms: number
}

const WARM_UP = 5
const INFERENCES = 300

const quantile = (values: readonly number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))]!

const ratio = (a: readonly number[], b: readonly number[]): number =>
  quantile(
    a.map((t, i) => t / b[i]!),
    0.5,
  )

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** Runs each work once a round, in rotating order. */
async function interleaved(rounds: number, works: readonly (() => Promise<unknown>)[]): Promise<number[][]> {
  const times = works.map((): number[] => [])
  for (let round = -WARM_UP; round < rounds; round++)
    for (let k = 0; k < works.length; k++) {
      const i = (k + round + WARM_UP) % works.length
      const ms = await timed(works[i]!)
      if (round >= 0) times[i]!.push(ms)
    }
  return times
}

/** A step of training with all passes, or with none; `ONNXGRAD_PASSES` may leave some of all out. */
async function trainer(
  model: Model,
  runtime: Runtime,
  batch: number,
  threads: number | undefined,
  all: boolean,
) {
  const layout = layoutOf(model.parameters)
  const perChannel = (value: number): number[] => Array(model.input.shape[0]).fill(value)
  const normalization = { mean: perChannel(0.5), std: perChannel(0.25) }
  const options = { batch, seed: 1, optimizer: adam(), normalization, ...(threads ? { threads } : {}) }
  const executor = new Executor(model, runtime, layout, { params: initialize(layout, 1) }, options)

  const set = process.env.ONNXGRAD_PASSES ?? ''
  if (!all) process.env.ONNXGRAD_PASSES = '-all'
  const start = performance.now()
  const { graph, bytes } = compileStep(model, { ...options, target: runtime.device.target })
  const buildMs = performance.now() - start
  const sessionMs = await timed(async () => (await runtime.load(bytes, { optimize: 'basic' })).close())
  await executor.prepare(batch)
  process.env.ONNXGRAD_PASSES = set

  const data = [1, 2, 3, 4].map(seed => noise(model, batch, seed))
  let step = 0
  const run = () => executor.step(data[step++ % data.length]!, step, 1e-3)
  return { run, graph, buildMs, sessionMs, close: () => executor.close() }
}

async function inference(model: Model, runtime: Runtime, threads: number | undefined): Promise<number[]> {
  const params = initialize(layoutOf(model.parameters), 1)
  const session = await runtime.load(toOnnx({ model, params }), threads ? { threads } : {})
  const { name, dtype, shape } = model.input
  const feeds = { [name]: runtime.tensor(dtype, noise(model, 1, 9).input, [1, ...shape]) }
  const [times] = await interleaved(INFERENCES, [() => session.run(feeds)])
  await session.close()
  return times!
}

/** Trains and serves a workload on this machine and says how fast. */
export async function measure(
  { model: build, batch }: Workload,
  steps: number,
  threads: number | undefined,
): Promise<Result> {
  const runtime = await nodeRuntime('cpu')
  const model = build()
  const on = await trainer(model, runtime, batch, threads, true)
  for (let i = 0; i < WARM_UP; i++) await on.run()
  const peakMB = process.resourceUsage().maxRSS / 1024

  const off = await trainer(model, runtime, batch, threads, false)
  const products = await loadProducts(runtime, on.graph, threads)
  const [times, plain, floor] = await interleaved(steps, [on.run, off.run, products])
  await Promise.all([on.close(), off.close()])
  const latencies = await inference(model, runtime, threads)

  const stepMs = quantile(times!, 0.5)
  return {
    batch,
    buildMs: on.buildMs,
    sessionMs: on.sessionMs,
    stepMs,
    stepP20Ms: quantile(times!, 0.2),
    imagesPerSecond: (1000 * batch) / stepMs,
    floorShare: ratio(floor!, times!),
    passesRatio: ratio(times!, plain!),
    peakMB,
    inferenceP50Ms: quantile(latencies, 0.5),
    inferenceP99Ms: quantile(latencies, 0.99),
  }
}
