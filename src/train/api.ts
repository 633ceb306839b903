/// <reference lib="esnext.disposable" preserve="true" />
import { type Augmentation, mixes } from '../data/augment.ts'
import { UserError } from '../graph/errors.ts'
import type { Model } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import type { Runtime } from '../runtime/session.ts'
import { classification } from '../tasks/classification.ts'
import type { Task } from '../tasks/task.ts'
import { type EvaluateOptions, evaluateModel } from './evaluate.ts'
import { fit } from './fit.ts'
import type { FitOptions, FitResult } from './fit-options.ts'
import type { Evaluation } from './forward.ts'
import { openPredictor, type Predictor, type PredictorSource } from './predictor.ts'
import { Trainer } from './trainer.ts'
import type { MultiOptions, SingleOptions, SingleStep, StepSpecs } from './trainer-options.ts'

/** Must be closed after use; `await using` does so automatically. */
export interface Closable {
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Training and prediction on the runtimes of a host. `D` says which device, and how. */
export interface Api<D> {
  /**
   * Trains a model for some epochs, evaluates after each, and keeps the best one.
   * @param options.task @default classification() for a model with an output `logits`, of mixed labels where `augment` mixes
   * @throws UserError before the first step when model, task, data and settings do not match
   * @throws DivergenceError when a loss or gradient is not finite
   */
  train<M extends string>(
    model: Model,
    options: Omit<FitOptions<M>, 'task'> & { readonly task?: Task<M> } & D,
  ): Promise<FitResult>
  /** Trains step by step; the loop is the caller's. One task, or several by name on one state. */
  trainer<M extends string>(
    model: Model,
    options: SingleOptions<M> & D,
  ): Promise<Trainer<SingleStep<M>> & Closable>
  trainer<S extends StepSpecs>(model: Model, options: MultiOptions<S> & D): Promise<Trainer<S> & Closable>
  /** Loads a trained model, a model at its initial weights, or the bytes of an `.onnx` file, for many inputs. */
  predictor(source: PredictorSource, options?: D): Promise<Predictor & Closable>
  /** Loss and metrics of a model over a whole data set. */
  evaluate(source: TrainedModel | Model, options: EvaluateOptions & D): Promise<Evaluation>
}

/** The task that a model is trained for where nobody says. @throws UserError when it cannot be told */
function defaultTask(model: Model, augment: Augmentation | undefined): Task {
  const targets = augment && mixes(augment) ? 'mixed' : 'labels'
  if (Object.hasOwn(model.outputs, 'logits')) return classification({ targets })
  throw new UserError(
    `${model.name}: has no output logits to classify by; say what it is trained for with the option task, such as regression() or task(model, { … })`,
  )
}

const disposal: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')

/** The object, which also closes the runtime that was opened for it. */
function owning<T extends { close(): Promise<void> }>(made: T, runtime: Runtime): T & Closable {
  const inner = made.close.bind(made)
  let closed: Promise<void> | undefined
  const close = (): Promise<void> => {
    closed ??= inner().finally(() => runtime.close())
    return closed
  }
  return Object.assign(made, { close, [disposal]: close })
}

/** What is made on a runtime that is opened for it, and closes with it. */
export async function opened<D, T extends { close(): Promise<void> }>(
  open: (options: D) => Promise<Runtime>,
  options: D,
  make: (runtime: Runtime) => T | Promise<T>,
): Promise<T & Closable> {
  const runtime = await open(options)
  try {
    return owning(await make(runtime), runtime)
  } catch (error) {
    await runtime.close()
    throw error
  }
}

/** @param open opens a runtime on the device that the options say */
export function bindApi<D extends object>(open: (options: D) => Promise<Runtime>): Api<D> {
  const within = async <T>(options: D, work: (runtime: Runtime) => Promise<T>): Promise<T> => {
    const runtime = await open(options)
    try {
      return await work(runtime)
    } finally {
      await runtime.close()
    }
  }
  const trainer = (model: Model, options: (SingleOptions | MultiOptions) & D) =>
    opened(open, options, runtime => new Trainer(runtime, model, options))
  return {
    train: (model, options) => {
      const task: Task = options.task ?? defaultTask(model, options.augment)
      return within(options, runtime => fit(runtime, model, { ...options, task }))
    },
    trainer: trainer as Api<D>['trainer'],
    predictor: (source, options = {} as D) =>
      opened(open, options, runtime => openPredictor(runtime, source, options)),
    evaluate: (source, options) => within(options, runtime => evaluateModel(runtime, source, options)),
  }
}
