import { fingerprints } from '../data/fingerprint.ts'
import { UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import type { Runtime } from '../runtime/session.ts'
import { workerRuntime } from '../runtime/worker-node.ts'
import { DivergenceError } from '../train/divergence.ts'
import type { TuneFolder } from '../tune/journal-node.ts'
import type { TuneRecord, TuneSettings } from '../tune/record.ts'
import type { Run } from '../tune/run.ts'
import { halvingRungs, next, type Search } from '../tune/search.ts'
import { draws, type Values } from '../tune/space.ts'
import { type Interrupt, interruptible } from './interrupt.ts'
import { note, percent, say, sayLines } from './output.ts'
import { reporter } from './progress.ts'
import { refuseOtherData } from './same-data.ts'
import { hasBegun, trainIn } from './sub-run.ts'
import { columns, facts, inWords } from './text.ts'
import { type TuneFlags, tuneFlags } from './tune-flags.ts'
import { opened, type Shared, sharedBy } from './tune-open.ts'
import { conclude, trialFlags } from './tune-result.ts'
import type { Verb } from './verb.ts'

/** Held out of the training examples where neither flags nor data say what to choose by. */
const VAL_SPLIT = 0.1

/** Whether an error is a trial's own: another point of the space, or the same one elsewhere, may do without. */
const isOwn = async (error: unknown, folder: string): Promise<boolean> =>
  error instanceof DivergenceError ||
  (error instanceof UserError && error.cause === undefined && !(await hasBegun(folder)))

/** Trains trials until the search is over, or is interrupted. @throws UserError for what is no trial's own failure */
async function searchOn(
  folder: TuneFolder,
  record: TuneRecord,
  search: Search,
  points: readonly Values[],
  runtime: Runtime,
  { signal }: Interrupt,
): Promise<Run[]> {
  let told = -1
  for (;;) {
    const trials = await folder.trials(points.length)
    const todo = next(search, trials)
    if (!todo || signal.aborted) return trials
    const { trial, rung, until, field } = todo
    if (rung > 0 && rung !== told)
      say(
        `rung ${rung + 1} of ${search.rungs.length}: ${field.length === 1 ? 'trial' : 'trials'} ${field.join(', ')} to epoch ${until}`,
      )
    told = rung
    say(`trial ${trial} to epoch ${until}: ${inWords(points[trial])}`)
    const progress = reporter(record.epochs)
    try {
      const flags = trialFlags(record, nth(points, trial))
      const settings = { until, verify: false, report: false }
      await trainIn(folder.trial(trial), record.model, flags, runtime, settings, { ...progress, signal })
    } catch (error) {
      if (!(await isOwn(error, folder.trial(trial)))) throw error
      const message = error instanceof Error ? error.message : String(error)
      await folder.fail(trial, message)
      note(`trial ${trial} failed: ${message}`)
    } finally {
      progress.end()
    }
  }
}

const searchOf = ({ strategy, minEpochs, epochs, eta }: TuneSettings, metric: Search['metric']): Search => ({
  rungs: strategy === 'halving' ? halvingRungs(minEpochs, epochs, eta) : [epochs],
  eta,
  metric,
})

const count = (n: number): string => n.toLocaleString('en-US')

/** What a tune says of itself before it begins. */
function aboutTune(record: TuneRecord, { rungs }: Search, points: number, shared: Shared, folder: string) {
  const { model, strategy, space, flags, seed, eta } = record
  const { origin, train, val } = shared.data
  const halving = `to epochs ${rungs.join(', ')}, one in ${eta} continues`
  return [
    [
      'tune',
      `${model}: ${points} trials, ${strategy} (${rungs.length > 1 ? halving : `to epoch ${rungs[0]}`}), seed ${seed}`,
    ],
    [
      'space',
      Object.entries(space)
        .map(([name, one]) => `${name} ${JSON.stringify(one)}`)
        .join('; '),
    ],
    ...(Object.keys(flags).length ? [['all', inWords(flags)] as const] : []),
    [
      'data',
      `${origin}: ${count(train.size)} examples to train on${val ? `, ${count(val.size)} to choose by` : ''}`,
    ],
    ['folder', folder],
  ] as const
}

async function handler(flags: TuneFlags): Promise<void> {
  const { folder, had, settings, space } = await opened(flags)
  const points = draws(space, settings.seed, settings.trials)
  if (points.length < settings.trials)
    note(`NOTE      the space has only ${points.length} different points: ${points.length} trials`)
  const shared = await sharedBy(settings, points)
  const { data } = shared
  if (data.notice) note(`NOTE      ${data.notice}`)
  const found = await fingerprints(data)
  if (had) refuseOtherData(folder.path, had.fingerprints, found)
  const own = { ...settings, fingerprints: found }
  const record = had || shared.validated ? own : { ...own, valSplit: VAL_SPLIT }
  const search = searchOf(record, shared.metric)
  await folder.lock()
  try {
    await folder.write(record)
    sayLines(facts(aboutTune(record, search, points.length, shared, folder.path), columns()))
    if (record.valSplit !== undefined)
      note(
        `NOTE      trials are judged by ${percent(record.valSplit)} of the training examples, which none of them trains on; --val-split sets another fraction`,
      )
    const interrupt = interruptible()
    const runtime = await workerRuntime(shared.device)
    try {
      const trials = await searchOn(folder, record, search, points, runtime, interrupt).catch(error => {
        note(`the tune is kept as it is; resume it with: npx onnxgrad tune --resume ${folder.path}`)
        throw error
      })
      await conclude(folder, { record, search, draws: points, trials }, data.origin)
      if (next(search, trials)) process.exitCode = interrupt.code
    } finally {
      interrupt.end()
      await runtime.close()
    }
  } finally {
    folder.close()
  }
}

export const tuneVerb: Verb<TuneFlags> = {
  builder: tuneFlags,
  handler,
}
