import { mixes } from '../data/augment.ts'
import { exportOnnx } from '../export/export.ts'
import { debugLevel } from '../graph/debug.ts'
import { nth } from '../graph/present.ts'
import { layoutOf } from '../nn/layout.ts'
import { parameterCount } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import { reportOfRun } from '../report/run-report-node.ts'
import { defaultDevice, nodeRuntime } from '../runtime/node.ts'
import type { Runtime } from '../runtime/session.ts'
import { classification } from '../tasks/classification.ts'
import { DivergenceError } from '../train/divergence.ts'
import { fit } from '../train/fit.ts'
import type { FitResult } from '../train/fit-options.ts'
import type { Measured } from '../train/measured.ts'
import { type EpochResult, flatMeasured, type Progress, type RunState } from '../train/progress.ts'
import { wholeLayout } from '../train/step/state.ts'
import { trainingPredictor, type Verdict, verify } from '../train/verify.ts'
import { VERSION } from '../version.ts'
import type { LabelledDataset, LabelledSource } from './load-data.ts'
import { runLog } from './run-log.ts'
import type { Plan } from './train-plan.ts'

/** How a plan is carried out: nothing of it changes what is learned. */
export interface RunSettings {
  /** @default false */
  readonly recompute?: boolean | undefined
  readonly stepsPerRun?: number | undefined
  /** Seconds between two checkpoints within an epoch. */
  readonly saveEvery?: number | undefined
  /** Ends after so many of its epochs. */
  readonly until?: number | undefined
  /** Whether the file is held against the graph that was trained, on onnxruntime-node and -web. @default false */
  readonly verify?: boolean
  /** Whether `report.html` is written at the end. @default false */
  readonly report?: boolean
  /** Whether event files for TensorBoard are written. @default false */
  readonly tensorboard?: boolean
}

/** Who looks on while a plan is carried out. */
export interface Watch {
  readonly step?: (progress: Progress) => void
  readonly epoch?: (result: EpochResult) => void
  readonly signal?: AbortSignal
}

/** Loss and accuracy of a trained classifier on each set. */
export interface Figures {
  readonly testAccuracy: number
  readonly trainAccuracy: number
  readonly testLoss: number
  readonly trainLoss: number
  readonly valAccuracy?: number
  readonly valLoss?: number
}

/** What a run came to: the last line of its metrics. */
export interface Summary extends Figures {
  /** Of the validation set, where there is one: the epoch whose parameters are the result. */
  readonly bestEpoch?: number
  readonly epochs: number
  readonly steps: number
  readonly end: FitResult['end']
  readonly stopped: boolean
  readonly seconds: number
  readonly setupSeconds: number
  readonly examplesPerSecond: number
  readonly dataWaitShare: number
  readonly parameters: number
  readonly device: string
  readonly out: string
  readonly verified?: boolean
}

export interface Outcome {
  readonly summary: Summary
  readonly verdicts: readonly Verdict[]
}

/** The file held against the graph that was trained, on the runtimes that its users have. */
async function verdictsOn(
  trained: TrainedModel,
  bytes: Uint8Array,
  examples: LabelledDataset,
): Promise<Verdict[]> {
  const { device } = await defaultDevice()
  const runtimes = []
  for (const name of new Set([device, 'wasm'])) runtimes.push(await nodeRuntime(name))
  const reference = trainingPredictor(nth(runtimes, 0), trained)
  const verdicts = await verify(bytes, reference, examples, runtimes)
  await reference.close()
  return verdicts
}

/** What `config.json` says of a run: every setting, and where it runs. */
const configOf = ({ model, label, record, data, source }: Plan, runtime: Runtime, settings: RunSettings) => ({
  ...record,
  model: { ...record.model, preset: label },
  parameters: parameterCount(model),
  data: {
    origin: data.origin,
    train: data.train.size,
    ...(data.val ? { val: data.val.size } : {}),
    test: data.test.size,
    ...(data.skipped ? { skipped: data.skipped } : {}),
  },
  source,
  recompute: settings.recompute === true,
  device: runtime.device.name,
  versions: { onnxgrad: VERSION, onnxruntime: runtime.version, node: process.versions.node },
})

const figuresOf = ({ train, val, test }: FitResult): Figures => {
  const figure = (set: Measured | undefined, name: string) => set?.[name] ?? Number.NaN
  return {
    testAccuracy: figure(test, 'accuracy'),
    trainAccuracy: figure(train, 'accuracy'),
    testLoss: figure(test, 'loss'),
    trainLoss: figure(train, 'loss'),
    ...(val ? { valAccuracy: figure(val, 'accuracy'), valLoss: figure(val, 'loss') } : {}),
  }
}

