import { buildModel } from '../../models/index.ts'
import type { DataSource } from '../data/dataset.ts'
import { UserError } from '../graph/errors.ts'
import type { Model } from '../nn/model.ts'

/** Larger pictures are made as large as the preset's, unless those are as large: a flag asks for more. */
const MOST_SIDE = 64

/** A configuration with what the data decide in place of what no flag says, and what is to be said of that. */
export interface Fitted {
  readonly config: object
  readonly notes: readonly string[]
}

type Flags = Readonly<Record<string, unknown>>

/** Fits a preset to its data: image size and channels, with a patch that divides the size, classes, vocabulary. */
export function fitted(draft: Model, config: object, { train }: DataSource, flags: Flags): Fitted {
  const { shape, classes } = train
  if (draft.input.name === 'tokens') return { config: { ...config, vocabulary: classes.length }, notes: [] }
  const [channels, height, width] = shape
  const differs = height === width && shape.join() !== draft.input.shape.join()
  const patched = differs ? patchOf(config, height!, flags) : {}
  const own = {
    ...(differs ? { image: height, channels } : {}),
    ...(classes.length === draft.classes ? {} : { classes: classes.length }),
  }
  const free = Object.entries(own).filter(([key]) => flags[key] === undefined)
  const notes = Object.entries(patched).map(
    ([key, value]) =>
      `${key} ${value}: images of ${height} pixels cannot be cut into those of ${(config as Flags)[key]}`,
  )
  return { config: { ...config, ...Object.fromEntries(free), ...patched }, notes }
}

/** Whether the model can be trained on square pictures of this side as they are, where flags leave the size open. */
export function takesSide(draft: Model, config: object, flags: Flags, side: number): boolean {
  if (flags.image !== undefined) return false
  const [, preset = 0] = draft.input.shape
  if (side > Math.max(preset, MOST_SIDE)) return false
  try {
    buildModel(draft.name, { ...config, image: side, ...patchOf(config, side, flags) })
    return true
  } catch (error) {
    if (error instanceof UserError) return false
    throw error
  }
}

/** Another patch where the preset's does not divide the side: the largest below that does, if it is not much smaller. */
function patchOf(config: object, side: number, flags: Flags): { patch?: number } {
  if (!('patch' in config) || typeof config.patch !== 'number' || flags.patch !== undefined) return {}
  if (side % config.patch === 0) return {}
  for (let patch = config.patch - 1; 2 * patch >= config.patch; patch--)
    if (side % patch === 0) return { patch }
  return {}
}

/** @throws UserError where the data's size does not fit the model's other settings, with that size */
export function built(name: string, config: object, { train }: DataSource): Model {
  try {
    return buildModel(name, config)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new UserError(`${error.message} (of ${train.shape.join('×')} in ${train.name})`)
  }
}
