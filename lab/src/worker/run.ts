import { augmentation } from '../../../src/data/augment.ts'
import type { ImageSource } from '../../../src/data/dataset.ts'
import { shownName } from '../../../src/graph/printable.ts'
import type { Model } from '../../../src/nn/model.ts'
import type { Runtime } from '../../../src/runtime/session.ts'
import { answering, EMA } from '../../../src/train/ema.ts'
import { fit } from '../../../src/train/fit.ts'
import { initialize, layoutOf } from '../../../src/train/layout.ts'
import { type EpochResult, judged, type Reached } from '../../../src/train/progress.ts'
import { recordedOptimizer, recordedSchedule } from '../../../src/train/record.ts'
import type { TrainedModel } from '../../../src/train/trained.ts'
import { updatedVectors } from '../../../src/train/update.ts'
import type { Event } from '../protocol.ts'
import { Curve } from './curve.ts'
import { outcome } from './outcome.ts'
import { Pace, Stopped } from './pace.ts'
import { Reader } from './reader.ts'
import { aboutCheckpoint, type RunSettings, writeRun } from './record.ts'
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
  readonly from?: Reached
  readonly tell: (event: Event) => void
  /** Called after each epoch's report. */
  readonly onEpoch: () => void
}

/** One training, from its start or a checkpoint to its end, or until it is stopped. */
export class Run implements Source {
  readonly name: string
  readonly model: Model
  readonly data: ImageSource
  readonly pace: Pace
  readonly reader: Reader
  /** On what is held out, after the last epoch. */
  accuracy: number | undefined
  readonly #options: RunOptions
  /** What is known of the state at present; the training may be further. */
  #reached: Reached
  #params: { readonly values: Float32Array; readonly steps: number; readonly at: number } | undefined
  #running = false
  /** The vector that the run answers with. */
  readonly #answering: string

  constructor(options: RunOptions) {
    const { model, data, settings, from, runtime, viewer } = options
    const layout = layoutOf(model.parameters)
    this.#options = options
    this.name = 'Trained here'
    this.model = model
    this.data = data
    this.#reached = from ?? {
      step: 0,
      state: { params: initialize(layout, settings.seed) },
    }
    const optimizer = recordedOptimizer(settings.optimizer)
    const { ema } = settings
    const vectors = updatedVectors({ optimizer, ...(ema === undefined ? {} : { ema }) })
    this.pace = new Pace(runtime, layout, vectors)
    this.#answering = ema === undefined ? 'params' : EMA
    this.pace.steps = this.#reached.step
    this.reader = new Reader(viewer, model, data.normalization)
  }

  /** @throws UserError when model, data and device do not fit, or the training fails */
  async train(): Promise<{ stopped: boolean }> {
    const { settings, data, tell, from } = this.#options
    const { epochs, batch, accumulate = 1, seed, labelSmoothing, clipNorm, ema, augment } = settings
    const step = { epochs, batch: batch * accumulate }
    const curve = new Curve(data.train.size, step, () => this.pace.now())
    let told = 0
    this.#running = true
    try {
      // biome-ignore lint/suspicious/noFocusedTests: fit trains, it is no test
      await fit(this.model, this.pace.runtime, data, {
        epochs,
        batch,
        accumulate,
        seed,
        optimizer: recordedOptimizer(settings.optimizer),
        schedule: recordedSchedule(settings.schedule),
        ...(labelSmoothing === undefined ? {} : { labelSmoothing }),
        ...(clipNorm === undefined ? {} : { clipNorm }),
        ...(ema === undefined ? {} : { ema }),
        ...(augment ? { augment: augmentation(augment) } : {}),
        ...(from ? { resume: from } : {}),
        onStep(progress) {
          curve.add(progress)
          const now = performance.now()
          if (now - told < REPORT) return
          told = now
          tell(curve.report())
        },
        onEpoch: async (epoch, reached) => {
          this.#reached = await reached()
          this.accuracy = judged(epoch).accuracy
          tell(await this.#reportOf(epoch))
          tell(this.#saved())
          this.#options.onEpoch()
          // What is left would only look at the training set once more.
          if (epoch.epoch === epochs) this.pace.stop()
        },
      })
      return { stopped: false }
    } catch (error) {
      if (!(error instanceof Stopped)) throw error
      const stopped = this.#reached.step < curve.steps
      if (stopped) tell(this.#saved())
      return { stopped }
    } finally {
      if (curve.started) tell(curve.report())
      this.#running = false
      await this.pace.end()
    }
  }

  async #reportOf(epoch: EpochResult): Promise<Event> {
    const params = answering(this.#reached.state)
    const { confusion, mistakes } = await outcome(this.reader, params, this.data.test, () =>
      this.pace.passed(),
    )
    const { step, trainLoss, trainAccuracy, seconds } = epoch
    const { loss: testLoss, accuracy: testAccuracy } = judged(epoch)
    return {
      event: 'epoch',
      report: {
        epoch: epoch.epoch,
        step,
        trainLoss,
        trainAccuracy,
        testLoss,
        testAccuracy,
        seconds,
        classes: this.data.test.classes.map(name => shownName(name)),
        input: this.data.test.shape,
        confusion,
        mistakes,
      },
    }
  }

  /** Takes the state as it is now, between two steps, for {@link trained} and {@link checkpoint}. */
  async reach(): Promise<void> {
    if (this.#running) this.#reached = (await this.pace.read()) ?? this.#reached
  }

  /** Parameters that are good to look at: those of a second ago while the training goes on. */
  async params(): Promise<Float32Array> {
    const { step, state } = this.#reached
    if (!this.#running || this.pace.steps === step) return answering(state)
    const known = this.#params
    const age = performance.now() - (known?.at ?? 0)
    if (known && (known.steps === this.pace.steps || (age < FRESH && !this.pace.paused))) return known.values
    const now = await this.pace.read([this.#answering])
    if (!now) return answering(state)
    this.#params = { values: now.state[this.#answering]!, steps: now.step, at: performance.now() }
    return this.#params.values
  }

  async stop(): Promise<void> {
    // Nothing runs between the two: what was reached is where it stops.
    const reached = this.reach()
    this.pace.stop()
    await reached
  }

  /** The model with the parameters that are known. */
  trained(): TrainedModel {
    const { train, normalization, preprocessing } = this.data
    const { state } = this.#reached
    const { classes } = train
    return {
      model: this.model,
      params: answering(state),
      ...(preprocessing ? { preprocessing } : {}),
      normalization,
      classes,
      training: this.#training(),
    }
  }

  /** What the training came to so far. */
  #training(): Readonly<Record<string, unknown>> {
    const { name, size } = this.data.train
    return {
      data: name,
      images: size,
      steps: this.#reached.step,
      ...(this.accuracy === undefined ? {} : { testAccuracy: this.accuracy }),
    }
  }

  #saved(): Event {
    const { settings, model } = this.#options
    const record = { ...settings, step: this.#reached.step }
    return { event: 'saved', bytes: this.checkpoint(), about: aboutCheckpoint({ model, record }) }
  }

  checkpoint(): Uint8Array {
    const { step, state } = this.#reached
    return writeRun(this.model, state, { ...this.#options.settings, step }, this.#training())
  }
}
