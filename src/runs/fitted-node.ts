import { buildModel } from '../../models/index.ts'
import { UserError } from '../graph/errors.ts'
import { fieldsOf } from '../graph/keys.ts'
import type { Model } from '../nn/model.ts'
import { modelInput } from '../train/classifier.ts'
import type { LabelledDataset, LabelledSource } from './data-node.ts'

/** Larger pictures are made as large as the preset's, unless those are as large: a flag asks for more. */
const MOST_SIDE = 64

type Settings = Readonly<Record<string, unknown>>

/** A model to begin with, before the data are known: where its image size or its patch is left open, it suits the other. */
export function drafted(name: string, config: object, flags: Settings): Model {
  const { image, patch } = fieldsOf(config)
  if (typeof image !== 'number' || typeof patch !== 'number') return buildModel(name, config)
  const open =
    flags.image === undefined
      ? { image: Math.ceil(image / patch) * patch }
      : patchFor(config, Number(flags.image), flags)
  return buildModel(name, { ...config, ...open })
}

/** A configuration with what the data decide in place of what no flag says, and what is to be said of that. */
export interface Fitted {
  readonly config: object
  readonly notes: readonly string[]
}

/** Fits a configuration to its data: image size and channels, with a patch that divides the size, classes, vocabulary. */
export function fitted(config: object, { train }: LabelledSource, flags: Settings): Fitted {
  const { classes } = train
  if (!('images' in train)) return { config: { ...config, vocabulary: classes.length }, notes: [] }
  const [channels, height, width] = train.shape
  const own: Settings = { ...(height === width ? { image: height, channels } : {}), classes: classes.length }
  const free = Object.fromEntries(Object.entries(own).filter(([key]) => flags[key] === undefined))
  const sized: Settings = { ...config, ...free }
  const patched = patchFor(config, Number(sized.image), flags)
  const notes = Object.entries(patched).map(
    ([key, value]) =>
      `${key} ${value}: ${fieldsOf(config)[key]} does not divide the images' ${sized.image} pixels`,
  )
  return { config: { ...sized, ...patched }, notes }
}

/** Whether the model can be trained on square pictures of this side as they are, where flags leave the size open. */
export function takesSide(model: Model, config: object, flags: Settings, side: number): boolean {
  if (flags.image !== undefined) return false
  const [, preset = 0] = modelInput(model).shape
  if (side > Math.max(preset, MOST_SIDE)) return false
  try {
    buildModel(model.name, { ...config, image: side, ...patchFor(config, side, flags) })
    return true
  } catch (error) {
    if (error instanceof UserError) return false
    throw error
  }
}

/** Another patch where the preset's does not divide the side: the largest below that does, if it is not much smaller. */
function patchFor(config: object, side: number, flags: Settings): { patch?: number } {
  if (!('patch' in config) || typeof config.patch !== 'number' || flags.patch !== undefined) return {}
  if (side % config.patch === 0) return {}
  for (let patch = config.patch - 1; 2 * patch >= config.patch; patch--)
    if (side % patch === 0) return { patch }
  return {}
}

/** @throws UserError where the data's size does not fit the model's other settings, with that size */
export function built(name: string, config: object, { train }: LabelledSource): Model {
  try {
    return buildModel(name, config)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new UserError(`${error.message} (${sizeOf(train)} in ${train.name})`)
  }
}

const sizeOf = (data: LabelledDataset): string =>
  'images' in data ? `of ${data.shape.join('×')}` : `of ${data.classes.length} characters`
