import type { Augmentation } from '../data/augment.ts'
import type { SourceInput } from '../data/source.ts'
import type { Layout } from '../nn/layout.ts'
import type { Model } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import type { Schedule } from '../optim/schedule.ts'
import type { EpochSums } from './epoch.ts'
import type { Measured } from './measured.ts'
import type { Best, EpochResult, Progress, RunState } from './progress.ts'
import type { TrainState } from './state.ts'
import type { StepSpec, TrainerSettings } from './trainer-options.ts'

/** What tells a training to stop; an `AbortSignal` is one. */
export interface StopSignal {
  /** Read after each step. */
  readonly aborted: boolean
}

/** Options of a training. */
export interface FitOptions<M extends string = string> extends StepSpec<M>, Omit<TrainerSettings, 'resume'> {
  /**
   * Training data, or `{ train, val, test }`: arrays by name, a data set, or a stream of batches. Epochs are evaluated on
   * `val`, else on `test`, else not at all.
   */
  readonly data: SourceInput
  /** @default 5 */
  readonly epochs?: number | undefined
  /** Examples per step, or per micro-batch. @default 64 */
  readonly batch?: number | undefined
  /** Micro-batches per step: their gradients are accumulated, as if they were one batch. @default 1 */
  readonly accumulate?: number | undefined
  /** @default constantRate() */
  readonly schedule?: Schedule | undefined
  /** Augmentation of the training images, different in each epoch. */
  readonly augment?: Augmentation | undefined
  /**
   * What decides which epoch is the best: `loss`, or a metric. With a validation set, that epoch's weights are the result.
   * @default the task's first metric, or `loss` if it has none
   */
  readonly monitor?: string | undefined
  /** @default `min` for names of losses and errors, else `max` */
  readonly mode?: 'min' | 'max' | undefined
  /** Stop after this many epochs without improvement; needs a validation set. */
  readonly patience?: number | undefined
  /** Steps per epoch, for data of unknown size; schedules and resuming need it. */
  readonly stepsPerEpoch?: number | undefined
  /**
   * Steps per run of the graph; results are the same. The state is passed from step to step inside the graph and copied
   * back after the last one. Remaining batches at the end of an epoch run one by one.
   * @default one or two seconds of work, at most 8; 1 where a run blocks the calling thread, or the state stays on a device
   */
  readonly stepsPerRun?: number | undefined
  /**
   * Computes what depends on frozen parameters only once per data set, before the first step, and keeps it in memory; epochs
   * then train the rest (linear probing). Results are the same but for rounding. Data must be in memory, without
   * augmentation; `cacheable` says whether it is possible. @default false
   */
  readonly cacheFeatures?: boolean | undefined
  /** State to resume from; with otherwise the same settings, the result is that of an uninterrupted run. */
  readonly resume?: RunState | undefined
  /** Stop after this many of the `epochs`; the schedule still covers all of them, and the run can be resumed. */
  readonly until?: number | undefined
  /** Stops training after the current step (after the current run of the graph, which may have several). */
  readonly signal?: StopSignal | undefined
  /** When a loss or gradient is not finite, find the node of the graph where it began. @default false */
  readonly findNode?: boolean | undefined
  /** Called when the step is compiled: all settings are valid, and nothing has been trained. */
  readonly onReady?: (() => void | Promise<void>) | undefined
  /** Called after each step. Training waits for a promise that it returns, except for the run that has already begun. */
  readonly onStep?: ((progress: Progress, run: RunningFit) => void | Promise<void>) | undefined
  /** Called after each epoch's evaluation. */
  readonly onEpoch?:
    | ((epoch: EpochResult, run: RunningFit, best: boolean) => void | Promise<void>)
    | undefined
  /** Minimum seconds between calls of `onSave` within an epoch. @default 120 */
  readonly saveEvery?: number | undefined
  /** Called within long epochs, and when `signal` stops one, with the state to save. */
  readonly onSave?: ((state: RunState) => void | Promise<void>) | undefined
}

/** What callbacks can read of a running training. */
export interface RunningFit {
  /**
   * The state after this step or epoch. It is available until the next call; after a step, only if that was the last of its
   * run of the graph: set `stepsPerRun: 1` to read it after every step.
   * @throws UserError when it is not available
   */
  readonly state: () => Promise<RunState>
  /** The model with its weights at that time; averaged weights, if `ema` is set. */
  readonly trained: () => Promise<TrainedModel>
}

/** Result of `train`. */
export interface FitResult<M extends Model = Model> {
  /** The trained model: the best epoch's weights with a validation set, else the last; averaged weights, if `ema` is set. */
  readonly model: TrainedModel<M>
  /** Where each parameter lies in `model.params` and `state`. */
  readonly layout: Layout
  /** After the last step. */
  readonly state: TrainState
  /** Epochs of this call; a resumed run had others before. */
  readonly epochs: readonly EpochResult[]
  /** Epochs completed, in the whole run. */
  readonly epoch: number
  /** The best epoch by `monitor`, if there is a validation or test set. */
  readonly best?: Best | undefined
  /** Loss and metrics of the trained model over each whole set. */
  readonly train?: Measured
  /** On the whole validation set. */
  readonly val?: Measured
  /** On the whole test set. */
  readonly test?: Measured
  /** Steps done, in the whole run. */
  readonly steps: number
  /** Sums of the epoch in which training stopped, if it was not completed. */
  readonly sums?: EpochSums | undefined
  /** Why training ended: all steps are done, `until`, `patience`, or `signal`. */
  readonly end: 'done' | 'until' | 'patience' | 'signal'
  /** Whether `signal` ended the run before its last step. */
  readonly stopped: boolean
  /** Training and evaluation time, in the whole run. */
  readonly seconds: number
  /** Time to compile the step and load it, and to compute cached features. */
  readonly setupSeconds: number
  /** Of the training steps, without evaluation. */
  readonly examplesPerSecond: number
  /** As in `EpochResult`, over all epochs. */
  readonly dataWaitShare: number
}
