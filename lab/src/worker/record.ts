import { buildModel } from '../../../models/index.ts'
import type { ImageSource } from '../../../src/data/dataset.ts'
import { fingerprints } from '../../../src/data/fingerprint.ts'
import { type Model, parameterCount } from '../../../src/nn/model.ts'
import { optimizerOf } from '../../../src/optim/optimizer.ts'
import { SCHEDULES } from '../../../src/optim/schedule.ts'
import {
  type RunRecord,
  recordedOptimizer,
  recordedSchedule,
  stepsPerEpoch,
} from '../../../src/runs/record.ts'
import { readSavedBytes, type Saved } from '../../../src/runs/saved.ts'
import type { CheckpointAbout, TrainSettings } from '../protocol.ts'
import { imageOf } from './reader.ts'

/** How a run is set, whatever it has come to. */
export type RunSettings = Omit<RunRecord, 'step' | 'versions' | 'best' | 'sums'>

/** Settings of the page as a checkpoint records them. @throws UserError for numbers that cannot be */
export async function recordOf(
  settings: TrainSettings,
  model: Model,
  data: ImageSource,
): Promise<RunSettings> {
  const { epochs, batch, seed, lr } = settings
  const optimizer = optimizerOf(settings.optimizer, { lr })
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
    examples: data.train.size,
    fingerprints: await fingerprints(data),
  }
}

/**
 * A run to resume, or to look at.
 * @throws UserError when the file is not a checkpoint, is damaged, or is of a run that cannot be resumed here
 */
export async function readRun(name: string, bytes: Uint8Array): Promise<Saved> {
  const saved = await readSavedBytes(bytes, name, buildModel)
  // The best epoch's parameters are in the folder that the file comes from.
  const { best: _best, versions: _versions, ...record } = saved.record
  recordedOptimizer(record.optimizer)
  recordedSchedule(record.schedule)
  imageOf(saved.model, name)
  return { ...saved, record }
}

export function aboutCheckpoint({ step, ...record }: RunRecord, model: Model): CheckpointAbout {
  const { epochs, classes, examples, fingerprints } = record
  return {
    model: record.model,
    input: imageOf(model),
    classes,
    parameters: parameterCount(model),
    images: examples,
    ...(fingerprints ? { fingerprints } : {}),
    epochs,
    step,
    epoch: Math.floor(step / stepsPerEpoch(record)),
  }
}
