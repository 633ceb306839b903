import { basename, extname, resolve } from 'node:path'
import { buildModel } from '../../models/index.ts'
import { type Augmentation, augmentation } from '../data/augment.ts'
import { COLLECTIONS } from '../data/collections.ts'
import { fingerprints } from '../data/fingerprint.ts'
import { withValidation } from '../data/held-out.ts'
import { presumedPreprocessing } from '../data/preprocess.ts'
import { UserError } from '../graph/errors.ts'
import { isKey, keysOf } from '../graph/keys.ts'
import { lookup } from '../graph/present.ts'
import type { Model } from '../nn/model.ts'
import { type Optimizer, optimizerOf } from '../optim/optimizer.ts'
import { SCHEDULES, type Schedule, withWarmup } from '../optim/schedule.ts'
import { modelInput } from '../train/classifier.ts'
import type { RunState } from '../train/progress.ts'
import { type RunRecord, recordedOptimizer, recordedSchedule, stepsPerEpoch } from '../train/record.ts'
import { type RunConfig, RunFolder } from '../train/run-node.ts'
import { readSaved } from '../train/saved-node.ts'
import { answeringParams } from '../train/state.ts'
import { augmentOptions } from './augment-flags.ts'
import { deviceFor } from './device.ts'
import { built, drafted, fitted, takesSide } from './fitted.ts'
import { type LabelledSource, loadData } from './load-data.ts'
import { isFolder } from './load-node.ts'
import { resolveConfig } from './options.ts'
import { note } from './output.ts'
import { withRecipe } from './recipes.ts'
import { refuseOtherData } from './same-data.ts'
import { refuseOthers } from './same-settings.ts'
import { kebab } from './text.ts'
import { optimizersWith, TRAIN_DEFAULTS, type TrainFlags } from './train-flags.ts'

/** A training that is wholly decided: what `train` was asked for. */
export interface Plan {
  readonly model: Model
  /** What the model is called: its preset, or the run that it is resumed from. */
  readonly label: string
  readonly data: LabelledSource
  /** The flags that say which data. */
  readonly source: Source
  /** All settings; of a resumed run also what it had come to. */
  readonly record: Omit<RunRecord, 'step'>
  readonly optimizer: Optimizer
  readonly schedule: Schedule
  readonly augment?: Augmentation
  readonly folder: RunFolder
  /** Where a resumed run stands. */
  readonly from?: RunState
  /** Whether the folder holds the beginning of this run. */
  readonly goesOn: boolean
}

function chosenOptimizer(name: string, flags: TrainFlags): Optimizer {
  const { lr, momentum, 'weight-decay': weightDecay } = flags
  const given = Object.entries({ lr, weightDecay, momentum }).filter(([, v]) => v !== undefined)
  const optimizer = optimizerOf(name, Object.fromEntries(given))
  for (const [setting] of given)
    if (!Object.hasOwn(optimizer.settings, setting))
      throw new UserError(
        `--${kebab(setting)} is for --optimizer ${optimizersWith(setting)
          .map(o => o.name)
          .join(' or ')} only`,
      )
  return optimizer
}

type Settings = {
  readonly [K in keyof typeof TRAIN_DEFAULTS]: (typeof TRAIN_DEFAULTS)[K] extends string ? string : number
}

function checkNumbers({ epochs, batch, accumulate, seed, warmup }: Settings): void {
  for (const [key, n] of Object.entries({ epochs, batch, accumulate }))
    if (!Number.isInteger(n) || n < 1)
      throw new UserError(`--${key} must be a whole number of at least 1, not ${n}`)
  if (!Number.isInteger(seed)) throw new UserError(`--seed must be a whole number, not ${seed}`)
  if (!(warmup >= 0 && warmup < epochs))
    throw new UserError(`--warmup must be at least 0 and below --epochs ${epochs}, not ${warmup}`)
}

