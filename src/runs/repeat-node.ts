import { join } from 'node:path'
import { exists, writeAtomic } from '../data/files-node.ts'
import { areFingerprints, type Fingerprints } from '../data/fingerprint.ts'
import { UserError } from '../graph/errors.ts'
import { defined, isObject } from '../graph/keys.ts'
import { nth, present } from '../graph/present.ts'
import { workerRuntime } from '../runtime/worker-node.ts'
import { checkSetting, type Values, whole } from '../settings/setting.ts'
import { DivergenceError } from '../train/divergence.ts'
import { namedSettings } from './command.ts'
import { placed } from './data-node.ts'
import { type Definition, messages } from './definition.ts'
import { definitionOf, recordedDefinition } from './definition-node.ts'
import { RUN_FILES, RunFolder } from './folder-node.ts'
import { checkAsked, deviceFor, newPlan, valuesFor } from './plan-node.ts'
import { type ResumeSettings, type RunOptions, type RunSettings, refuseShared } from './run-node.ts'
import { refuseOtherData } from './same-data.ts'
import type { RunStanding } from './standing.ts'
import { lockFolder, markFailed, readObject, readStanding } from './standing-node.ts'
import { otherSettings, trainIn } from './sub-run-node.ts'

/** In the folder of runs that differ in their seed: what they are, and at the end their figures. */
const REPEATS = 'repeats.json'

/** What is repeated: enough to resume it. */
export interface Repeated {
  /** A model that comes with onnxgrad, or the name of a definition. */
  readonly model: string
  /** The module of the definition, by its path. */
  readonly module?: string
  /** How many runs. */
  readonly repeats: number
  /** Of the first run; the next ones count on from here. */
  readonly seed: number
  /** Settings that all runs share. */
  readonly settings: Values
  /** Of the data of all runs; missing where an older release began them. */
  readonly fingerprints?: Fingerprints
}

/** Mean and sample deviation (over n − 1) of a figure of several runs. */
export interface Spread {
  /** Of all runs that have the figure. */
  readonly mean: number
  /** Undefined for a single value. */
  readonly deviation?: number
  /** How many runs. */
  readonly count: number
}

/** One of the runs. */
export interface RepeatedRun {
  /** Its seed. */
  readonly seed: number
  /** Its run folder. */
  readonly out: string
  /** Epochs completed. */
  readonly epochs: number
  /** Time of its training steps. */
  readonly seconds: number
  /** Loss and metrics of its model by set, such as `testAccuracy`. */
  readonly figures: Readonly<Record<string, number>>
  /** Whether its file gives its numbers on every runtime, where that was checked. */
  readonly verified?: boolean
  /** Why it failed. */
  readonly failure?: string
}

/** Result of runs that differ in their seed. */
export interface RepeatResult extends Repeated {
  /** In the order of their seeds. */
  readonly runs: readonly RepeatedRun[]
  /** Of each figure that runs have, such as `testAccuracy`. */
  readonly spreads: Readonly<Record<string, Spread>>
  /** Whether the signal stopped it before the last run was completed. */
  readonly stopped: boolean
  /** The folder. */
  readonly out: string
}

/** Options of `repeatRun`. */
export interface RepeatOptions extends RunOptions {
  /** Called before the first run. */
  readonly onRepeats?: ((about: Repeated & { readonly out: string }) => void) | undefined
  /** Called before a run starts or is resumed. @param index from 0 */
  readonly onRun?: ((seed: number, index: number, epochs: number) => void) | undefined
}

/** Settings of `repeatRun`: those of a run, and how often. */
export interface RepeatSettings extends RunSettings {
  /** How many runs, with seeds counted from `seed`. At least 2. */
  readonly repeats: number
}

const REPEATS_SETTING = whole('runs that differ in their seed', { least: 2 })

/** Whether a folder holds runs that differ in their seed. */
export const holdsRepeats = (folder: string): Promise<boolean> => exists(join(folder, REPEATS))

async function readRepeated(folder: string): Promise<Repeated | undefined> {
  const file = join(folder, REPEATS)
  const value = await readObject(file)
  if (!value) return undefined
  const { model, module, repeats, seed, fingerprints } = value
  // Releases up to 0.1.0 have flags in place of settings.
  const settings = isObject(value.flags) ? namedSettings(value.flags) : value.settings
  const sound = Number.isSafeInteger(repeats) && Number.isSafeInteger(seed) && Number(repeats) >= 2
  const known = fingerprints === undefined || areFingerprints(fingerprints)
  if (!known || typeof model !== 'string' || !isObject(settings) || !sound)
    throw new UserError(`${file} does not say what is repeated: the file is damaged`)
  return {
    model,
    ...(typeof module === 'string' ? { module } : {}),
    repeats: Number(repeats),
    seed: Number(seed),
    settings: settings as Values,
    ...(fingerprints ? { fingerprints } : {}),
  }
}

export function spread(values: readonly number[]): Spread {
  const count = values.length
  const mean = values.reduce((sum, v) => sum + v, 0) / count
  const squares = values.reduce((sum, v) => sum + (v - mean) ** 2, 0)
  return { mean, ...(count > 1 ? { deviation: Math.sqrt(squares / (count - 1)) } : {}), count }
}

/**
 * Trains with one seed after the other, each in a folder of its own, and says mean and standard deviation. Runs that are completed
 * are kept; a seed that diverges is left out of the figures.
 * @throws UserError before the first step for settings or data that do not fit
 */
