import { join } from 'node:path'
import { exists, writeAtomic } from '../data/files-node.ts'
import { areFingerprints, type Fingerprints } from '../data/fingerprint.ts'
import { UserError } from '../graph/errors.ts'
import { keysOf } from '../graph/keys.ts'
import { nth, present } from '../graph/present.ts'
import type { Runtime } from '../runtime/session.ts'
import { workerRuntime } from '../runtime/worker-node.ts'
import { DivergenceError } from '../train/divergence.ts'
import { RUN_FILES, RunFolder } from '../train/run-node.ts'
import type { Final, Run } from '../tune/run.ts'
import { lockFolder, markFailed, readObject, readRun } from '../tune/runs-node.ts'
import type { Values } from '../tune/space.ts'
import { givenFlags, parsed, same } from './command-line.ts'
import { deviceFor } from './device.ts'
import { interruptible } from './interrupt.ts'
import { resolveConfig } from './options.ts'
import { duration, note, percent, result, say, sayLines, table } from './output.ts'
import { reporter } from './progress.ts'
import { withRecipe } from './recipes.ts'
import { refuseOtherData } from './same-data.ts'
import { trainIn } from './sub-run.ts'
import { words } from './text.ts'
import { TRAIN_DEFAULTS, type TrainFlags } from './train-flags.ts'
import { newPlan, type Plan } from './train-plan.ts'

/** In the folder of runs that differ in their seed: what they are, and in the end what came of them. */
const REPEATS = 'repeats.json'

/** Enough to go on with. */
interface Settings {
  readonly model: string
  readonly repeats: number
  /** Of the first run; the next ones count on from here. */
  readonly seed: number
  readonly flags: Values
  /** Of the data of all runs; missing where an older release began them. */
  readonly fingerprints?: Fingerprints
}

/** Whether flags ask for runs that differ in their seed, or name a folder of such runs. */
export const asksForRepeats = async ({ repeats, resume }: TrainFlags): Promise<boolean> =>
  repeats !== undefined || (resume !== undefined && (await exists(join(resume, REPEATS))))

function checkRepeats(repeats: number): number {
  if (!(Number.isSafeInteger(repeats) && repeats >= 2))
    throw new UserError(
      `--repeats must be a whole number of at least 2, not ${repeats}: one run has no standard deviation`,
    )
  return repeats
}

const OWN: readonly (keyof TrainFlags)[] = ['repeats', 'resume', 'out', 'seed', 'overwrite']

/** What is asked for, and where. Nothing is written yet. */
async function opened(flags: TrainFlags): Promise<{ readonly folder: string; readonly settings: Settings }> {
  const { model, resume, out, seed = TRAIN_DEFAULTS.seed, repeats } = flags
  const given = await givenFlags(flags, OWN)
  if (flags.overwrite)
    throw new UserError('--overwrite cannot be combined with --repeats; choose another --out')
  if (resume !== undefined) {
    const had = await readSettings(resume)
    if (!had) throw new UserError(`${resume} holds no runs that differ in their seed; leave --repeats out`)
    refuseOthers(flags, given, had, resume)
    return { folder: resume, settings: { ...had, repeats: checkRepeats(repeats ?? had.repeats) } }
  }
  if (model === undefined) throw new UserError('say what to train, such as: onnxgrad train vit --repeats 5')
  if (!Number.isSafeInteger(seed)) throw new UserError(`--seed must be a whole number, not ${seed}`)
  const settings = { model, repeats: checkRepeats(present(repeats, 'number of runs')), seed, flags: given }
  if (out !== undefined && (await readSettings(out)))
    throw new UserError(`${out} holds repeated runs; resume them: onnxgrad train --resume ${out}`)
  const { preset } = resolveConfig(model, flags.preset, flags)
  const folder = await (out === undefined
    ? RunFolder.next(`runs/${model}-${preset}-repeats`)
    : RunFolder.at(out))
  return { folder: folder.path, settings }
}

