import type { Augmentation } from '../data/augment.ts'
import type { Evaluation } from './evaluate.ts'
import type { State } from './executor.ts'
import type { Layout } from './layout.ts'
import type { Optimizer } from './optimizer.ts'
import type { Best, EpochResult, Metric, Progress, Reached } from './progress.ts'
import type { Schedule } from './schedule.ts'
import type { TallySums } from './tally.ts'

export interface FitOptions {
  /** @default 5 */
  readonly epochs?: number
  /** Images of one step, or of one of the batches that make a step. @default 64 */
  readonly batch?: number
  /** Batches whose gradients make one step, as if they were one batch. @default 1 */
  readonly accumulate?: number
  /** @default adam({ lr: 1e-3 }) */
  readonly optimizer?: Optimizer
  /** @default constant() */
  readonly schedule?: Schedule
  /** @default 0 */
  readonly labelSmoothing?: number
  /** Largest global norm of the gradient; left out, gradients are not clipped. */
  readonly clipNorm?: number
  /**
   * Decay of a moving average of the parameters, such as 0.999, which is evaluated and exported in their place (Polyak &
   * Juditsky 1992). Left out, none is kept.
   */
  readonly ema?: number
  /** What is done to the training images, each time anew. */
  readonly augment?: Augmentation
  /** By what the best epoch is chosen, on the validation set where there is one, else on the test set. @default 'accuracy' */
  readonly metric?: Metric
  /**
   * Ends after so many epochs that were no better than the best one; the data needs a validation set.
   */
  readonly patience?: number
  /** Compute cheap activations again in the backward pass where that saves memory; results are the same. @default false */
  readonly recompute?: boolean
  /** Decides the initial parameters, the order of the images, what is done to them, and every dropout mask. @default 0 */
  readonly seed?: number
  /** Threads of one op; left out, the runtime takes the physical cores. */
  readonly threads?: number
  /**
   * Steps of one run of the graph; results are the same. The state goes on from step to step inside, and is copied back
   * after the last. Batches that are left over at the end of an epoch run singly.
   * @default a second's or two's work, at most 8; 1 where runs block the thread that asks, or state stays on a device
   */
  readonly stepsPerRun?: number
  /** Goes on from here instead of the beginning; with the same other settings, to the same end. */
  readonly resume?: Reached
  /** Ends after so many of the `epochs`, for which the schedule is made all the same; it can be gone on from there. */
  readonly until?: number
  /** Stops after the run of steps that has begun. */
  readonly signal?: AbortSignal
  /** After a step that went wrong, look for the node of the graph at which it began. @default false */
  readonly findNode?: boolean
  /** Called once the step is compiled: every setting is known to be good, and nothing has been trained. */
  readonly onReady?: () => void | Promise<void>
  /** Called after each step; training waits for what it returns, but for the one run that has begun. */
  readonly onStep?: (progress: Progress) => void | Promise<void>
  /** Called after each epoch's evaluation; `reached` reads the state. */
  readonly onEpoch?: (
    epoch: EpochResult,
    reached: () => Promise<Reached>,
    best: boolean,
  ) => void | Promise<void>
  /** Least seconds between two calls of `onSave` within an epoch. @default 120 */
  readonly saveEvery?: number
  /** Called within long epochs, and when `signal` stops one: what would be lost if the process ended. */
  readonly onSave?: (reached: Reached) => void | Promise<void>
}

export interface FitResult {
  readonly layout: Layout
  /** After the last step. */
  readonly state: State
  /** What the run answers with: of the best epoch where there is a validation set, else of the last; the average where one is kept. */
  readonly params: Float32Array
  /** Of this process; a resumed run had others before. */
  readonly epochs: readonly EpochResult[]
  /** Whole epochs done, of the run. */
  readonly epoch: number
  readonly best?: Best
  /** Under `params`, over the whole of each set. */
  readonly train: Evaluation
  readonly val?: Evaluation
  readonly test: Evaluation
  readonly steps: number
  /** Of the epoch that the last step is within, where it did not end. */
  readonly tally?: TallySums
  /** What ended it: all steps done, `until`, `patience`, or `signal`. */
  readonly end: 'done' | 'until' | 'patience' | 'signal'
  /** Whether `signal` ended the run before its last step. */
  readonly stopped: boolean
  readonly seconds: number
  /** Time to compile the step and load it. */
  readonly setupSeconds: number
  readonly imagesPerSecond: number
  /** As of an epoch, over all of them. */
  readonly dataWaitShare: number
}
