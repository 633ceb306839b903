import type { AugmentOptions } from '../data/augment.ts'
import { areFingerprints, type Fingerprints } from '../data/fingerprint.ts'
import { isPreprocessing, type Preprocessing } from '../data/preprocess.ts'
import { UserError } from '../graph/errors.ts'
import { fieldsOf, isKey, isObject } from '../graph/keys.ts'
import type { Normalization } from '../graph/normalization.ts'
import { lookup } from '../graph/present.ts'
import type { ParameterGroup } from '../optim/groups.ts'
import { OPTIMIZERS, type Optimizer } from '../optim/optimizer.ts'
import { SCHEDULES, type Schedule, stepDecay, withWarmup } from '../optim/schedule.ts'
import type { EpochSums } from '../train/epoch.ts'
import type { Best } from '../train/progress.ts'

interface Named {
  readonly name: string
  readonly [setting: string]: unknown
}

/** A model by its name and settings. */
export interface RecordedModel {
  readonly name: string
  readonly config: object
}

/** What is trained of a model that starts from a file: the head for an epoch and then everything, the head only, or everything. */
export const TRAINED_PARTS = ['headFirst', 'head', 'all'] as const
export type TrainedPart = (typeof TRAINED_PARTS)[number]

/** The `.onnx` file that a run fine-tunes. */
export interface RecordedFile {
  readonly name: string
  readonly sha256: string
  readonly part: TrainedPart
}

/** What a run needs beside its state to be resumed, in Node or in a page: part of every checkpoint. */
export interface RunRecord {
  readonly model: RecordedModel
  /** Steps done. */
  readonly step: number
  readonly epochs: number
  readonly batch: number
  readonly seed: number
  readonly optimizer: Named
  readonly schedule: Named
  /** Epochs of linear warm-up; part of the schedule's steps in runs of releases up to 0.1.0. */
  readonly warmup?: number
  /** The module that defines the run; missing for models that come with onnxgrad. */
  readonly module?: string
  /** The file that the model comes from; missing for one that starts at random weights. */
  readonly file?: RecordedFile
  readonly labelSmoothing?: number
  readonly clipNorm?: number
  /** Batches that make a step. */
  readonly accumulate?: number
  /** Decay of the parameters' average. */
  readonly ema?: number
  readonly augment?: AugmentOptions
  /** What is held out of the training set: a share below 1, or a number of examples. */
  readonly valSplit?: number
  /** What decides which epoch is the best: `loss`, or a metric. */
  readonly metric?: string
  readonly patience?: number
  readonly device?: string
  readonly threads?: number
  readonly normalization?: Normalization
  /** Left out by the releases up to 0.1.0. */
  readonly preprocessing?: Preprocessing
  readonly classes: readonly string[]
  /** Of an epoch. */
  readonly examples: number
  /** Of the data; missing in runs of before they were recorded. */
  readonly fingerprints?: Fingerprints
  /** Of onnxgrad, onnxruntime and Node, which wrote the checkpoint. */
  readonly versions?: Readonly<Record<string, string>>
  /** The best epoch so far. */
  readonly best?: Best
  /** Of the epoch that the step is within. */
  readonly sums?: EpochSums
}

/** Keys of a checkpoint's metadata, both JSON: the {@link RunRecord}, and what the training came to so far. */
export const RECORD = 'run'
export const TRAINING = 'training'

function json(text: string, key: string, name: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new UserError(`${name}: its metadata ${key} is not JSON: the file is damaged`)
  }
}

/** What the training came to, of a checkpoint's metadata. @throws UserError when it is damaged */
export const readTraining = (
  metadata: Readonly<Record<string, string>>,
  name: string,
): Readonly<Record<string, unknown>> => fieldsOf(json(metadata[TRAINING] ?? '{}', TRAINING, name))

const isNormalization = (value: Partial<Normalization> | null | undefined): boolean =>
  value === undefined ||
  [value?.mean, value?.std].every(list => Array.isArray(list) && list.every(Number.isFinite))

const COUNTS = ['step', 'epochs', 'batch', 'examples'] as const

const isNumber = (value: unknown): value is number => typeof value === 'number'

