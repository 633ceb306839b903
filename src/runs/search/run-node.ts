import { writeAtomic } from '../../data/files-node.ts'
import { fingerprints } from '../../data/fingerprint.ts'
import { UserError } from '../../graph/errors.ts'
import { nth } from '../../graph/present.ts'
import type { Runtime } from '../../runtime/session.ts'
import { workerRuntime } from '../../runtime/worker-node.ts'
import type { Values, ValuesOf } from '../../settings/setting.ts'
import { DivergenceError } from '../../train/divergence.ts'
import { monitorFor } from '../../train/fit.ts'
import { trainCommand } from '../command.ts'
import {
  type Context,
  type Definition,
  defaultsOf,
  messages,
  type Prepared,
  type SettingValues,
  schemaOf,
} from '../definition.ts'
import { definitionOf, recordedDefinition } from '../definition-node.ts'
import { deviceFor, valuesFor } from '../plan-node.ts'
import type { ResumeSettings, RunOptions, RunSettings } from '../run-node.ts'
import { refuseOtherData } from '../same-data.ts'
import { hasBegun, trainIn } from '../sub-run-node.ts'
import { nextFolder, refuseOtherSearch, split } from './asked-node.ts'
import { dimensionsOf } from './dimensions.ts'
import { TuneFolder } from './folder-node.ts'
import type { TuneRecord } from './record.ts'
import { type TrialResult, type TuneState, trialResults } from './result.ts'
import { halvingRungs, next, type Search } from './search.ts'
import { SEARCH_SETTINGS } from './settings.ts'
import { type Dimension, draws } from './space.ts'

/** Held out of the training examples where neither settings nor data say what to choose by. */
const VAL_SPLIT = 0.1

/** Settings of `searchRuns`: those that all trials share, and those of the search. */
export interface SearchSettings extends RunSettings {
  /**
   * For each setting that varies a range, `{ log: [1e-4, 1e-2] }`, `{ uniform: [0, 0.1] }`, `{ int: [2, 6] }`, or a list of values.
   */
  readonly space: Readonly<Record<string, unknown>>
  /** `halving`: successive halving; `random`: all trials are trained fully. @default 'halving' */
  readonly strategy?: 'halving' | 'random' | undefined
  /** Points of the space to try. @default 16 */
  readonly trials?: number | undefined
  /** Epochs of every trial before the best continue. @default 1 */
  readonly minEpochs?: number | undefined
  /** One in `eta` trials continues. At least 2. @default 3 */
  readonly eta?: number | undefined
}

/** What a search will do. */
export interface SearchStart {
  /** @internal */
  readonly record: TuneRecord
  /** @internal */
  readonly search: Search
  /** How many different points the space has for its trials. */
  readonly trials: number
  /** @internal What trials learn from. */
  readonly data: Prepared['data']
  /** Its folder. */
  readonly out: string
}

/** Options of `searchRuns`. */
export interface SearchOptions extends Omit<RunOptions, 'onStart'> {
  /** Called before the first trial. */
  readonly onSearch?: ((start: SearchStart) => void) | undefined
  /** Called when a rung begins. */
  readonly onRung?: ((rung: number, of: number, trials: readonly number[], epoch: number) => void) | undefined
  /** Called before a trial is trained to an epoch. */
  readonly onTrial?: ((trial: number, epoch: number, values: Values, epochs: number) => void) | undefined
  /** @internal What messages call the space. */
  readonly spaceName?: string | undefined
}

/** The best trial. */
export type Winner = TrialResult & {
  /** Loss and metrics on the test set, such as `testAccuracy`. */
  readonly [measured: `test${Capitalize<string>}`]: number | undefined
  /** Trains its settings again. */
  readonly command: string
  /** Its run folder. */
  readonly out: string
}

/** Result of a search. */
export interface SearchResult {
  /** Undefined while the search is not complete, or where all trials failed. */
  readonly winner?: Winner
  /** All trials, the best first. */
  readonly trials: readonly TrialResult[]
  /** Epochs to which trials are trained before some of them continue. */
  readonly rungs: readonly number[]
  /** Time of all training steps. */
  readonly seconds: number
  /** Whether the signal stopped it. */
  readonly stopped: boolean
  /** The folder. */
  readonly out: string
  /** The page that shows it. */
  readonly page: string
  /** What decided. */
  readonly metric: string
}

