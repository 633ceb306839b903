import type { TrainedModel } from '../nn/trained.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import type { NamePattern } from '../optim/patterns.ts'
import type { Task } from '../tasks/task.ts'
import type { TrainState } from './state.ts'

/** A step of a training: a task, the parameters that it trains, and how. */
export interface StepSpec<M extends string = string> {
  /** Targets, loss and metrics. */
  readonly task: Task<M>
  /** @default adam({ lr: 1e-3 }) */
  readonly optimizer?: Optimizer | undefined
  /** Names of the parameters to train. @default all */
  readonly train?: NamePattern | readonly NamePattern[] | undefined
  /** Clip gradients to this global norm. Above 0. @default no clipping */
  readonly clipNorm?: number | undefined
  /**
   * Decay of a moving average of the parameters, such as 0.999; the average is evaluated and exported (Polyak & Juditsky
   * 1992). In (0, 1). @default no average
   */
  readonly ema?: number | undefined
}

/** Steps by name; of a training with one task, under an empty name. */
export type StepSpecs = Readonly<Record<string, StepSpec>>

/** Names of a step's metrics. */
export type MetricsOf<S> = S extends StepSpec<infer M> ? M : never

/** Options of a training, whatever its tasks. */
export interface TrainerSettings {
  /** Names of parameters that are not trained. @default none */
  readonly freeze?: NamePattern | readonly NamePattern[] | undefined
  /** Initial weights: a trained model, or arrays by name. Parameters that are not named are initialized as usual. */
  readonly weights?: TrainedModel | Readonly<Record<string, ArrayLike<number>>> | undefined
  /** State to resume from: the result of `state()` or `checkpoint()`. */
  readonly resume?: TrainState | Uint8Array | undefined
  /** Seed of initial parameters and dropout masks. @default 0 */
  readonly seed?: number | undefined
  /** Threads per op. @default the physical cores */
  readonly threads?: number | undefined
  /** Recompute cheap activations in the backward pass to save memory; results are the same. @default false */
  readonly recompute?: boolean | undefined
  /** @internal Dtype of parameters and arithmetic; float64 is for tests. @default 'float32' */
  readonly dtype?: 'float32' | 'float64' | undefined
}

/** A training of one task. */
export interface SingleOptions<M extends string = string> extends TrainerSettings, StepSpec<M> {}

/** A training of several tasks on one state, each with its own optimizer and parameters. */
export interface MultiOptions<S extends StepSpecs = StepSpecs> extends TrainerSettings {
  /** The tasks by name; `step(name, batch)` runs one. */
  readonly steps: S
}

/** Options of `Trainer`: one task, or several by name. */
export type TrainerOptions = SingleOptions | MultiOptions

/** The steps of a training with one task. */
export type SingleStep<M extends string = string> = Readonly<Record<'', StepSpec<M>>>