/** What classifiers' records of before checkpoint format 2 say, as records say it today. */
function updated({ images, tally, best, ...record }: Record<string, unknown>): Record<string, unknown> {
  const { accuracy, loss, ...bestEpoch } = fieldsOf(best)
  const sums = fieldsOf(tally)
  return {
    ...record,
    ...(images === undefined ? {} : { examples: images }),
    ...(best ? { best: isNumber(accuracy) ? { ...bestEpoch, measured: { loss, accuracy } } : best } : {}),
    ...(sums.labels
      ? {
          sums: {
            examples: sums.images,
            // The loss was counted by example, and is an average over labels, of which a text has several.
            sums: [(Number(sums.loss) / Number(sums.images)) * Number(sums.labels), sums.correct],
            counts: [sums.labels, sums.labels],
            gradNorm: sums.gradNorm,
            updates: sums.updates,
          },
        }
      : {}),
  }
}

const isFile = (file: Partial<RecordedFile> | undefined): boolean =>
  file === undefined ||
  (typeof file.name === 'string' &&
    typeof file.sha256 === 'string' &&
    TRAINED_PARTS.some(part => part === file.part))

const isList = (value: unknown): boolean => Array.isArray(value) && value.every(Number.isFinite)

const isSums = (sums: Partial<EpochSums> | undefined): boolean =>
  sums === undefined ||
  (isList(sums.sums) &&
    isList(sums.counts) &&
    [sums.examples, sums.gradNorm, sums.updates].every(Number.isFinite))

const isBest = (best: Partial<Best> | undefined): boolean =>
  best === undefined || ([best.epoch, best.step].every(Number.isSafeInteger) && isNumber(best.measured?.loss))

/** The record of a checkpoint's metadata. @throws UserError when there is none, or it is damaged */
export function readRecord(metadata: Readonly<Record<string, string>>, name: string): RunRecord {
  const text = metadata[RECORD]
  if (text === undefined)
    throw new UserError(
      `${name}: does not say which run it is of; take a checkpoint that \`onnxgrad train\` or the lab wrote`,
    )
  const recorded = json(text, RECORD, name)
  const record: Partial<RunRecord> = isObject(recorded) ? updated(recorded) : {}
  if (!isWhole(record))
    throw new UserError(`${name}: its record of the run is incomplete: the file is damaged`)
  return record
}

function isWhole(record: Partial<RunRecord>): record is RunRecord {
  const whole = (value: unknown, least: number) => Number.isSafeInteger(value) && Number(value) >= least
  return (
    typeof record.model?.name === 'string' &&
    typeof record.model.config === 'object' &&
    record.model.config !== null &&
    COUNTS.every(key => whole(record[key], key === 'step' ? 0 : 1)) &&
    whole(record.seed, Number.MIN_SAFE_INTEGER) &&
    typeof record.optimizer?.name === 'string' &&
    typeof record.schedule?.name === 'string' &&
    Array.isArray(record.classes) &&
    record.classes.every(name => typeof name === 'string') &&
    isNormalization(record.normalization) &&
    isFile(record.file) &&
    isSums(record.sums) &&
    isBest(record.best) &&
    (record.fingerprints === undefined || areFingerprints(record.fingerprints)) &&
    (record.preprocessing === undefined || isPreprocessing(record.preprocessing))
  )
}

/** Steps of an epoch of a run. */
export const stepsPerEpoch = ({
  examples,
  batch,
  accumulate = 1,
}: Pick<RunRecord, 'examples' | 'batch' | 'accumulate'>): number => Math.ceil(examples / (batch * accumulate))

/**
 * The optimizer that a record names.
 * @param groups of parameters, which records do not hold
 * @throws UserError when it is not known, or a setting is none of its
 */
export function recordedOptimizer(
  { name, ...settings }: Named,
  groups: readonly ParameterGroup[] = [],
): Optimizer {
  if (!isKey(OPTIMIZERS, name)) throw new UserError(`optimizer ${name} is not known`)
  if (settings.groups !== undefined)
    throw new UserError(`${name} had groups of parameters; resume it with \`train\` and the same groups`)
  const { make }: { readonly make: (settings: object) => Optimizer } = OPTIMIZERS[name]
  const { beta1, beta2, ...others } = settings
  return make({ ...others, ...(beta1 === undefined ? {} : { betas: [beta1, beta2] }), groups })
}

/** The schedule that a record names. @throws UserError when it is not known */
export function recordedSchedule({ name, warmupSteps = 0, ...settings }: Named): Schedule {
  const known: Readonly<Record<string, (settings: never) => Schedule>> = { ...SCHEDULES, step: stepDecay }
  if (!Object.hasOwn(known, name)) throw new UserError(`schedule ${name} is not known`)
  return withWarmup(lookup(known, name)(settings as never), Number(warmupSteps))
}