const settingsOf = (flags: TrainFlags): Settings => {
  const given = keysOf(TRAIN_DEFAULTS).map(key => [key, flags[key]] as const)
  return { ...TRAIN_DEFAULTS, ...Object.fromEntries(given.filter(([, v]) => v !== undefined)) }
}

type Source = NonNullable<RunConfig['source']>

/** Which data flags ask for, wherever the run goes on. */
function sourceOf({ data, text, limit, 'skip-bad': skipBad }: TrainFlags): Source {
  const folder = data === undefined || isKey(COLLECTIONS, data) ? data : resolve(data)
  const given = Object.entries({ data: folder, text: text && resolve(text), limit, skipBad })
  return Object.fromEntries(given.filter(([, value]) => value !== undefined))
}

/** The data of a new run. The recipe's validation split is for data that bring no validation set along. */
async function newData(draft: Model, config: object, source: Source, asked: TrainFlags, flags: TrainFlags) {
  const own = asked['val-split']
  const follow = {
    channels: asked.channels === undefined,
    size: (side: number) => takesSide(draft, config, asked, side),
  }
  const known = asked.preprocess === undefined ? {} : { preprocessing: { kind: asked.preprocess } }
  const data = await loadData(modelInput(draft), { ...source, valSplit: own }, { ...known, follow })
  const split = flags['val-split']
  if (data.val || split === undefined) return { data, valSplit: own }
  return { data: withValidation(data, split), valSplit: split }
}

/** A run from its beginning. @throws UserError for flags that do not fit each other or the data */
export async function newPlan(asked: TrainFlags): Promise<Plan> {
  const name = asked.model
  if (name === undefined) throw new UserError('say what to train, such as: onnxgrad train vit')
  const flags = withRecipe(name, resolveConfig(name, asked.preset, asked).preset, asked)
  const settings = settingsOf(flags)
  checkNumbers(settings)
  const { preset, config } = resolveConfig(name, flags.preset, flags)
  const draft = drafted(name, config, flags)
  const optimizer = chosenOptimizer(settings.optimizer, flags)
  const augmented = augmentOptions(flags)
  const augment = augmented && augmentation(augmented)
  const { ema, patience, threads, 'clip-norm': clipNorm } = flags
  const source = sourceOf(flags)
  const { data, valSplit } = await newData(draft, config, source, asked, flags)
  if (patience !== undefined && !data.val)
    throw new UserError('--patience needs a validation set: give --val-split, such as 0.1')
  const fit = fitted(config, data, flags)
  for (const line of fit.notes) note(line)
  const model = built(name, fit.config, data)
  const { epochs, batch, accumulate, seed, metric } = settings
  const device = await deviceFor(flags.device)
  const warmupSteps = Math.round(settings.warmup * Math.ceil(data.train.size / (batch * accumulate)))
  const schedule = withWarmup(lookup(SCHEDULES, settings.schedule)(), warmupSteps)
  const folder = flags.out
    ? await RunFolder.at(flags.out, { overwrite: flags.overwrite })
    : await RunFolder.next(`runs/${name}-${preset}`)
  const optional = { clipNorm, ema, augment: augmented, valSplit, patience, threads }
  const record = {
    model: { name, config: model.config },
    epochs,
    batch,
    accumulate,
    seed,
    optimizer: { name: optimizer.name, ...optimizer.settings },
    schedule: { name: schedule.name, ...schedule.settings },
    labelSmoothing: settings['label-smoothing'],
    metric,
    device,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
    ...(data.normalization ? { normalization: data.normalization } : {}),
    ...(data.preprocessing ? { preprocessing: data.preprocessing } : {}),
    classes: data.train.classes,
    examples: data.train.size,
    fingerprints: await fingerprints(data),
  }
  const about = { model, label: preset, data, source, record, optimizer, schedule, folder, goesOn: false }
  return { ...about, ...(augment ? { augment } : {}) }
}

