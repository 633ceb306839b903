import { buildModel } from '../../../models/index.ts'
import type { Normalization } from '../../../src/data/dataset.ts'
import { readSafetensors } from '../../../src/export/safetensors.ts'
import { UserError } from '../../../src/graph/errors.ts'
import { type Model, parameterCount } from '../../../src/nn/model.ts'
import { readCheckpoint, writeCheckpoint } from '../../../src/train/checkpoint.ts'
import type { State } from '../../../src/train/executor.ts'
import { layoutOf } from '../../../src/train/layout.ts'
import { adam, adamW, lion, type Optimizer, sgd } from '../../../src/train/optimizer.ts'
import { constant, cosine, oneCycle, type Schedule } from '../../../src/train/schedule.ts'
import type { CheckpointAbout, TrainSettings } from '../protocol.ts'

/** Keys of a checkpoint's metadata, both JSON: the {@link RunRecord}, and what the training came to so far. */
const RUN = 'run'
const TRAINING = 'training'

/** All that a run needs beside its state to go on, in a page or in Node. */
export interface RunRecord {
  readonly model: { readonly name: string; readonly config: object }
  /** Steps done, of `epochs`. */
  readonly step: number
  readonly epochs: number
  readonly batch: number
  readonly seed: number
  readonly optimizer: { readonly name: string; readonly [setting: string]: unknown }
  readonly schedule: { readonly name: string; readonly [setting: string]: unknown }
  readonly normalization?: Normalization
  readonly classes: readonly string[]
  /** Images of an epoch. */
  readonly images: number
}

const OPTIMIZERS: Readonly<Record<TrainSettings['optimizer'], (lr: number) => Optimizer>> = {
  adam: lr => adam({ lr }),
  adamw: lr => adamW({ lr }),
  // As `onnxgrad train` has it.
  sgd: lr => sgd({ lr, momentum: 0.9 }),
  lion: lr => lion({ lr }),
}
const SCHEDULES: Readonly<Record<NonNullable<TrainSettings['schedule']>, () => Schedule>> = {
  constant,
  cosine,
  onecycle: oneCycle,
}

export const optimizerOf = ({ optimizer, lr }: Pick<TrainSettings, 'optimizer' | 'lr'>): Optimizer =>
  OPTIMIZERS[optimizer](lr)
export const scheduleOf = ({ schedule = 'cosine' }: Pick<TrainSettings, 'schedule'>): Schedule =>
  SCHEDULES[schedule]()

type Training = Readonly<Record<string, unknown>>

export function writeRun(model: Model, state: State, record: RunRecord, training: Training): Uint8Array {
  return writeCheckpoint(layoutOf(model.parameters), state, {
    [RUN]: JSON.stringify(record),
    [TRAINING]: JSON.stringify(training),
  })
}

/** A run to go on with, or to look at. */
export interface Checkpoint {
  readonly model: Model
  readonly state: State
  readonly record: RunRecord
  readonly training: Training
}

/** @throws UserError when the file is no checkpoint, is damaged, or does not say of which run */
export function readRun(name: string, bytes: Uint8Array): Checkpoint {
  const { metadata } = readSafetensors(bytes, name)
  const json = (key: string, text: string): unknown => {
    try {
      return JSON.parse(text)
    } catch {
      throw new UserError(`${name}: its metadata ${key} is not JSON: the file is damaged`)
    }
  }
  const text = metadata[RUN]
  if (text === undefined)
    throw new UserError(
      `${name}: does not say which run it is of; take a checkpoint that this page or \`onnxgrad train\` wrote`,
    )
  const record = json(RUN, text) as RunRecord
  const model = buildModel(record.model.name, record.model.config)
  const { state } = readCheckpoint(layoutOf(model.parameters), bytes, name)
  return { model, state, record, training: json(TRAINING, metadata[TRAINING] ?? '{}') as Training }
}

export function aboutCheckpoint(name: string, bytes: Uint8Array): CheckpointAbout {
  const { model, record } = readRun(name, bytes)
  const { step, epochs, batch, seed, optimizer, schedule, classes, images } = record
  const known = <T extends object>(what: string, names: T, given: string): keyof T => {
    if (!Object.hasOwn(names, given))
      throw new UserError(
        `${name}: was trained with the ${what} ${given}, which this page does not have; go on in Node with --resume`,
      )
    return given as keyof T
  }
  return {
    settings: {
      model: record.model,
      epochs,
      batch,
      seed,
      optimizer: known('optimizer', OPTIMIZERS, optimizer.name),
      schedule: known('schedule', SCHEDULES, schedule.name),
      lr: Number(optimizer.lr),
    },
    step,
    epoch: Math.floor(step / Math.ceil(images / batch)),
    parameters: parameterCount(model),
    classes,
  }
}