/**
 * Searches for settings: random search, or successive halving, on the validation set; the test set measures the winner alone. It may
 * be killed at any moment, and the same call resumes it.
 * @throws UserError before the first trial for a space, settings or data that do not fit, and when all trials fail
 */
export async function searchRuns(
  settings: SearchSettings,
  options: SearchOptions = {},
): Promise<SearchResult> {
  const context = messages(options)
  const { model, ...asked } = settings
  const definition = await definitionOf(model)
  const { own, settings: shared, space, out } = split(definition, asked, context)
  if (space === undefined) throw new UserError(`say in which space to search: ${context.label('space')}`)
  const record: TuneRecord = {
    model: definition.name,
    ...(definition.module === undefined ? {} : { module: definition.module }),
    ...(defaultsOf(SEARCH_SETTINGS) as Required<ValuesOf<typeof SEARCH_SETTINGS>>),
    ...own,
    space,
    settings: shared,
  }
  const { strategy, minEpochs, epochs } = record
  if (strategy === 'halving' && minEpochs > epochs)
    throw new UserError(
      `${context.label('minEpochs')} ${minEpochs} is more than the ${context.label('epochs')} ${epochs} of a whole trial`,
    )
  const where = options.spaceName ?? context.label('space')
  const dimensions = dimensionsOf(space, schemaOf(definition), shared, where, context)
  const folder = out === undefined ? await nextFolder(record, context) : new TuneFolder(out)
  const had = await folder.read()
  if (had) refuseOtherSearch(folder.path, had, record, true, context)
  return carryOut(folder, had, { ...had, ...record }, dimensions, definition, options)
}

/**
 * Resumes the search of a folder, optionally with more `trials`.
 * @throws UserError for a setting that is not that of the search
 */
export async function resumeSearch(
  path: string,
  settings: ResumeSettings & { readonly trials?: number | undefined } = {},
  options: SearchOptions = {},
): Promise<SearchResult> {
  const context = messages(options)
  const { model, ...given } = settings
  const asked: SettingValues = { ...given }
  if (asked.out !== undefined)
    throw new UserError(
      `${context.label('out')} cannot be combined with ${context.label('resume')}, which names the folder`,
    )
  const folder = new TuneFolder(path)
  const had = await folder.read()
  if (!had) throw new UserError(`${folder.path} holds no search to resume`)
  const definition = await recordedDefinition(had.model, had.module, model)
  const { own, settings: shared, space } = split(definition, asked, context)
  refuseOtherSearch(path, had, { ...own, settings: shared, ...(space ? { space } : {}) }, false, context)
  const record = { ...had, trials: own.trials ?? had.trials }
  const schema = schemaOf(definition)
  const dimensions = dimensionsOf(had.space, schema, had.settings, folder.file('settings'), context)
  return carryOut(folder, had, record, dimensions, definition, options)
}

/** The settings of a trial. */
const trialSettings = ({ settings, epochs, seed, valSplit }: TuneRecord, values: Values): Values => ({
  ...settings,
  ...values,
  epochs,
  ...(valSplit === undefined ? {} : { valSplit }),
  seed,
})

/** What all trials have in common. */
interface Shared {
  readonly data: Prepared['data']
  /** Whether there is something to judge trials by, in the data or by a setting. */
  readonly validated: boolean
  readonly metric: string
  readonly device: string
}

/** Loads the data once, so that what is wrong with it is no trial's failure. @throws UserError also when no trial can begin */
async function sharedBy(
  record: TuneRecord,
  points: readonly Values[],
  definition: Definition,
  context: Context,
): Promise<Shared> {
  let first: unknown
  const { valSplit: _, ...own } = record
  for (const point of points) {
    const asked = trialSettings(own, point)
    const values = valuesFor(definition, asked)
    const prepared = await definition
      .prepare(asked, values, { ...context, notice: () => {} })
      .catch(error => {
        if (!(error instanceof UserError)) throw error
        first ??= error
      })
    if (!prepared) continue
    const { data, task, model } = prepared
    const { evaluation } = task.trace(model)
    const metric = monitorFor(evaluation, values.metric as string | undefined, context.label('metric'))
    return { data, validated: Boolean(data.val), metric, device: await deviceFor(values.device, context) }
  }
  throw first
}

