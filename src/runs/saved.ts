import { type ImageShape, presumedPreprocessing } from '../data/preprocess.ts'
import { UserError } from '../graph/errors.ts'
import { printable } from '../graph/printable.ts'
import type { Model } from '../nn/model.ts'
import { normalized } from '../nn/normalize.ts'
import type { TrainedModel } from '../nn/trained.ts'
import { readCheckpoint, stateCheckpoint, vectorsOf } from '../train/checkpoint.ts'
import { layoutFor } from '../train/plans.ts'
import { answeringParams, type TrainState } from '../train/state.ts'
import { ONLY, type StateLayout } from '../train/step/state.ts'
import type { Built } from './definition.ts'
import { RECORD, type RunRecord, readRecord, readTraining, TRAINING } from './record.ts'
import { answering } from './tuned.ts'

/** Makes a model from its recorded name, settings and module. */
export type Build = (name: string, config: object, module?: string) => Model | Built | Promise<Model | Built>

/** What a record's model is built to. */
export async function builtFrom(
  build: Build,
  { model: { name, config }, module }: Pick<RunRecord, 'model' | 'module'>,
): Promise<Built> {
  const made = await build(name, config, module)
  return 'model' in made && typeof made !== 'function' ? made : { model: made as Model }
}

/** How the state of a run is laid out. */
export const runLayout = ({ model, program }: Built): StateLayout =>
  layoutFor(model, { [ONLY]: { train: program?.train } }, program?.freeze)

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
export const readSavedBytes = (bytes: Uint8Array, file: string, build: Build): Promise<Saved> =>
  readSavedOf(bytes, file, record => {
    if (!record.file) return builtFrom(build, record)
    throw new UserError(
      `${file}: fine-tunes ${printable(record.file.name)} in the lab: open that file and the checkpoint there`,
    )
  })

/** As {@link readSavedBytes}. @param built the model of a record */
export async function readSavedOf(
  bytes: Uint8Array,
  file: string,
  built: (record: RunRecord) => Built | Promise<Built>,
): Promise<Saved> {
  const checkpoint = readCheckpoint(bytes, file)
  const record = readRecord(checkpoint.metadata, file)
  const training = readTraining(checkpoint.metadata, file)
  const made = await built(record)
  const { model } = made
  const layout = runLayout(made)
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
export const savedModel = (saved: Saved): TrainedModel => answering(trainedModel(saved))

/** The model of a checkpoint, as it is trained: with updates of `lora` beside its weights. */
export function trainedModel({ record, model: own, layout, state, training }: Saved): TrainedModel {
  const { classes, normalization, preprocessing } = record
  const image = own.inputs.image?.shape as ImageShape | undefined
  return {
    model: normalization && !own.normalization.image ? normalized(own, 'image', normalization) : own,
    params: answeringParams(layout, state.vectors),
    ...(classes.length ? { classes } : {}),
    ...(image && !record.module
      ? { preprocessing: preprocessing ?? presumedPreprocessing(image, classes) }
      : preprocessing
        ? { preprocessing }
        : {}),
    ...(Object.keys(training).length ? { training } : {}),
  }
}