/**
 * A run that is resumed from its last checkpoint, in its folder; from a checkpoint file, in a folder of its own.
 * @throws UserError when the file is damaged, or a flag or the data is not the run's
 */
export async function resumedPlan(path: string, flags: TrainFlags): Promise<Plan> {
  if (await isFolder(path)) {
    const { folder, from } = await RunFolder.resume(path, buildModel, note)
    try {
      const { best, ...recorded } = from.record
      const { finished } = from
      if (finished.model && (finished.report || !flags.report)) refuseFinished(flags, from.record)
      const bestParams =
        best && from.best
          ? { best, bestParams: answeringParams(from.best.layout, from.best.state.vectors) }
          : {}
      const reached = from.state && { ...from.state, ...bestParams }
      const its = await goOn(path, flags, recorded, from.model, reached, from.config.source)
      return { ...its, folder, goesOn: true }
    } catch (error) {
      folder.close()
      throw error
    }
  }
  const { record, model, state } = await readSaved(path, buildModel)
  // The best epoch's parameters are in the folder that the file comes from.
  const { best: _, ...recorded } = record
  const folder = flags.out
    ? await RunFolder.at(flags.out, { overwrite: flags.overwrite })
    : await RunFolder.next(`runs/${basename(path, extname(path))}`)
  return { ...(await goOn(path, flags, recorded, model, state)), folder, goesOn: false }
}

/** @throws UserError when nothing is left to do */
function refuseFinished(flags: TrainFlags, { step, epochs, patience, best, ...record }: RunRecord): void {
  const perEpoch = stepsPerEpoch(record)
  if (step === perEpoch * (flags.epochs ?? epochs))
    throw new UserError(`all ${step} steps of ${epochs} epochs are done; to continue, give more epochs`)
  const waited = Math.floor(step / perEpoch) - (best?.epoch ?? 0)
  if (patience !== undefined && best && waited >= (flags.patience ?? patience))
    throw new UserError(
      `no epoch was better than epoch ${best.epoch} for ${waited}: the run has ended; to continue, give more patience`,
    )
}

async function goOn(
  path: string,
  flags: TrainFlags,
  { step, sums, ...recorded }: RunRecord,
  model: Model,
  reached: RunState | undefined,
  known: Source = {},
) {
  refuseOthers(flags, recorded, path)
  const threads = flags.threads ?? recorded.threads
  const record = {
    ...recorded,
    epochs: flags.epochs ?? recorded.epochs,
    ...(flags.patience === undefined ? {} : { patience: flags.patience }),
    ...(threads === undefined ? {} : { threads }),
  }
  const source = { ...known, ...sourceOf(flags) }
  const input = modelInput(model)
  const { classes, preprocessing = presumedPreprocessing(input.shape, classes) } = record
  const data = await loadData(input, { ...source, valSplit: record.valSplit }, { classes, preprocessing })
  if (data.fromPictures && !record.preprocessing)
    throw new UserError(
      `${path}: its pictures were prepared in another way by onnxgrad ${record.versions?.onnxgrad ?? '0.1.0'}; resume it with that release, or train it again from the start`,
    )
  if (!recorded.fingerprints && data.train.size !== record.examples)
    throw new UserError(
      `${path}: the run has ${record.examples} examples per epoch, ${data.origin} has ${data.train.size}; give its own data (--data digits for the lab's 10,000 digits)`,
    )
  const found = await fingerprints(data)
  refuseOtherData(path, recorded.fingerprints, found)
  return {
    model,
    label: `from step ${step} of ${basename(path)}`,
    data,
    source,
    record: { ...record, fingerprints: found },
    optimizer: recordedOptimizer(record.optimizer),
    schedule: recordedSchedule(record.schedule),
    ...(record.augment ? { augment: augmentation(record.augment) } : {}),
    ...(reached ? { from: { ...reached, sums } } : {}),
  }
}
