import { type ImageShape, presumedPreprocessing } from '../data/preprocess.ts'
import { layoutOf } from '../nn/layout.ts'
import type { Model } from '../nn/model.ts'
import { normalized } from '../nn/normalize.ts'
import type { TrainedModel } from '../nn/trained.ts'
import { readCheckpoint, stateCheckpoint, vectorsOf } from './checkpoint.ts'
import { RECORD, type RunRecord, readRecord, readTraining, TRAINING } from './record.ts'
import { answeringParams, type TrainState } from './state.ts'
import { ONLY, type StateLayout, wholeLayout } from './step/state.ts'

/** Makes a model from its name and configuration. */
export type Build = (name: string, config: object) => Model

/** What a training came to so far. */
export type Training = Readonly<Record<string, unknown>>

/** A checkpoint of a run, whole. */
export interface Saved {
  readonly file: string
  readonly bytes: Uint8Array
  readonly record: RunRecord
  readonly model: Model
  readonly layout: StateLayout
  readonly state: TrainState
  readonly training: Training
}

/** @param file what errors call it @throws UserError when it is not a checkpoint of a run, or is damaged */
export function readSavedBytes(bytes: Uint8Array, file: string, build: Build): Saved {
  const checkpoint = readCheckpoint(bytes, file)
  const record = readRecord(checkpoint.metadata, file)
  const training = readTraining(checkpoint.metadata, file)
  const model = build(record.model.name, record.model.config)
  const layout = wholeLayout(layoutOf(model.parameters))
  const { step } = record
  const state = { step, steps: checkpoint.steps ?? { [ONLY]: step }, vectors: vectorsOf(checkpoint, layout) }
  return { file, bytes, record, model, layout, state, training }
}

/** The bytes that {@link readSavedBytes} reads. */
export const writeSaved = (
  layout: StateLayout,
  state: TrainState,
  record: RunRecord,
  training: Training,
): Uint8Array =>
  stateCheckpoint(layout, state, { [RECORD]: JSON.stringify(record), [TRAINING]: JSON.stringify(training) })

/** The model of a checkpoint, as it answers. */
export function savedModel({ record, model, layout, state, training }: Saved): TrainedModel {
  const { classes, normalization, preprocessing } = record
  const image = model.inputs.image?.shape as ImageShape | undefined
  return {
    model: normalization ? normalized(model, 'image', normalization) : model,
    params: answeringParams(layout, state.vectors),
    classes,
    ...(image ? { preprocessing: preprocessing ?? presumedPreprocessing(image, classes) } : {}),
    ...(Object.keys(training).length ? { training } : {}),
  }
}
