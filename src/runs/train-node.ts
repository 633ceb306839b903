import { placesOf } from '../deploy/proof/places-node.ts'
import type { RuntimeProof } from '../deploy/proof/proof.ts'
import { prove } from '../deploy/proof/prove.ts'
import { trainingPredictor } from '../deploy/reference.ts'
import { exportOnnx } from '../export/export.ts'
import { debugLevel } from '../graph/debug.ts'
import { parameterCount } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import { defaultDevice, nodeRuntime } from '../runtime/node.ts'
import type { GraphProfile } from '../runtime/profile-node.ts'
import type { Runtime } from '../runtime/session.ts'
import { DivergenceError } from '../train/divergence.ts'
import { fit } from '../train/fit.ts'
import type { FitResult, RunningFit, StopSignal } from '../train/fit-options.ts'
import { type EpochResult, flatMeasured, judged, type Progress, type RunState } from '../train/progress.ts'
import { VERSION } from '../version.ts'
import { guessingLine, isGuessing } from './chance-node.ts'
import { type Context, messages } from './definition.ts'
import { runLog } from './log-node.ts'
import type { Plan } from './plan-node.ts'
import { reportOfRun } from './report-node.ts'
import { runLayout } from './saved.ts'
import { answering } from './tuned.ts'

/** Callbacks of a run. */
export interface Watch {
  /** Called after each step. */
  readonly onStep?: ((progress: Progress) => void) | undefined
  /** Called after each epoch's evaluation. */
  readonly onEpoch?: ((result: EpochResult) => void) | undefined
  /** Stops the run after the current step, with everything saved. */
  readonly signal?: StopSignal | undefined
  /** Called with remarks that are no reason to stop. @default console.warn */
  readonly onNotice?: ((line: string) => void) | undefined
  /** @internal What messages call a setting. @default its name */
  readonly label?: Context['label'] | undefined
}

/** Result of a run: the last line of its `metrics.jsonl`. */
export interface Summary {
  /** Loss and metrics of the trained model on each set, such as `testAccuracy`, `trainLoss`, `valMae`. */
  readonly [measured: `${'train' | 'val' | 'test'}${Capitalize<string>}`]: number | undefined
  /** With a validation set: the epoch whose parameters are the result. */
  readonly bestEpoch?: number
  /** Epochs completed. */
  readonly epochs: number
  /** Steps done. */
  readonly steps: number
  /** Why the run ended. */
  readonly end: FitResult['end']
  /** Whether it was stopped before its last step. */
  readonly stopped: boolean
  /** Training and evaluation time of the whole run, interruptions left out. */
  readonly seconds: number
  /** Time to compile the step and load it. */
  readonly setupSeconds: number
  /** Of the training steps, without evaluation. */
  readonly examplesPerSecond: number
  /** Fraction of the time in which the runtime waited for the next batch. */
  readonly dataWaitShare: number
  /** Number of parameters. */
  readonly parameters: number
  /** Where it ran. */
  readonly device: string
  /** The run folder. */
  readonly out: string
  /** Whether `model.onnx` gives the trained model's numbers on every runtime, where that was checked. */
  readonly verified?: boolean
}

/** What a run leaves in memory. */
export interface RunResult {
  /** Its figures. */
  readonly summary: Summary
  /** The trained model: the best epoch's weights with a validation set, else the last. */
  readonly model: TrainedModel
  /** What each runtime made of `model.onnx`. */
  readonly verdicts: readonly RuntimeProof[]
  /** Where the time of a training step went, with the setting `profile`. */
  readonly profile?: GraphProfile
}

/** Examples that the file of a run is compared on. */
const COMPARED = 256

/** Compares the file with the graph that was trained, on the runtimes that its users have. */
async function verdictsOn(
  trained: TrainedModel,
  bytes: Uint8Array,
  { data, folder }: Plan,
): Promise<readonly RuntimeProof[]> {
  const { device } = await defaultDevice()
  const runner = trainingPredictor(await nodeRuntime(device), trained)
  const { runtimes } = await prove(
    { bytes, name: folder.file('model') },
    { name: 'the graph that was trained', runner },
    data.test ?? data.val ?? data.train,
    placesOf([device, 'wasm'], { count: COMPARED }),
    { seconds: 0 },
  )
  await runner.close()
  return runtimes
}

/** What `config.json` says of a run: every setting, and where it runs. */
const configOf = ({ model, label, record, data, source, execution }: Plan, runtime: Runtime) => ({
  ...record,
  model: { ...record.model, ...(label === undefined ? {} : { preset: label }) },
  parameters: parameterCount(model),
  data: {
    origin: data.origin,
    ...sizes(data),
    ...(data.skipped ? { skipped: data.skipped } : {}),
  },
  source,
  ...execution,
  device: runtime.device.name,
  versions: { onnxgrad: VERSION, onnxruntime: runtime.version, node: process.versions.node },
})

