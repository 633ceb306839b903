import { basename, extname, join } from 'node:path'
import { buildModel } from '../../models/index.ts'
import type { DataSource } from '../data/dataset.ts'
import { readBytes } from '../data/files-node.ts'
import { readSafetensors } from '../export/safetensors.ts'
import { UserError } from '../graph/errors.ts'
import type { Model } from '../nn/model.ts'
import { readCheckpoint } from '../train/checkpoint.ts'
import { checkData, type Reached } from '../train/fit.ts'
import { layoutOf } from '../train/layout.ts'
import { OPTIMIZERS, type Optimizer } from '../train/optimizer.ts'
import {
  type RunRecord,
  readRecord,
  readTraining,
  recordedOptimizer,
  recordedSchedule,
} from '../train/record.ts'
import { RUN_FILES, RunFolder } from '../train/run-node.ts'
import { SCHEDULES, type Schedule, withWarmup } from '../train/schedule.ts'
import { loadData } from './load-data.ts'
import { isFolder } from './load-node.ts'
import { MODEL_FLAGS, resolveConfig } from './options.ts'
import { OPTIMIZER_DEFAULTS, TRAIN_DEFAULTS, type TrainFlags } from './train-flags.ts'

/** A training that is wholly decided: what `train` was asked for. */
export interface Plan {
  readonly model: Model
  /** What the model is called: its preset, or the run that it is resumed from. */
  readonly label: string
  readonly data: DataSource
  readonly record: Omit<RunRecord, 'step'>
  readonly optimizer: Optimizer
  readonly schedule: Schedule
  readonly folder: RunFolder
  /** Where a resumed run stands. */
  readonly from?: Reached
  /** Whether the folder holds the beginning of this run. */
  readonly goesOn: boolean
  /** Test accuracy of the folder's best checkpoint. */
  readonly best: number
}

function optimizerOf(name: string, flags: TrainFlags): Optimizer {
  const { lr, momentum, 'weight-decay': weightDecay } = flags
  if (momentum !== undefined && name !== 'sgd' && name !== 'rmsprop')
    throw new UserError('--momentum goes with --optimizer sgd or rmsprop')
  const given = Object.entries({ lr, weightDecay, momentum }).filter(([, v]) => v !== undefined)
  const make = OPTIMIZERS[name as keyof typeof OPTIMIZERS]
  return make({ ...OPTIMIZER_DEFAULTS[name], ...Object.fromEntries(given) })
}

function checkNumbers({
  epochs,
  batch,
  seed,
  warmup,
}: Pick<Settings, 'epochs' | 'batch' | 'seed' | 'warmup'>) {
  for (const [key, n] of Object.entries({ epochs, batch }))
    if (!Number.isInteger(n) || n < 1)
      throw new UserError(`--${key} must be a whole number of at least 1, not ${n}`)
  if (!Number.isInteger(seed)) throw new UserError(`--seed must be a whole number, not ${seed}`)
  if (!(warmup >= 0 && warmup < epochs))
    throw new UserError(`--warmup must be at least 0 and below --epochs ${epochs}, not ${warmup}`)
}

interface Settings {
  readonly epochs: number
  readonly batch: number
  readonly seed: number
  readonly warmup: number
  readonly optimizer: string
  readonly schedule: string
  readonly 'label-smoothing': number
}

const settingsOf = (flags: TrainFlags): Settings => {
  const given = Object.keys(TRAIN_DEFAULTS).map(key => [key, flags[key as keyof TrainFlags]] as const)
  return { ...TRAIN_DEFAULTS, ...Object.fromEntries(given.filter(([, v]) => v !== undefined)) }
}

