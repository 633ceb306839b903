import { UserError } from '../../graph/errors.ts'
import { defined, picked } from '../../graph/keys.ts'
import { checkSettings, type Values, type ValuesOf } from '../../settings/setting.ts'
import { placed } from '../data-node.ts'
import type { Context, Definition, SettingValues } from '../definition.ts'
import { checkAsked } from '../plan-node.ts'
import { otherSettings } from '../sub-run-node.ts'
import { TuneFolder } from './folder-node.ts'
import type { TuneRecord } from './record.ts'
import { SEARCH_SETTINGS } from './settings.ts'

/** What is asked of a search, apart from what is asked of its trials. */
export function split(definition: Definition, asked: SettingValues, { label }: Context) {
  const own = picked(asked, Object.keys(SEARCH_SETTINGS)) as ValuesOf<typeof SEARCH_SETTINGS>
  checkSettings(SEARCH_SETTINGS, own, label)
  const { space, out } = asked
  const trial = Object.entries(asked).filter(
    ([name]) => !Object.hasOwn(SEARCH_SETTINGS, name) && !['space', 'out'].includes(name),
  )
  const settings = placed(defined(Object.fromEntries(trial))) as Values
  checkAsked(definition, settings, { label, notice: () => {} })
  return { own, settings, space: space as TuneRecord['space'] | undefined, out: out as string | undefined }
}

/** Settings by name; what was decided where they left it open is not among them. */
const named = ({
  settings = {},
  valSplit,
  fingerprints,
  module,
  ...own
}: Partial<TuneRecord>): SettingValues => ({ ...own, ...settings })

const shown = (value: unknown): unknown =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : value

const shownAll = (settings: SettingValues): SettingValues =>
  Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, shown(value)]))

/**
 * How what is asked for differs from a search, in words. More trials are no difference.
 * @param whole whether what is not asked for must not be set either
 */
function differences(
  had: TuneRecord,
  asked: Partial<TuneRecord>,
  whole: boolean,
  context: Context,
): readonly string[] {
  const { trials, ...ours } = named(asked)
  const theirs = shownAll(named(had))
  const missing = Object.keys(theirs).filter(
    name => whole && name !== 'trials' && theirs[name] !== undefined && ours[name] === undefined,
  )
  if (missing.length)
    return missing.map(name => `${context.label(name)} is ${theirs[name]} in this search, and is left out`)
  const fewer = trials !== undefined && Number(trials) < had.trials
  return otherSettings(theirs, shownAll(fewer ? { ...ours, trials } : ours), 'this search', context)
}

/** @throws UserError with all differences from the search that a folder holds; see {@link differences} */
export function refuseOtherSearch(
  folder: string,
  had: TuneRecord,
  asked: Partial<TuneRecord>,
  whole: boolean,
  context: Context,
): void {
  const found = differences(had, asked, whole, context)
  if (found.length) throw new UserError(`${folder}: ${found.join('; ')}`)
}

/** The first folder that is free, or holds the same search. */
export async function nextFolder(record: TuneRecord, context: Context): Promise<TuneFolder> {
  for (let i = 1; ; i++) {
    const folder = new TuneFolder(`runs/tune-${record.model}${i === 1 ? '' : `-${i}`}`)
    const had = await folder.read()
    if (!had || !differences(had, record, true, context).length) return folder
  }
}
