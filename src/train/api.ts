/// <reference lib="esnext.disposable" preserve="true" />
import { type Augmentation, mixes } from '../data/augment.ts'
import { exportOnnx } from '../export/export.ts'
import { type FileInfo, readOnnx } from '../export/read.ts'
import { UserError } from '../graph/errors.ts'
import type { Model } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import type { Runtime } from '../runtime/session.ts'
import { classification } from '../tasks/classification.ts'
import type { Task } from '../tasks/task.ts'
import { type EvaluateOptions, evaluateModel } from './evaluate.ts'
import { fit } from './fit.ts'
import type { FitOptions, FitResult } from './fit-options.ts'
import { type ImagePredictor, openImagePredictor, type ReadPicture } from './image-predictor.ts'
import type { Evaluation } from './measured.ts'
import { openPredictor, type Predictor, type PredictorSource } from './predictor.ts'
import { Trainer } from './trainer.ts'
import type { MultiOptions, SingleOptions, SingleStep, StepSpecs } from './trainer-options.ts'

/** Must be closed after use; `await using` does so automatically. */
export interface Closable {
  /** Releases the object and its runtime. Further calls do nothing. */
  close(): Promise<void>
  /** Same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Which files may be loaded for prediction. */
export interface PredictorOptions {
  /**
   * Accepts a file with loops, which may never end and cannot be stopped from their own thread: for files that you trust,
   * or where the thread or process can be terminated. @default false
   */
  readonly loops?: boolean | undefined
}

/** Training and prediction on the runtimes of a host. `D` says which device, and how; `P` what a picture is. */
export interface Api<D, P> {
  /**
   * Trains a model for some epochs, evaluates after each, and keeps the best one.
   * @param options.task @default classification() for a model with an output `logits`, of mixed labels where `augment` mixes
   * @throws UserError before the first step when model, task, data and settings do not match
   * @throws DivergenceError when a loss or gradient is not finite
   */
  train<K extends string, M extends Model>(
    model: M,
    options: Omit<FitOptions<K>, 'task'> & { readonly task?: Task<K> } & D,
  ): Promise<FitResult<M>>
  /** Trains step by step; the loop is the caller's. One task, or several by name on one state. */
  trainer<K extends string, M extends Model>(
    model: M,
    options: SingleOptions<K> & D,
  ): Promise<Trainer<SingleStep<K>, M> & Closable>
  trainer<S extends StepSpecs, M extends Model>(
    model: M,
    options: MultiOptions<S> & D,
  ): Promise<Trainer<S, M> & Closable>
  /**
   * Loads a trained model, a model at its initial weights, or the bytes of an `.onnx` file, for many inputs. A file from an
   * unknown source may take any amount of time and memory: load it where it can be terminated (a page's worker, Node's
   * `isolatedRuntime`).
   * @throws UserError when it is dangerous to load, or cannot be loaded
   */
  predictor<M extends Model>(
    source: PredictorSource<M>,
    options?: D & PredictorOptions,
  ): Promise<Predictor<M> & Closable>
  /**
   * Loads a classifier of images, for many pictures.
   * @throws UserError when it is not a model of images, is dangerous to load, or cannot be loaded
   */
  imagePredictor(
    source: PredictorSource,
    options?: D & PredictorOptions,
  ): Promise<ImagePredictor<P> & Closable>
  /** Loss, metrics and number of examples of a model over a whole data set, every example once. */
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
  return Object.assign(made, { close, [disposal]: close }) as T & Closable
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

const NAME = 'the model'

/** @throws UserError when a file has loops, unless `loops` allows them */
function infoOf(bytes: Uint8Array, { loops }: PredictorOptions): FileInfo {
  const info = readOnnx(bytes, NAME)
  if (!info.loops || loops) return info
  throw new UserError(
    `${NAME} has loops, which may never end; set loops: true if you trust it, or if you run it where it can be terminated`,
  )
}

/** @param open opens a runtime on the device that the options say @param read reads a picture */
export function bindApi<D extends object, P>(
  open: (options: D) => Promise<Runtime>,
  read: ReadPicture<P>,
): Api<D, P> {
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
      const task = (options.task ?? defaultTask(model, options.augment)) as Task
      return within(options, runtime => fit(runtime, model, { ...options, task }))
    },
    trainer: trainer as Api<D, P>['trainer'],
    async predictor(source, options = {} as D) {
      if (source instanceof Uint8Array) infoOf(source, options)
      return opened(open, options, runtime => openPredictor(runtime, source, options))
    },
    async imagePredictor(source, options = {} as D) {
      const info = infoOf(source instanceof Uint8Array ? source : exportOnnx(source), options)
      return opened(open, options, runtime => openImagePredictor(runtime, info, NAME, read))
    },
    evaluate: (source, options) => within(options, runtime => evaluateModel(runtime, source, options)),
  }
}