const sizes = ({ train, val, test }: Plan['data']) =>
  Object.fromEntries(
    Object.entries({ train, val, test }).flatMap(([name, set]) =>
      set?.size === undefined ? [] : [[name, set.size]],
    ),
  )

/** What files say of a training. Nothing in it depends on the clock. */
const aboutRun = (run: FitResult, { data: { train } }: Plan): Readonly<Record<string, unknown>> => ({
  data: train.name,
  ...(train.size === undefined ? {} : { examples: train.size }),
  epochs: run.epoch,
  steps: run.steps,
  ...(run.val && run.best ? { bestEpoch: run.best.epoch } : {}),
  ...metricsOf({ train: run.train, val: run.val, test: run.test }),
})

/** What the checkpoint of an epoch says of the training so far. */
const aboutEpoch = (epoch: EpochResult): Readonly<Record<string, unknown>> => ({
  epochs: epoch.epoch,
  steps: epoch.step,
  trainLoss: epoch.train.loss,
  ...metricsOf({ val: epoch.val, test: epoch.test }),
})

/** The metrics of each set; its loss where there are none. */
function metricsOf(sets: Parameters<typeof flatMeasured>[0]) {
  const all = Object.entries(flatMeasured(sets))
  const metrics = all.filter(([name]) => !name.endsWith('Loss'))
  return Object.fromEntries(metrics.length ? metrics : all)
}

/** @param until ends after so many of the epochs @throws UserError */
export async function runPlan(
  plan: Plan,
  runtime: Runtime,
  watch: Watch = {},
  until?: number,
): Promise<RunResult> {
  const { model, data, task, record, folder, optimizer, schedule, augment, from, program, execution } = plan
  const { epochs, batch, seed, accumulate, clipNorm, ema, metric, patience, threads } = record
  const layout = runLayout({ model, program })
  const config = configOf(plan, runtime)
  const { model: _, ...changes } = config

  let remarked = false
  /** Says once that a classifier is guessing, and what to try. */
  const remark = async (epoch: EpochResult, run: RunningFit) => {
    const held = data.val ?? data.test
    const measured = judged(epoch)?.measured
    if (remarked || !held || !measured || !isGuessing(measured, data.train.classes?.length ?? 0)) return
    remarked = true
    const context = messages(watch)
    context.notice(await guessingLine(await run.trained(), held, measured, runtime, record, context))
  }
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
  const log = runLog(folder, { tensorboard: execution.tensorboard === true, from: from?.step ?? 0 })
  try {
    const run = await fit(runtime, model, {
      ...{ task, data, epochs, batch, seed, accumulate, clipNorm, ema, patience, threads, monitor: metric },
      ...(execution as Pick<Parameters<typeof fit>[2], 'recompute' | 'stepsPerRun' | 'saveEvery'>),
      ...{ until, augment, resume: from, signal: watch.signal, optimizer, schedule },
      ...program,
      findNode: debugLevel() > 0,
      // Not before: a setting that cannot be compiled must cost no folder, and no older run its files.
      onReady: () => (plan.resumed ? folder.continue(changes) : folder.begin(config)),
      async onStep(progress) {
        watch.onStep?.(progress)
        await log.step(progress)
      },
      async onEpoch(own, run, best) {
        const epoch = { ...own, seconds: plan.seconds + own.seconds }
        watch.onEpoch?.(epoch)
        await remark(epoch, run)
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

  async function finish(run: FitResult): Promise<RunResult> {
    const { steps, state, best, sums } = run
    const training = aboutRun(run, plan)
    const trained = answering({ ...run.model, training })
    await save({ ...state, best, sums }, training)
    const bytes = exportOnnx(trained)
    await folder.model(bytes)
    const verdicts = execution.verify && !run.stopped ? await verdictsOn(trained, bytes, plan) : []
    const summary: Summary = {
      ...flatMeasured({ test: run.test, train: run.train, val: run.val }),
      ...(run.val && best ? { bestEpoch: best.epoch } : {}),
      epochs: run.epoch,
      steps,
      end: run.end,
      stopped: run.stopped,
      seconds: plan.seconds + run.seconds,
      setupSeconds: run.setupSeconds,
      examplesPerSecond: run.examplesPerSecond,
      dataWaitShare: run.dataWaitShare,
      parameters: parameterCount(model),
      device: runtime.device.name,
      out: folder.path,
      ...(verdicts.length ? { verified: verdicts.every(v => v.ok) } : {}),
    }
    await folder.record({ final: true, ...summary })
    if (execution.report && !run.stopped) {
      const about = { trained, data, runtime, ...(threads === undefined ? {} : { threads }) }
      await folder.write('report', await reportOfRun(folder.path, about))
    }
    return { summary, model: trained, verdicts }
  }
}
