import type { Model } from '../../src/nn/model.ts'
import { normalized } from '../../src/nn/normalize.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { classification } from '../../src/tasks/classification.ts'
import { ONLY } from '../../src/train/step/state.ts'
import { stepsPerRun } from '../../src/train/steps-per-run.ts'
import { Trainer } from '../../src/train/trainer.ts'
import { comparePeers, type PeerOptions, type PeerResults } from './compare-peers.ts'
import { loadProducts } from './floor.ts'
import { type Inference, inference } from './inference.ts'
import type { PageResults } from './page.ts'
import { interleaved, median, peakMB, quantile, ratio, timed } from './timing.ts'
import { noise, WORKLOADS, type WorkloadName } from './workloads.ts'

/** Times in milliseconds; ratios are medians of ratios of neighbours in time, so a machine's moods cancel. */
export interface Result extends Inference, Partial<PeerResults>, Partial<PageResults> {
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
}

const WARM_UP = 5

/** A step of training with all passes, or with none; `ONNXGRAD_PASSES` may leave some of all out. */
async function trainer(
  model: Model,
  runtime: Runtime,
  batch: number,
  threads: number | undefined,
  all: boolean,
) {
  const channels = Number(model.inputs.image?.shape[0])
  const perChannel = (value: number): number[] => Array(channels).fill(value)
  const net = channels ? normalized(model, 'image', { mean: perChannel(0.5), std: perChannel(0.25) }) : model
  let sessionMs = 0
  const watched: Runtime = {
    ...runtime,
    async load(...model) {
      const start = performance.now()
      const session = await runtime.load(...model)
      sessionMs = performance.now() - start
      return session
    },
  }
  const training = new Trainer(watched, net, { task: classification(), seed: 1, threads })
  const set = process.env.ONNXGRAD_PASSES ?? ''
  if (!all) process.env.ONNXGRAD_PASSES = '-all'
  const start = performance.now()
  const steps = stepsPerRun(model, batch)
  const { graph } = (await training.executor.prepare(ONLY, { batch }, steps)).program
  const buildMs = performance.now() - start - sessionMs
  process.env.ONNXGRAD_PASSES = set

  const arrays = Object.entries(noise(model, steps * batch, 1)).map(([key, { data, dims }]) => {
    const each = [batch, ...dims.slice(1)]
    return [key, { data, dims: steps > 1 ? [steps, ...each] : each }] as const
  })
  const data = { arrays: Object.fromEntries(arrays), sizes: { batch }, steps }
  const rates = new Array<number>(steps).fill(1e-3)
  const several = timed(() => training.run(ONLY, data, rates))
  /** Milliseconds of one step of a run as training does it. */
  const run = async () => (await several()) / steps
  return { run, graph, buildMs, sessionMs, close: () => training.close() }
}

export interface MeasureOptions extends PeerOptions {
  /** Steps that are timed, if not as many as the workload says. */
  readonly steps: number | undefined
  /** Also in a page, beside what runs there. */
  readonly page: boolean
}

/** Trains and serves a workload on this machine and says how fast, alone and beside its peers. */
export async function measure(name: WorkloadName, options: MeasureOptions): Promise<Result> {
  const { model: build, batch, steps } = WORKLOADS[name]
  const { threads } = options
  const runtime = await nodeRuntime('cpu')
  const model = build()
  const on = await trainer(model, runtime, batch, threads, true)
  for (let i = 0; i < WARM_UP; i++) await on.run()
  const memory = peakMB()

  const off = await trainer(model, runtime, batch, threads, false)
  const products = timed(await loadProducts(runtime, on.graph, threads))
  const measuring = options.steps ? { rounds: options.steps } : { rounds: steps, seconds: 25 }
  const [times, plain, floor] = await interleaved([on.run, off.run, products], measuring)
  await Promise.all([on.close(), off.close()])

  const stepMs = median(times)
  return {
    batch,
    buildMs: on.buildMs,
    sessionMs: on.sessionMs,
    stepMs,
    stepP20Ms: quantile(times, 0.2),
    imagesPerSecond: (1000 * batch) / stepMs,
    floorShare: ratio(floor, times),
    passesRatio: ratio(times, plain),
    peakMB: memory,
    ...(await inference(model, runtime, threads)),
    ...(options.peers.length ? await comparePeers(name, runtime, options) : {}),
    // Loaded where it is needed, for it brings a bundler and a browser's driver.
    ...(options.page ? await (await import('./page.ts')).comparePages(name, options) : {}),
  }
}