async function readSettings(folder: string): Promise<Settings | undefined> {
  const file = join(folder, REPEATS)
  const value = await readObject(file)
  if (!value) return undefined
  const { model, repeats, seed, flags, fingerprints } = value
  const sound = Number.isSafeInteger(repeats) && Number.isSafeInteger(seed) && Number(repeats) >= 2
  const known = fingerprints === undefined || areFingerprints(fingerprints)
  if (!known || typeof model !== 'string' || typeof flags !== 'object' || flags === null || !sound)
    throw new UserError(`${file} does not say what is repeated: the file is damaged`)
  return {
    model,
    repeats: Number(repeats),
    seed: Number(seed),
    flags: flags as Values,
    ...(fingerprints ? { fingerprints } : {}),
  }
}

/** @throws UserError with all differences; more repeats are none */
function refuseOthers(
  { model, seed, repeats }: TrainFlags,
  given: Values,
  had: Settings,
  folder: string,
): void {
  const theirs: Values = { ...had.flags, model: had.model, seed: had.seed }
  const asked = Object.entries({ ...given, model, seed })
  const wrong = asked
    .filter(([name, value]) => value !== undefined && !same(value, theirs[name]))
    .map(([name, value]) => `--${name} is ${theirs[name] ?? 'not set'} in these runs, not ${value}`)
  if (repeats !== undefined && repeats < had.repeats)
    wrong.push(`--repeats is ${had.repeats}; it can be more, not ${repeats}`)
  if (wrong.length) throw new UserError(`${folder}: ${wrong.join('; ')}`)
}

/** Mean and sample deviation (over n − 1) of what several runs came to. */
export interface Spread {
  readonly mean: number
  /** Undefined of a single value. */
  readonly deviation?: number
  readonly count: number
}

export function spread(values: readonly number[]): Spread {
  const count = values.length
  const mean = values.reduce((sum, v) => sum + v, 0) / count
  const squares = values.reduce((sum, v) => sum + (v - mean) ** 2, 0)
  return { mean, ...(count > 1 ? { deviation: Math.sqrt(squares / (count - 1)) } : {}), count }
}

const FIGURES = [
  'testAccuracy',
  'valAccuracy',
  'trainAccuracy',
  'testLoss',
  'valLoss',
] as const satisfies (keyof Final)[]

/** Of each figure that all runs have. */
const spreads = (finals: readonly Final[]): Partial<Record<(typeof FIGURES)[number], Spread>> =>
  Object.fromEntries(
    FIGURES.flatMap(name => {
      const values = finals.flatMap(final => final[name] ?? [])
      return values.length ? [[name, spread(values)] as const] : []
    }),
  )

/** Trains with one seed after the other; those that are done are left as they are. */
export async function repeat(asked: TrainFlags): Promise<void> {
  const { folder, settings: wanted } = await opened(asked)
  const { model, repeats, seed, flags } = wanted
  const all = await parsed(model, flags)
  const { preset } = resolveConfig(model, all.preset, all)
  const { epochs = TRAIN_DEFAULTS.epochs, device } = withRecipe(model, preset, all)
  const seeds = Array.from({ length: repeats }, (_, i) => seed + i)
  const at = (of: number) => join(folder, `seed-${of}`)
  const runs = () => Promise.all(seeds.map(of => readRun(at(of))))
  // What is wrong with flags or data must cost no folder.
  const begun = await exists(join(folder, REPEATS))
  const first = begun ? undefined : (await newPlan({ ...all, out: at(seed) })).record.fingerprints
  const settings = { ...wanted, ...(first ? { fingerprints: first } : {}) }
  const release = await lockFolder(folder)
  const interrupt = interruptible()
  try {
    await write(folder, settings)
    say(`${model} ${preset}, seeds ${seed} … ${seeds.at(-1)}, in ${folder}`)
    const runtime = await workerRuntime(await deviceFor(device))
    try {
      for (const [i, of] of seeds.entries()) {
        if (interrupt.signal.aborted) break
        const { ended, failed } = await readRun(at(of))
        const reported = !all.report || (await exists(join(at(of), RUN_FILES.report)))
        if (failed || (ended && reported)) continue
        say(`seed ${of} (${i + 1} of ${repeats})`)
        await trainSeed(at(of), model, { ...flags, seed: of }, epochs, runtime, interrupt.signal, plan =>
          refuseOtherData(folder, settings.fingerprints, present(plan.record.fingerprints, 'fingerprint')),
        )
      }
    } finally {
      await runtime.close()
    }
    await conclude(
      folder,
      settings,
      seeds.map(of => ({ seed: of, out: at(of) })),
      await runs(),
    )
    if (interrupt.signal.aborted) process.exitCode = interrupt.code
  } finally {
    interrupt.end()
    release()
  }
}