export async function repeatRun(
  settings: RepeatSettings,
  options: RepeatOptions = {},
): Promise<RepeatResult> {
  const context = messages(options)
  const { model, repeats, seed = 0, out, ...rest } = settings
  checkSetting(context.label('repeats'), REPEATS_SETTING, repeats)
  const definition = await definitionOf(model)
  const shared = placed(defined(rest))
  refuseShared(
    shared,
    ['overwrite'],
    context,
    `${context.label('repeats')}; choose another ${context.label('out')}`,
  )
  checkAsked(definition, { ...shared, seed }, context)
  if (out !== undefined && (await readRepeated(String(out))))
    throw new UserError(`${out} holds repeated runs; resume them: onnxgrad train --resume ${out}`)
  const label = definition.classifier ? (valuesFor(definition, shared).preset ?? '') : ''
  const base = `runs/${[definition.name, label || undefined, 'repeats'].filter(Boolean).join('-')}`
  const folder = out === undefined ? await RunFolder.next(base) : await RunFolder.at(String(out))
  const wanted: Repeated = {
    model: definition.name,
    ...(definition.module === undefined ? {} : { module: definition.module }),
    repeats: Number(repeats),
    seed: Number(seed),
    settings: shared as Values,
  }
  return carryOut(folder.path, definition, wanted, options)
}

/**
 * Resumes the runs of a folder, optionally with more `repeats`.
 * @throws UserError for a setting that is not that of the runs
 */
export async function resumeRepeats(
  folder: string,
  settings: ResumeSettings & { readonly repeats?: number | undefined } = {},
  options: RepeatOptions = {},
): Promise<RepeatResult> {
  const context = messages(options)
  const had = await readRepeated(folder)
  if (!had) throw new UserError(`${folder} holds no runs that differ in their seed; leave --repeats out`)
  const { model, repeats, seed, ...asked } = settings
  refuseShared(asked, ['overwrite'], context, context.label('repeats'))
  const definition = await recordedDefinition(had.model, had.module, model)
  const theirs = { ...had.settings, seed: had.seed }
  const wrong = otherSettings(theirs, { ...placed(defined(asked)), seed }, 'these runs', context)
  if (wrong.length) throw new UserError(`${folder}: ${wrong.join('; ')}`)
  if (repeats !== undefined) {
    checkSetting(context.label('repeats'), REPEATS_SETTING, repeats)
    if (Number(repeats) < had.repeats)
      throw new UserError(
        `${folder}: ${context.label('repeats')} is ${had.repeats}; it can be more, not ${repeats}`,
      )
  }
  return carryOut(folder, definition, { ...had, repeats: Number(repeats ?? had.repeats) }, options)
}

async function carryOut(
  folder: string,
  definition: Definition,
  wanted: Repeated,
  options: RepeatOptions,
): Promise<RepeatResult> {
  const { repeats, seed } = wanted
  const context = messages(options)
  const values = valuesFor(definition, wanted.settings)
  const seeds = Array.from({ length: repeats }, (_, i) => seed + i)
  const at = (of: number) => join(folder, `seed-${of}`)
  const standings = () => Promise.all(seeds.map(of => readStanding(at(of))))
  // What is wrong with settings or data must cost no folder.
  const begun = await holdsRepeats(folder)
  const first = begun
    ? undefined
    : (await newPlan(definition, { ...wanted.settings, out: at(seed) }, context)).record.fingerprints
  const about: Repeated = { ...wanted, ...(first ? { fingerprints: first } : {}) }
  const release = await lockFolder(folder)
  try {
    await write(folder, about)
    options.onRepeats?.({ ...about, out: folder })
    const runtime = await workerRuntime(await deviceFor(values.device, context))
    try {
      for (const [index, of] of seeds.entries()) {
        if (options.signal?.aborted) break
        const { ended, failed } = await readStanding(at(of))
        const reported = !values.report || (await exists(join(at(of), RUN_FILES.report)))
        if (failed || (ended && reported)) continue
        options.onRun?.(of, index, Number(values.epochs))
        const { onStart: _, ...watch } = options
        await trainIn(at(of), definition, { ...about.settings, seed: of }, runtime, watch, {
          check: plan =>
            refuseOtherData(
              folder,
              about.fingerprints,
              present(plan.record.fingerprints, 'fingerprint'),
              context,
            ),
        }).catch(async (error: unknown) => {
          // Another seed may go well, and that this one did not belongs to the result.
          if (!(error instanceof DivergenceError)) throw error
          await markFailed(at(of), error.message)
          context.notice(`failed: ${error.message}`)
        })
      }
    } finally {
      await runtime.close()
    }
    const result = resultOf(
      folder,
      about,
      seeds.map(of => [of, at(of)]),
      await standings(),
    )
    const { out: _, stopped: __, spreads, runs, ...own } = result
    const flat = runs.map(({ figures, ...run }) => ({ ...run, ...figures }))
    await write(folder, { ...own, runs: flat, ...spreads })
    return result
  } finally {
    release()
  }
}

const write = (folder: string, value: object): Promise<void> =>
  writeAtomic(join(folder, REPEATS), `${JSON.stringify(value, null, 2)}\n`)

function resultOf(
  folder: string,
  about: Repeated,
  places: readonly (readonly [seed: number, out: string])[],
  standings: readonly RunStanding[],
): RepeatResult {
  const runs = places.map(([seed, out], i): RepeatedRun => {
    const { epochs, seconds, final = {}, verified, failure } = nth(standings, i)
    return {
      ...{ seed, out, epochs: epochs.length, seconds, figures: final },
      ...(verified === undefined ? {} : { verified }),
      ...(failure === undefined ? {} : { failure }),
    }
  })
  const names = [...new Set(runs.flatMap(run => Object.keys(run.figures)))]
  const spreads = Object.fromEntries(
    names.map(name => [name, spread(runs.flatMap(run => run.figures[name] ?? []))]),
  )
  const stopped = standings.some(run => !run.ended && !run.failed)
  return { ...about, runs, spreads, stopped, out: folder }
}
