import { UserError } from '../graph/errors.ts'
import type { Model } from '../nn/model.ts'
import { modelInput } from '../train/classifier.ts'
import { TuneFolder } from '../tune/journal-node.ts'
import type { TuneRecord, TuneSettings } from '../tune/record.ts'
import type { Dimension, Values } from '../tune/space.ts'
import { parsed } from './command-line.ts'

import { deviceFor } from './device.ts'

import { drafted } from './fitted.ts'

import { type LabelledSource, loadData } from './load-data.ts'
import { resolveConfig } from './options.ts'
import { withRecipe } from './recipes.ts'
import { askedSettings, differences, refuseOtherTune, type TuneFlags, wholeSettings } from './tune-flags.ts'
import { trialFlags } from './tune-result.ts'
import { loadSpace, trainSpace } from './tune-space.ts'

export interface Opened {
  readonly folder: TuneFolder
  /** What the folder holds already. */
  readonly had: TuneRecord | undefined
  readonly settings: TuneRecord
  readonly space: readonly Dimension[]
}

/** The tune that flags ask for: a new one, or one that goes on. Nothing is written yet. */
export async function opened(flags: TuneFlags): Promise<Opened> {
  const declared = flags.space === undefined ? undefined : await loadSpace(flags.space)
  const asked = await askedSettings(flags, declared)
  const where = flags.space ?? '--space'
  if (flags.resume === undefined) {
    const settings = wholeSettings(asked)
    const space = await trainSpace(settings, where)
    const folder = flags.out === undefined ? await nextFolder(settings) : new TuneFolder(flags.out)
    const had = await folder.read()
    if (had) refuseOtherTune(had, settings, true, folder.path)
    return { folder, had, settings: { ...had, ...settings }, space }
  }
  if (flags.out !== undefined)
    throw new UserError('--out cannot be combined with --resume, which names the folder')
  const folder = new TuneFolder(flags.resume)
  const had = await folder.read()
  if (!had) throw new UserError(`${folder.path} holds no tune to resume`)
  refuseOtherTune(had, asked, false, folder.path)
  const settings = { ...had, trials: asked.trials ?? had.trials }
  return { folder, had, settings, space: await trainSpace(settings, folder.file('settings')) }
}

/** The first folder that is free, or holds the same tune. */
async function nextFolder(settings: TuneSettings): Promise<TuneFolder> {
  for (let i = 1; ; i++) {
    const folder = new TuneFolder(`runs/tune-${settings.model}${i === 1 ? '' : `-${i}`}`)
    const had = await folder.read()
    if (!had || !differences(had, settings, true).length) return folder
  }
}

/** What all trials have in common. */
export interface Shared {
  readonly data: LabelledSource
  /** Whether there is something to judge trials by, in the data or by a flag. */
  readonly validated: boolean
  readonly metric: 'accuracy' | 'loss'
  readonly device: string
}

/**
 * Loads the data once, so that what is wrong with it is no trial's failure.
 * @throws UserError also when no trial's model can be built
 */
export async function sharedBy(record: TuneRecord, points: readonly Values[]): Promise<Shared> {
  let first: unknown
  for (const values of points) {
    const asked = await parsed(record.model, trialFlags(record, values))
    const { preset } = resolveConfig(record.model, asked.preset, asked)
    const flags = withRecipe(record.model, preset, asked)
    let model: Model
    try {
      model = drafted(record.model, resolveConfig(record.model, preset, flags).config, flags)
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      first ??= error
      continue
    }
    const { data: named, text, limit, 'skip-bad': skipBad, metric = 'accuracy' } = flags
    const device = await deviceFor(flags.device)
    const data = await loadData(modelInput(model), {
      data: named,
      text,
      limit,
      skipBad,
      valSplit: asked['val-split'],
    })
    return { data, validated: Boolean(data.val ?? flags['val-split']), metric, device }
  }
  throw first
}