const write = (folder: string, value: object): Promise<void> =>
  writeAtomic(join(folder, REPEATS), `${JSON.stringify(value, null, 2)}\n`)

async function trainSeed(
  out: string,
  model: string,
  flags: Values,
  epochs: number,
  runtime: Runtime,
  signal: AbortSignal,
  check: (plan: Plan) => void,
): Promise<void> {
  const progress = reporter(epochs)
  try {
    await trainIn(out, model, flags, runtime, {}, { ...progress, signal }, check)
  } catch (error) {
    // Another seed may go well, and that this one did not belongs to the result.
    if (!(error instanceof DivergenceError)) throw error
    await markFailed(out, error.message)
    note(`failed: ${error.message}`)
  } finally {
    progress.end()
  }
}

const LABELS = { testAccuracy: 'test', valAccuracy: 'validation', trainAccuracy: 'train' } as const

/** Shows what came of it, and writes it down. @throws UserError when runs failed, or their files are not right */
async function conclude(
  folder: string,
  settings: Settings,
  places: readonly { readonly seed: number; readonly out: string }[],
  runs: readonly Run[],
): Promise<void> {
  const finals = runs.flatMap(run => run.final ?? [])
  const figures = spreads(finals)
  const list = places.map((place, i) => {
    const { epochs, seconds, final, failure } = nth(runs, i)
    return {
      ...place,
      epochs: epochs.length,
      ...final,
      seconds,
      ...(failure === undefined ? {} : { failure }),
    }
  })
  const stopped = runs.some(run => !run.ended && !run.failed)
  const about = { ...settings, runs: list, ...figures }
  await write(folder, about)
  const head = FIGURES.filter(name => figures[name])
  const shown = (name: (typeof FIGURES)[number], value: number | undefined) => {
    if (value === undefined) return ''
    return name.endsWith('Accuracy') ? percent(value) : value.toFixed(4)
  }
  say()
  sayLines(
    table(
      ['seed', 'epochs', ...head.map(words), 'time', ''],
      list.map(run => [
        run.seed,
        run.epochs,
        ...head.map(name => shown(name, run[name])),
        run.epochs ? duration(run.seconds) : '',
        run.failure === undefined ? '' : `failed: ${run.failure}`,
      ]),
    ),
  )
  say()
  for (const name of keysOf(LABELS)) {
    const figure = figures[name]
    if (figure) say(`${LABELS[name].padEnd(12)}${inPercent(figure)}`)
  }
  if (stopped) note(`to resume: npx onnxgrad train --resume ${folder}`)
  result({ ...about, stopped, out: folder })
  const failed = list.filter(run => run.failure !== undefined)
  if (failed.length)
    throw new UserError(
      `${failed.length} of ${list.length} runs failed and are left out of the figures; seed ${nth(failed, 0).seed}: ${nth(failed, 0).failure}`,
    )
  const wrong = list.filter(run => run.verified === false)
  if (wrong.length)
    throw new UserError(
      `${wrong.map(run => join(run.out, RUN_FILES.model)).join(', ')}: not the trained model's numbers on every runtime`,
    )
}

const inPercent = ({ mean, deviation, count }: Spread): string =>
  deviation === undefined
    ? `${percent(mean)} (of one seed)`
    : `${(100 * mean).toFixed(2)} ± ${percent(deviation)} (mean and standard deviation of ${count} seeds)`