/** What files say of a training. Nothing in it depends on the clock. */
const aboutRun = (run: FitResult, { train }: LabelledSource): Readonly<Record<string, unknown>> => ({
  data: train.name,
  examples: train.size,
  epochs: run.epoch,
  steps: run.steps,
  ...(run.val && run.best ? { bestEpoch: run.best.epoch } : {}),
  ...accuracies(run),
})

/** What the checkpoint of an epoch says of the training so far. */
const aboutEpoch = (epoch: EpochResult): Readonly<Record<string, unknown>> => ({
  epochs: epoch.epoch,
  steps: epoch.step,
  trainLoss: epoch.train.loss,
  ...accuracies({ val: epoch.val, test: epoch.test }),
})

const accuracies = (sets: Parameters<typeof flatMeasured>[0]) =>
  Object.fromEntries(Object.entries(flatMeasured(sets)).filter(([name]) => name.endsWith('Accuracy')))

/** Trains a plan into its run folder: checkpoints, metrics, `model.onnx`, `report.html`. @throws UserError */
export async function runPlan(
  plan: Plan,
  runtime: Runtime,
  settings: RunSettings = {},
  watch: Watch = {},
): Promise<Outcome> {
  const { model, data, record, folder, optimizer, schedule, augment, from } = plan
  const { epochs, batch, seed, accumulate, labelSmoothing, clipNorm, ema, metric, patience, threads } = record
  const { recompute, stepsPerRun, saveEvery, until } = settings
  const layout = wholeLayout(layoutOf(model.parameters))
  const targets = augment && mixes(augment) ? 'mixed' : 'labels'
  const config = configOf(plan, runtime, settings)
  const { model: _, ...changes } = config

  const save = async (state: RunState, about: Readonly<Record<string, unknown>>, best = false) => {
    const { step, best: bestEpoch, sums } = state
    const { versions } = config
    const now = {
      ...record,
      versions,
      step,
      ...(bestEpoch ? { best: bestEpoch } : {}),
      ...(sums ? { sums } : {}),
    }
    // The best one first: were the program to end between the two, the epoch is done again, and so is its best.
    if (best) await folder.checkpoint('best', layout, state, now, about)
    await folder.checkpoint('last', layout, state, now, about)
  }
  const log = runLog(folder, { tensorboard: settings.tensorboard === true, from: from?.step ?? 0 })
  try {
    const run = await fit(runtime, model, {
      task: classification({ targets, ...(labelSmoothing === undefined ? {} : { labelSmoothing }) }),
      data,
      ...{ epochs, batch, seed, accumulate, clipNorm, ema, patience, threads, monitor: metric },
      ...{ recompute, stepsPerRun, saveEvery, until, augment, resume: from, signal: watch.signal },
      optimizer,
      schedule,
      findNode: debugLevel() > 0,
      // Not before: a setting that cannot be compiled must cost no folder, and no older run its files.
      onReady: () => (plan.goesOn ? folder.goOn(changes) : folder.begin(config)),
      async onStep(progress) {
        watch.step?.(progress)
        await log.step(progress)
      },
      async onEpoch(epoch, run, best) {
        watch.epoch?.(epoch)
        await log.epoch(epoch)
        await save(await run.state(), aboutEpoch(epoch), best)
      },
      onSave: state => save(state, { steps: state.step }),
    }).catch(async (error: unknown) => {
      if (!(error instanceof DivergenceError && error.state)) throw error
      const { step } = error.state
      await save(error.state, { steps: step })
      throw new DivergenceError(
        `${error.message}; the state before it, of step ${step}, is in ${folder.file('last')}`,
        error.state,
      )
    })
    return await finish(run)
  } finally {
    folder.close()
  }

  async function finish(run: FitResult): Promise<Outcome> {
    const { steps, state, best, sums } = run
    const training = aboutRun(run, data)
    const trained = { ...run.model, training }
    await save({ ...state, best, sums }, training)
    const bytes = exportOnnx(trained)
    await folder.model(bytes)
    const verdicts = settings.verify && !run.stopped ? await verdictsOn(trained, bytes, data.test) : []
    const summary: Summary = {
      ...figuresOf(run),
      ...(run.val && best ? { bestEpoch: best.epoch } : {}),
      epochs: run.epoch,
      steps,
      end: run.end,
      stopped: run.stopped,
      seconds: run.seconds,
      setupSeconds: run.setupSeconds,
      examplesPerSecond: run.examplesPerSecond,
      dataWaitShare: run.dataWaitShare,
      parameters: parameterCount(model),
      device: runtime.device.name,
      out: folder.path,
      ...(verdicts.length ? { verified: verdicts.every(v => v.ok) } : {}),
    }
    await folder.record({ final: true, ...summary })
    if (settings.report && !run.stopped) {
      const about = { trained, data, runtime, ...(threads === undefined ? {} : { threads }) }
      await folder.write('report', await reportOfRun(folder.path, about))
    }
    return { summary, verdicts }
  }
}
