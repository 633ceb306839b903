import { augmentation, mixes } from '../../../src/data/augment.ts'
import type { ImageSource } from '../../../src/data/dataset.ts'
import { present } from '../../../src/graph/present.ts'
import { shownName } from '../../../src/graph/printable.ts'
import { initialize } from '../../../src/nn/layout.ts'
import type { Model } from '../../../src/nn/model.ts'
import { normalized } from '../../../src/nn/normalize.ts'
import type { TrainedModel } from '../../../src/nn/trained.ts'
import { recordedOptimizer, recordedSchedule } from '../../../src/runs/record.ts'
import { type Training, writeSaved } from '../../../src/runs/saved.ts'
import type { Runtime } from '../../../src/runtime/session.ts'
import { classification } from '../../../src/tasks/classification.ts'
import { cacheable } from '../../../src/train/features/cacheable.ts'
import { fit } from '../../../src/train/fit.ts'
import type { FitOptions, RunningFit } from '../../../src/train/fit-options.ts'
import { layoutFor } from '../../../src/train/plans.ts'
import { type EpochResult, judged, type RunState } from '../../../src/train/progress.ts'
import { answeringParams, completeVectors } from '../../../src/train/state.ts'
import { ONLY, type StateLayout } from '../../../src/train/step/state.ts'
import type { Event } from '../protocol.ts'
import { type Parts, partsOf } from './base.ts'
import { Curve, scoresOf } from './curve.ts'
import { Gate, Stopped } from './gate.ts'
import { outcome } from './outcome.ts'
import { Reader } from './reader.ts'
import { aboutCheckpoint, type RunSettings } from './record.ts'
import type { Source } from './shown.ts'

/** Milliseconds between two reports of progress. */
const REPORT = 200
/** Milliseconds for which parameters that were read are good to look at. */
const FRESH = 1000

export interface RunOptions {
  readonly settings: RunSettings
  readonly model: Model
  readonly data: ImageSource
  /** For the steps. */
  readonly runtime: Runtime
  /** For what is looked at meanwhile. */
  readonly viewer: Runtime
  readonly from?: RunState
  readonly tell: (event: Event) => void
  /** Called after each epoch's report. */
  readonly onEpoch: () => void
}

/** One training, from its start or a checkpoint to its end, or until it is stopped. */
export class Run implements Source {
  readonly name = 'Trained here'
  readonly data: ImageSource
  readonly gate = new Gate()
  readonly reader: Reader
  /** On what is held out, after the last epoch. */
  accuracy: number | undefined
  readonly #options: RunOptions
  /** With the data's normalization in front, unless it has its own. */
  readonly #model: Model
  readonly #parts: Parts
  readonly #layout: StateLayout
  /** The last known state, with its prediction weights; training may be further ahead. */
  #reached: { readonly state: RunState; readonly params: Float32Array }
  /** The training after its last step; undefined before the first, and after the end. */
  #now: { readonly step: number; readonly run: RunningFit } | undefined
  /** Parameters that were read to look at. */
  #seen: { readonly params: Float32Array; readonly step: number; readonly at: number } | undefined

