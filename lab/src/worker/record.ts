import { buildModel } from '../../../models/index.ts'
import type { ImageSource } from '../../../src/data/dataset.ts'
import { fingerprints } from '../../../src/data/fingerprint.ts'
import { type Model, parameterCount } from '../../../src/nn/model.ts'
import { defaultsOf } from '../../../src/runs/definition.ts'
import { optimizerFor, scheduleFor } from '../../../src/runs/method.ts'
import {
  type RunRecord,
  recordedOptimizer,
  recordedSchedule,
  stepsPerEpoch,
} from '../../../src/runs/record.ts'
import { recordOf } from '../../../src/runs/recorded.ts'
import { readSavedOf, type Saved } from '../../../src/runs/saved.ts'
import { SETTINGS } from '../../../src/runs/settings.ts'
import { checkSettings } from '../../../src/settings/setting.ts'
import type { CheckpointAbout, TrainSettings } from '../protocol.ts'
import { Bases, partsOf } from './base.ts'
import { imageOf } from './reader.ts'

/** Settings of a run, without its progress. */
export type RunSettings = Omit<RunRecord, 'step' | 'versions' | 'best' | 'sums'>

/** Settings of the page as a checkpoint records them. @throws UserError for values that cannot be */
export async function recordFor(
  settings: TrainSettings['settings'],
  model: Model,
  data: ImageSource,
): Promise<RunSettings> {
  checkSettings(SETTINGS, settings)
  const values = { ...defaultsOf(SETTINGS), ...settings }
  const examples = data.train.size
  const perEpoch = stepsPerEpoch({
    examples,
    batch: Number(values.batch),
    accumulate: Number(values.accumulate),
  })
  return recordOf({
    model: { name: model.name, config: model.config },
    values,
    optimizer: optimizerFor(values),
    schedule: scheduleFor(values, perEpoch),
    ...{ data, examples },
    fingerprints: await fingerprints(data),
  })
}

/**
 * A run to resume, or to look at.
 * @param bases has the file that it fine-tunes
 * @throws UserError when the file is not a checkpoint, is damaged, or is of a run that cannot be resumed here
 */
export async function readCheckpoint(name: string, bytes: Uint8Array, bases = new Bases()): Promise<Saved> {
  const saved = await readSavedOf(bytes, name, record => {
    const { file, model, classes } = record
    if (!file) return { model: buildModel(model.name, model.config) }
    const tuned = bases.need(file).modelFor(classes)
    return { model: tuned, program: partsOf(tuned, record) }
  })
  // The best epoch's parameters are in the folder that the file comes from.
  const { best: _best, versions: _versions, ...record } = saved.record
  recordedOptimizer(record.optimizer)
  recordedSchedule(record.schedule)
  imageOf(saved.model, name)
  return { ...saved, record }
}

export function aboutCheckpoint({ step, ...record }: RunRecord, model: Model): CheckpointAbout {
  const { epochs, classes, examples, fingerprints, file } = record
  return {
    model: record.model,
    ...(file ? { file: { name: file.name, sha256: file.sha256 } } : {}),
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
