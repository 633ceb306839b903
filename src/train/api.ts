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
import type { StepSpecs, TrainerOptions } from './trainer-options.ts'

/** A resource to close after use; `await using` closes it automatically. */
export interface Closable {
  /** Releases the object and its runtime. Calling it again has no effect. */
  close(): Promise<void>
  /** Same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Which files may be loaded for prediction. */
export interface PredictorOptions {
  /**
   * Accepts a file with loops, which may run forever and cannot be interrupted within their thread. Set it only for files that you
   * trust, or if the thread or process can be terminated. @default false
   */
  readonly loops?: boolean | undefined
}

/** Options of `train`. */
export interface TrainOptions<K extends string = string> extends Omit<FitOptions<K>, 'task'> {
  /**
   * Targets, loss and metrics. @default classification() for a model with an output `logits`, with mixed labels if `augment` mixes
   * images
   */
  readonly task?: Task<K> | undefined
}

/** Opens a runtime on the device that options name. */
export type Open<D> = (options: D) => Promise<Runtime>

/** The default task of a model. @throws UserError when it cannot be determined */
function defaultTask(model: Model, augment: Augmentation | undefined): Task {
  const targets = augment && mixes(augment) ? 'mixed' : 'labels'
  if (Object.hasOwn(model.outputs, 'logits')) return classification({ targets })
  throw new UserError(
    `${model.name}: has no output named logits, so it cannot be trained as a classifier; set the option task, for example to regression() or task(model, { … })`,
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
  open: Open<D>,
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

/** Work on a runtime that is opened for it. */
export async function within<D, T>(
  open: Open<D>,
  options: D,
  work: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  const runtime = await open(options)
  try {
    return await work(runtime)
  } finally {
    await runtime.close()
  }
}

// What follows is what `onnxgrad/node` and `onnxgrad/web` export, on the runtimes of either. Each is a function of its own, so that
// bundlers leave out what a page does not use.

export async function trainOn<M extends Model, O extends TrainOptions>(
  open: Open<O>,
  model: M,
  options: O,
): Promise<FitResult<M>> {
  const task = options.task ?? defaultTask(model, options.augment)
  return within(open, options, runtime => fit(runtime, model, { ...options, task }))
}

export const trainerOn = <S extends StepSpecs, M extends Model, O extends TrainerOptions>(
  open: Open<O>,
  model: M,
  options: O,
): Promise<Trainer<S, M> & Closable> =>
  opened(open, options, runtime => new Trainer<S, M>(runtime, model, options))

export const evaluateOn = <O extends EvaluateOptions>(
  open: Open<O>,
  source: TrainedModel | Model,
  options: O,
): Promise<Evaluation> => within(open, options, runtime => evaluateModel(runtime, source, options))

const NAME = 'the model'

/** @throws UserError when a file has loops, unless `loops` allows them */
function infoOf(bytes: Uint8Array, { loops }: PredictorOptions): FileInfo {
  const info = readOnnx(bytes, NAME)
  if (!info.loops || loops) return info
  throw new UserError(
    `${NAME} has loops, which may never end; set loops: true if you trust it, or if you run it where it can be terminated`,
  )
}

export async function predictorOn<
  M extends Model,
  O extends PredictorOptions & { readonly threads?: number | undefined },
>(open: Open<O>, source: PredictorSource<M>, options: O): Promise<Predictor<M> & Closable> {
  if (source instanceof Uint8Array) infoOf(source, options)
  return opened(open, options, runtime => openPredictor(runtime, source, options))
}

export async function imagePredictorOn<P, O extends PredictorOptions>(
  open: Open<O>,
  read: ReadPicture<P>,
  source: PredictorSource,
  options: O,
): Promise<ImagePredictor<P> & Closable> {
  const info = infoOf(source instanceof Uint8Array ? source : exportOnnx(source), options)
  return opened(open, options, runtime => openImagePredictor(runtime, info, NAME, read))
}
