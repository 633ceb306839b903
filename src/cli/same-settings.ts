import { UserError } from '../graph/errors.ts'
import { fieldsOf } from '../graph/keys.ts'
import { type RunRecord, stepsPerEpoch } from '../train/record.ts'
import { AUGMENT_FLAGS } from './augment-flags.ts'
import { MODEL_FLAGS } from './model-flags.ts'
import type { TrainFlags } from './train-flags.ts'

/**
 * A resumed run keeps its settings: a flag that names another one is a mistake. More epochs are not, nor is more patience.
 * @throws UserError with all differences
 */
export function refuseOthers(flags: TrainFlags, record: Omit<RunRecord, 'step'>, file: string): void {
  const { optimizer, schedule, model } = record
  const config = fieldsOf(model.config)
  const augment = fieldsOf(record.augment)
  const run: Readonly<Record<string, unknown>> = {
    model: model.name,
    batch: record.batch,
    accumulate: record.accumulate ?? 1,
    seed: record.seed,
    optimizer: optimizer.name,
    lr: optimizer.lr,
    momentum: optimizer.momentum,
    'weight-decay': optimizer.weightDecay,
    schedule: schedule.name,
    warmup: Number(schedule.warmupSteps ?? 0) / stepsPerEpoch(record),
    'label-smoothing': record.labelSmoothing ?? 0,
    'clip-norm': record.clipNorm,
    ema: record.ema,
    metric: record.metric ?? 'accuracy',
    'val-split': record.valSplit,
    device: record.device ?? 'cpu',
    preprocess: record.preprocessing?.kind,
    ...Object.fromEntries(
      Object.keys(AUGMENT_FLAGS).map(key => [key, augment[key] ?? (key === 'flip' ? false : 0)]),
    ),
    ...Object.fromEntries(Object.keys(MODEL_FLAGS).map(key => [key, config[key]])),
  }
  const given: Readonly<Record<string, unknown>> = flags
  const wrong = Object.keys(run).filter(
    key => given[key] !== undefined && String(given[key]) !== String(run[key]),
  )
  if (wrong.length)
    throw new UserError(
      `${file}: ${wrong.map(key => `--${key} is ${run[key] ?? 'not set'} in this run, not ${given[key]}`).join('; ')}`,
    )
  if (flags.preset !== undefined) throw new UserError('--preset cannot be combined with --resume')
  for (const key of ['epochs', 'patience'] as const) {
    const had = record[key]
    if (flags[key] !== undefined && had !== undefined && flags[key] < had)
      throw new UserError(`${file}: --${key} is ${had} in this run; it can be more, not fewer`)
  }
}