/** A run from its beginning. @throws UserError for flags that do not fit each other or the data */
export async function newPlan(flags: TrainFlags): Promise<Plan> {
  const name = flags.model
  if (name === undefined) throw new UserError('say what to train, such as: onnxgrad train vit')
  const settings = settingsOf(flags)
  checkNumbers(settings)
  const { preset, config } = resolveConfig(name, flags.preset, flags)
  const draft = buildModel(name, config)
  const optimizer = optimizerOf(settings.optimizer, flags)
  const data = await loadData(draft.input, flags)
  // A text decides how many kinds of tokens there are.
  const model =
    draft.input.name === 'tokens'
      ? buildModel(name, { ...config, vocabulary: data.train.classes.length })
      : draft
  checkData(model, data)
  const { epochs, batch, seed } = settings
  const warmupSteps = Math.round(settings.warmup * Math.ceil(data.train.size / batch))
  const schedule = withWarmup(SCHEDULES[settings.schedule as keyof typeof SCHEDULES](), warmupSteps)
  const folder = flags.out
    ? await RunFolder.at(flags.out, { overwrite: flags.overwrite })
    : await RunFolder.next(`runs/${name}-${preset}`)
  const record = {
    model: { name, config: model.config },
    epochs,
    batch,
    seed,
    optimizer: { name: optimizer.name, ...optimizer.settings },
    schedule: { name: schedule.name, ...schedule.settings },
    labelSmoothing: settings['label-smoothing'],
    ...(flags['clip-norm'] === undefined ? {} : { clipNorm: flags['clip-norm'] }),
    ...(data.normalization ? { normalization: data.normalization } : {}),
    classes: data.train.classes,
    images: data.train.size,
  }
  return { model, label: preset, data, record, optimizer, schedule, folder, goesOn: false, best: 0 }
}

/**
 * A run that goes on from its last checkpoint, in its folder; from a checkpoint file in a folder of its own.
 * @throws UserError when the file is damaged, or a flag or the data is not the run's
 */
export async function resumedPlan(path: string, flags: TrainFlags): Promise<Plan> {
  const inFolder = await isFolder(path)
  const file = inFolder ? join(path, RUN_FILES.last) : path
  const bytes = await readBytes(file)
  const { metadata } = readSafetensors(bytes, file)
  const { step, ...recorded } = readRecord(metadata, file)
  refuseOthers(flags, recorded, file)
  const record = { ...recorded, epochs: flags.epochs ?? recorded.epochs }
  const model = buildModel(record.model.name, record.model.config)
  const { state } = readCheckpoint(layoutOf(model.parameters), bytes, file)
  const data = await loadData(model.input, flags, record.classes)
  checkData(model, data)
  if (data.train.size !== record.images)
    throw new UserError(
      `${file}: the run has ${record.images} examples an epoch, ${data.origin} has ${data.train.size}; give its own data (--data digits for the lab's 10,000 digits)`,
    )
  const best = join(path, RUN_FILES.best)
  const known = inFolder ? await readBytes(best).catch(() => undefined) : undefined
  const reached = known ? readTraining(readSafetensors(known, best).metadata, best).testAccuracy : 0
  return {
    model,
    label: `from step ${step} of ${basename(path)}`,
    data,
    record,
    optimizer: recordedOptimizer(record.optimizer),
    schedule: recordedSchedule(record.schedule),
    folder: inFolder
      ? RunFolder.again(path)
      : flags.out
        ? await RunFolder.at(flags.out, { overwrite: flags.overwrite })
        : await RunFolder.next(`runs/${basename(path, extname(path))}`),
    from: { step, state },
    goesOn: inFolder,
    best: typeof reached === 'number' ? reached : 0,
  }
}

/** A flag that names another setting than the run has is a mistake; more epochs are not. */
function refuseOthers(flags: TrainFlags, record: Omit<RunRecord, 'step'>, file: string): void {
  const { optimizer, schedule, model } = record
  const config = model.config as Readonly<Record<string, unknown>>
  const run: Readonly<Record<string, unknown>> = {
    model: model.name,
    batch: record.batch,
    seed: record.seed,
    optimizer: optimizer.name,
    lr: optimizer.lr,
    momentum: optimizer.momentum,
    'weight-decay': optimizer.weightDecay,
    schedule: schedule.name,
    warmup: Number(schedule.warmupSteps ?? 0) / Math.ceil(record.images / record.batch),
    'label-smoothing': record.labelSmoothing ?? 0,
    'clip-norm': record.clipNorm,
    ...Object.fromEntries(Object.keys(MODEL_FLAGS).map(key => [key, config[key]])),
  }
  const given = flags as Readonly<Record<string, unknown>>
  const wrong = Object.keys(run).filter(
    key => given[key] !== undefined && String(given[key]) !== String(run[key]),
  )
  if (wrong.length)
    throw new UserError(
      `${file}: ${wrong.map(key => `--${key} is ${run[key]} in this run, not ${given[key]}`).join('; ')}`,
    )
  if (flags.preset !== undefined) throw new UserError('--preset does not go with --resume')
  if (flags.epochs !== undefined && flags.epochs < record.epochs)
    throw new UserError(`${file}: the run has ${record.epochs} epochs; --epochs can be more, not fewer`)
}
