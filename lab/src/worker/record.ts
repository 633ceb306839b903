import { buildModel } from '../../../models/index.ts'
import type { ImageSource } from '../../../src/data/dataset.ts'
import { fingerprints } from '../../../src/data/fingerprint.ts'
import { type Model, parameterCount } from '../../../src/nn/model.ts'
import { openCheckpoint, stateOf, writeCheckpoint } from '../../../src/train/checkpoint.ts'
import type { State } from '../../../src/train/executor.ts'
import { layoutOf } from '../../../src/train/layout.ts'
import { OPTIMIZERS } from '../../../src/train/optimizer.ts'
import {
  RECORD,
  type RunRecord,
  readRecord,
  readTraining,
  recordedOptimizer,
  recordedSchedule,
  TRAINING,
} from '../../../src/train/record.ts'
import { SCHEDULES } from '../../../src/train/schedule.ts'
import { stepsOf } from '../../../src/train/work.ts'
import type { CheckpointAbout, TrainSettings } from '../protocol.ts'

/** How a run is set, whatever it has come to. */
export type RunSettings = Omit<RunRecord, 'step' | 'versions' | 'best' | 'tally'>

/** Settings of the page as a checkpoint records them. @throws UserError for numbers that cannot be */
export function recordOf(settings: TrainSettings, model: Model, data: ImageSource): RunSettings {
  const { epochs, batch, seed, lr } = settings
  // As `onnxgrad train` has it.
  const momentum = settings.optimizer === 'sgd' ? { momentum: 0.9 } : {}
  const optimizer = OPTIMIZERS[settings.optimizer]({ lr, ...momentum })
  const schedule = SCHEDULES[settings.schedule ?? 'cosine']()
  return {
    model: { name: model.name, config: model.config },
    epochs,
    batch,
    seed,
    optimizer: { name: optimizer.name, ...optimizer.settings },
    schedule: { name: schedule.name, ...schedule.settings },
    normalization: data.normalization,
    ...(data.preprocessing ? { preprocessing: data.preprocessing } : {}),
    classes: data.train.classes,
    images: data.train.size,
    fingerprints: fingerprints(data),
  }
}

type Training = Readonly<Record<string, unknown>>

export function writeRun(model: Model, state: State, record: RunRecord, training: Training): Uint8Array {
  return writeCheckpoint(layoutOf(model.parameters), state, {
    [RECORD]: JSON.stringify(record),
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

/** @throws UserError when the file is no checkpoint, is damaged, or is of a run that cannot go on here */
export function readRun(name: string, bytes: Uint8Array): Checkpoint {
  const file = openCheckpoint(bytes, name)
  // The best epoch's parameters are in the folder that the file comes from, as is what its last epoch came to.
  const { best: _best, tally: _tally, versions: _versions, ...record } = readRecord(file.metadata, name)
  recordedOptimizer(record.optimizer)
  recordedSchedule(record.schedule)
  const model = buildModel(record.model.name, record.model.config)
  const state = stateOf(file, layoutOf(model.parameters))
  return { model, state, record, training: readTraining(file.metadata, name) }
}

export function aboutCheckpoint({ model, record }: Pick<Checkpoint, 'model' | 'record'>): CheckpointAbout {
  const { step, epochs, batch, accumulate = 1, classes, images, fingerprints } = record
  const [channels = 0, height = 0, width = 0] = model.input.shape
  return {
    model: record.model,
    input: [channels, height, width],
    classes,
    parameters: parameterCount(model),
    images,
    ...(fingerprints ? { fingerprints } : {}),
    epochs,
    step,
    epoch: Math.floor(step / stepsOf(images, { batch, accumulate })),
  }
}
