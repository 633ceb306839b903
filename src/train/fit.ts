import { featuresOf } from '../data/batches.ts'
import type { DataSource } from '../data/dataset.ts'
import { sourceOf } from '../data/source.ts'
import { UserError } from '../graph/errors.ts'
import type { Model } from '../nn/model.ts'
import { normalized } from '../nn/normalize.ts'
import { adam } from '../optim/optimizer.ts'
import { constantRate } from '../optim/schedule.ts'
import type { Runtime } from '../runtime/session.ts'
import type { TracedObjective } from '../tasks/task.ts'
import { checkDataset, checkMixing } from './check-data.ts'
import { DEFAULTS } from './defaults.ts'
import { portsOf } from './examples.ts'
import { planFeatures } from './features/cacheable.ts'
import { cachedSource } from './features/encode.ts'
import type { Split } from './features/split.ts'
import type { FitOptions, FitResult } from './fit-options.ts'
import { Loop } from './loop.ts'
import { monitorOf } from './progress.ts'
import { stepsPerRun as defaultStepsPerRun } from './steps-per-run.ts'
import { Trainer } from './trainer.ts'
import { stepsOf } from './work.ts'

function checkCounts(counts: Readonly<Record<string, number | undefined>>): void {
  for (const [name, value] of Object.entries(counts))
    if (value !== undefined && (!Number.isInteger(value) || value < 1))
      throw new UserError(`${name} must be a whole number of at least 1, not ${value}`)
}

/**
 * The name of what decides which epoch is the best: as asked for, else the task's first metric, else the loss.
 * @param label what errors call it @throws UserError for a metric that the task does not have
 */
export function monitorFor(
  { metrics }: Pick<TracedObjective, 'metrics'>,
  asked?: string,
  label = 'monitor',
): string {
  const known = ['loss', ...Object.keys(metrics)]
  const chosen = asked ?? known[1] ?? 'loss'
  if (!known.includes(chosen))
    throw new UserError(`${label}: ${chosen} is not measured; choose one of ${known.join(', ')}`)
  return chosen
}

/** The model with the data's normalization in front of its image inputs, but for those that it normalizes already. */
function prepared(model: Model, { train, normalization }: DataSource): Model {
  if (!normalization) return model
  const features = featuresOf(train)
  const images = Object.entries(model.inputs).filter(
    ([name, { shape, batch }]) =>
      shape.length === 3 && batch !== false && (!features || Object.hasOwn(features, name)),
  )
  if (!images.length)
    throw new UserError(`${train.name}: comes with a normalization, and ${model.name} reads no image`)
  return images
    .filter(([name]) => !Object.hasOwn(model.normalization, name))
    .reduce((net, [name]) => normalized(net, name, normalization), model)
}

/** How the model is split where features are cached. @throws UserError when that is not possible */
function splitFor(net: Model, data: DataSource, options: FitOptions): Split | undefined {
  if (!options.cacheFeatures) return undefined
  const plan = planFeatures(net, options.task, { ...options, data })
  if (typeof plan !== 'string') return plan
  throw new UserError(`${net.name}: cacheFeatures is not possible: ${plan}`)
}

/**
 * Trains a model: seeded shuffling, one graph run for one or several steps, evaluation after each epoch. Where the runtime
 * has a thread of its own, the next batch is made while a step runs.
 * Same seed, data, device and thread count: same parameters.
 * @throws UserError before the first step when model, task, data and settings do not fit each other
 * @throws DivergenceError when a loss or gradient is not finite
 */
export async function fit<M extends Model>(
  runtime: Runtime,
  model: M,
  options: FitOptions,
): Promise<FitResult<M>> {
  const { optimizer = adam(), schedule = constantRate(), patience, resume, stepsPerEpoch } = options
  const { epochs = DEFAULTS.epochs, batch = DEFAULTS.batch, accumulate = DEFAULTS.accumulate } = options
  const { seed = DEFAULTS.seed } = options
  const until = options.until ?? epochs
  checkCounts({ epochs, batch, accumulate, stepsPerRun: options.stepsPerRun, patience, until, stepsPerEpoch })
  const traced = options.task.trace(model)
  const data = sourceOf(options.data, { train: portsOf(traced), evaluate: portsOf(traced.evaluation) })
  checkDataset(model.name, data.train, portsOf(traced))
  checkMixing(traced.name, data.train, portsOf(traced), options.augment)
  for (const set of [data.val, data.test]) if (set) checkDataset(model.name, set, portsOf(traced.evaluation))
  if (patience !== undefined && !data.val)
    throw new UserError('patience needs a validation set, for the test set must not decide when to stop')
  const monitor = monitorOf(monitorFor(traced.evaluation, options.monitor), options.mode)

  const perEpoch = stepsPerEpoch ?? stepsOf(data.train, { batch, accumulate })
  if (perEpoch === undefined && (schedule.name !== 'constant' || resume))
    throw new UserError(
      `${data.train.name} does not say how many examples it has: give stepsPerEpoch, which schedules and resuming need`,
    )
  const from = resume?.step ?? 0
  if (perEpoch !== undefined && from > until * perEpoch)
    throw new UserError(
      `${from} steps are done, which is more than the ${until * perEpoch} of ${until} epochs`,
    )

  // State that stays on a device costs nothing between runs.
  const copies = runtime.parallel && !runtime.device.resident
  const began = performance.now()
  const net = prepared(model, data)
  const split = splitFor(net, data, options)
  const trainee = split?.tail ?? net
  const stepsPerRun = options.stepsPerRun ?? (copies ? defaultStepsPerRun(trainee, batch) : 1)
  const trainer = new Trainer(runtime, trainee, { ...options, optimizer })
  const settings = {
    epochs,
    batch,
    accumulate,
    seed,
    until,
    monitor,
    perEpoch,
    stepsPerRun,
    schedule,
    optimizer,
    model: net,
    began,
  }
  try {
    const source = split
      ? await cachedSource(runtime, split, (await trainer.trained()).params, data, { ...options, batch })
      : data
    const result = await new Loop(runtime, trainer, source, { ...options, ...settings }).run()
    // Normalization changes neither inputs nor outputs.
    return result as FitResult<M>
  } finally {
    await trainer.close()
  }
}