async function carryOut(
  folder: TuneFolder,
  had: TuneRecord | undefined,
  wanted: TuneRecord,
  dimensions: readonly Dimension[],
  definition: Definition,
  options: SearchOptions,
): Promise<SearchResult> {
  const context = messages(options)
  const points = draws(dimensions, wanted.seed, wanted.trials)
  if (points.length < wanted.trials)
    context.notice(`the space has only ${points.length} different points: ${points.length} trials`)
  const shared = await sharedBy(wanted, points, definition, context)
  const { data, validated, metric, device } = shared
  if (!validated && !definition.classifier)
    throw new UserError(`trials are chosen by a validation set: the data of ${definition.name} must have val`)
  if (data.notice) context.notice(data.notice)
  const found = await fingerprints(data)
  if (had) refuseOtherData(folder.path, had.fingerprints, found, context)
  const own = { ...wanted, fingerprints: found }
  const record = had || validated ? own : { ...own, valSplit: VAL_SPLIT }
  const { strategy, minEpochs, epochs, eta } = record
  const rungs = strategy === 'halving' ? halvingRungs(minEpochs, epochs, eta) : [epochs]
  const search: Search = { rungs, eta, metric }
  await folder.lock()
  try {
    await folder.write(record)
    options.onSearch?.({ record, search, trials: points.length, data, out: folder.path })
    const runtime = await workerRuntime(device)
    try {
      const state = { record, search, draws: points }
      const trials = await searchOn(folder, state, definition, runtime, options)
      return await conclude(folder, { ...state, trials }, data.origin)
    } finally {
      await runtime.close()
    }
  } finally {
    folder.close()
  }
}

/** Whether an error is a trial's own: another point of the space, or the same one elsewhere, may do without. */
const isOwn = async (error: unknown, folder: string): Promise<boolean> =>
  error instanceof DivergenceError ||
  (error instanceof UserError && error.cause === undefined && !(await hasBegun(folder)))

/** Trains trials until the search is over, or is interrupted. @throws UserError for what is no trial's own failure */
async function searchOn(
  folder: TuneFolder,
  { record, search, draws: points }: Omit<TuneState, 'trials'>,
  definition: Definition,
  runtime: Runtime,
  options: SearchOptions,
): Promise<TuneState['trials']> {
  let told = -1
  for (;;) {
    const trials = await folder.trials(points.length)
    const todo = next(search, trials)
    if (!todo || options.signal?.aborted) return trials
    const { trial, rung, until, field } = todo
    if (rung > 0 && rung !== told) options.onRung?.(rung, search.rungs.length, field, until)
    told = rung
    options.onTrial?.(trial, until, nth(points, trial), record.epochs)
    try {
      const asked = trialSettings(record, nth(points, trial))
      const execution = { verify: false, report: false }
      await trainIn(folder.trial(trial), definition, asked, runtime, options, { until, execution })
    } catch (error) {
      if (!(await isOwn(error, folder.trial(trial)))) throw error
      const message = error instanceof Error ? error.message : String(error)
      await folder.fail(trial, message)
      messages(options).notice(`trial ${trial} failed: ${message}`)
    }
  }
}

async function conclude(folder: TuneFolder, state: TuneState, origin: string): Promise<SearchResult> {
  const { record, search } = state
  const results = trialResults(state)
  const best = results.find(r => r.status === 'winner')
  const final = best && nth(state.trials, best.trial).final
  const winner =
    best && final
      ? ({
          ...best,
          ...Object.fromEntries(Object.entries(final).filter(([name]) => name.startsWith('test'))),
          command: trainCommand(record.module ?? record.model, trialSettings(record, best.values)),
          out: folder.trial(best.trial),
        } as Winner)
      : undefined
  const page = folder.file('page')
  const { tunePage } = await import('./page-node.ts')
  await writeAtomic(page, tunePage(state, origin, winner?.command))
  return {
    ...(winner ? { winner } : {}),
    trials: results,
    rungs: search.rungs,
    seconds: results.reduce((sum, r) => sum + r.seconds, 0),
    stopped: results.some(r => r.status === 'open'),
    out: folder.path,
    page,
    metric: search.metric,
  }
}