  constructor(options: RunOptions) {
    const { model, data, settings, from, viewer } = options
    this.#options = options
    this.data = data
    this.#model = model.normalization.image ? model : normalized(model, 'image', data.normalization)
    this.#parts = partsOf(model, settings)
    this.#layout = layoutFor(model, { [ONLY]: {} }, this.#parts.freeze)
    const start = (): RunState => {
      const params = initialize(this.#layout.all, settings.seed)
      return { step: 0, steps: { [ONLY]: 0 }, vectors: completeVectors([], this.#layout, params) }
    }
    this.#reached = this.#known(from ?? start())
    this.reader = new Reader(viewer, this.#model)
  }

  #known = (state: RunState) => ({ state, params: answeringParams(this.#layout, state.vectors) })

  /** @throws UserError when model, data and device do not fit, or the training fails */
  async train(): Promise<{ stopped: boolean }> {
    const { settings, data, runtime, tell } = this.#options
    const { epochs, batch, accumulate = 1 } = settings
    const curve = new Curve(data.train.size, { epochs, batch: batch * accumulate }, () => this.gate.now())
    let told = 0
    try {
      // biome-ignore lint/suspicious/noFocusedTests: fit trains, it is no test
      await fit(runtime, this.#model, {
        ...this.#fitting(),
        onReady: () => this.gate.passed(),
        onStep: async (progress, run) => {
          this.#now = { step: progress.step, run }
          curve.add(progress)
          const now = performance.now()
          if (now - told >= REPORT) {
            told = now
            tell(curve.report())
          }
          await this.#pass(run)
        },
        onEpoch: async (epoch, run) => {
          curve.evaluated()
          this.#now = { step: epoch.step, run }
          await this.reach()
          this.accuracy = judged(epoch)?.measured.accuracy
          tell(await this.#reportOf(epoch))
          tell(this.#saved())
          this.#options.onEpoch()
          // What is left would only look at the training set once more.
          if (epoch.epoch === epochs) this.gate.stop()
          await this.#pass(run)
        },
      })
      return { stopped: false }
    } catch (error) {
      if (!(error instanceof Stopped)) throw error
      const stopped = this.#reached.state.step < curve.steps
      if (stopped) tell(this.#saved())
      return { stopped }
    } finally {
      if (curve.started) tell(curve.report())
      this.#now = undefined
    }
  }

  #fitting(): FitOptions {
    const { settings, data, from } = this.#options
    const { augment, labelSmoothing, optimizer, schedule } = settings
    const { epochs, batch, accumulate, seed, clipNorm, ema } = settings
    const changes = augment && augmentation(augment)
    const targets = changes && mixes(changes) ? 'mixed' : 'labels'
    const task = classification({ targets, ...(labelSmoothing === undefined ? {} : { labelSmoothing }) })
    const { freeze, groups } = this.#parts
    return {
      task,
      freeze,
      cacheFeatures:
        freeze !== undefined && !cacheable(this.#model, task, { freeze, augment: changes, data }),
      data,
      epochs,
      batch,
      accumulate,
      seed,
      optimizer: recordedOptimizer(optimizer, groups),
      schedule: recordedSchedule(schedule),
      clipNorm,
      ema,
      augment: changes,
      resume: from,
    }
  }

  /** Waits while the training is paused. What was reached where it stops is known. @throws Stopped */
  async #pass(run: RunningFit): Promise<void> {
    try {
      await this.gate.passed()
    } catch (error) {
      this.#reached = this.#known(await run.state())
      this.#now = undefined
      throw error
    }
  }

  async #reportOf(epoch: EpochResult): Promise<Event> {
    const { test } = this.data
    const passed = () => this.gate.passed()
    const { confusion, mistakes } = await outcome(this.reader, this.#reached.params, test, passed)
    const { loss: trainLoss, accuracy: trainAccuracy } = scoresOf(epoch.train)
    const { loss: testLoss, accuracy: testAccuracy } = scoresOf(present(judged(epoch), 'evaluation').measured)
    return {
      event: 'epoch',
      report: {
        epoch: epoch.epoch,
        step: epoch.step,
        trainLoss,
        trainAccuracy,
        testLoss,
        testAccuracy,
        seconds: epoch.seconds,
        classes: test.classes.map(name => shownName(name)),
        input: test.shape,
        confusion,
        mistakes,
      },
    }
  }

  /** Takes the state as it is now, after the last step, for {@link trained} and {@link checkpoint}. */
  async reach(): Promise<void> {
    if (this.#now && this.#now.step !== this.#reached.state.step)
      this.#reached = this.#known(await this.#now.run.state())
  }

  /** Parameters for viewing; up to a second old during training. */
  async params(): Promise<Float32Array> {
    const { state, params } = this.#reached
    const now = this.#now
    if (!now || now.step === state.step) return params
    const seen = this.#seen
    const age = performance.now() - (seen?.at ?? 0)
    if (seen && (seen.step === now.step || (age < FRESH && !this.gate.paused))) return seen.params
    // A training that has just failed says so itself.
    const trained = await now.run.trained().catch(() => undefined)
    if (!trained) return this.#reached.params
    this.#seen = { params: trained.params, step: now.step, at: performance.now() }
    return trained.params
  }

  stop(): void {
    this.gate.stop()
  }

  /** The model with the parameters that are known. */
  trained(): TrainedModel {
    const { train, preprocessing } = this.data
    return {
      model: this.#model,
      params: this.#reached.params,
      ...(preprocessing ? { preprocessing } : {}),
      classes: train.classes,
      training: this.#training(),
    }
  }

  /** Results of the run so far. */
  #training(): Training {
    const { name, size } = this.data.train
    return {
      data: name,
      images: size,
      steps: this.#reached.state.step,
      ...(this.accuracy === undefined ? {} : { testAccuracy: this.accuracy }),
    }
  }

  get #record() {
    const { step, sums } = this.#reached.state
    return { ...this.#options.settings, step, ...(sums ? { sums } : {}) }
  }

  #saved(): Event {
    return { event: 'saved', bytes: this.checkpoint(), about: aboutCheckpoint(this.#record, this.#model) }
  }

  checkpoint(): Uint8Array {
    return writeSaved(this.#layout, this.#reached.state, this.#record, this.#training())
  }
}
