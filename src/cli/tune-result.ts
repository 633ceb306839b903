import { writeAtomic } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'
import { nth, present } from '../graph/present.ts'
import type { TuneFolder } from '../tune/journal-node.ts'
import type { TuneRecord } from '../tune/record.ts'
import { type TrialResult, type TuneState, trialResults } from '../tune/result.ts'
import type { Value, Values } from '../tune/space.ts'
import { trainArguments, typed } from './command-line.ts'
import { duration, note, percent, result, say, sayLines, table } from './output.ts'

/** Flags of `train` with which a trial is trained to the end. */
export const trialFlags = ({ flags, epochs, seed, valSplit }: TuneRecord, values: Values): Values => ({
  ...flags,
  ...values,
  epochs,
  ...(valSplit === undefined ? {} : { 'val-split': valSplit }),
  seed,
})

const shown = (value: Value | undefined): string => (value === undefined ? '' : [value].flat().join(' '))

/** All trials below each other, with what was held out of training only: the test set has no say in this. */
function resultTable(results: readonly TrialResult[]): string {
  const names = Object.keys(results[0]?.values ?? {})
  const head = ['trial', ...names, 'epochs', 'val accuracy', 'val loss', 'time', 'status']
  return table(
    head,
    results.map(r => [
      r.trial,
      ...names.map(name => shown(r.values[name])),
      r.epochs,
      r.valAccuracy === undefined ? '' : percent(r.valAccuracy),
      r.valLoss === undefined ? '' : r.valLoss.toFixed(4),
      r.epochs ? duration(r.seconds) : '',
      r.failure === undefined ? r.status : `failed: ${r.failure}`,
    ]),
  )
}

/** What a user types to train a trial's settings. */
const trainCommand = (record: TuneRecord, values: Values): string =>
  typed(trainArguments(record.model, trialFlags(record, values)))

/** Shows what came of it. @throws UserError when every trial failed */
export async function conclude(folder: TuneFolder, state: TuneState, origin: string): Promise<void> {
  const { record } = state
  const results = trialResults(state)
  say()
  sayLines(resultTable(results))
  const best = results.find(r => r.status === 'winner')
  const final = best && nth(state.trials, best.trial).final
  const winner = best &&
    final && {
      ...best,
      testAccuracy: final.testAccuracy,
      testLoss: final.testLoss,
      command: trainCommand(record, best.values),
      out: folder.trial(best.trial),
    }
  const page = folder.file('page')
  const { tunePage } = await import('../tune/page-node.ts')
  await writeAtomic(page, tunePage(state, origin, winner?.command))
  const stopped = results.some(r => r.status === 'open')
  say()
  if (winner) {
    const { trial, valAccuracy, bestEpoch, testAccuracy, out, command } = winner
    say(
      `winner    trial ${trial}: validation ${percent(present(valAccuracy, 'validation accuracy'))} (epoch ${bestEpoch}), test ${percent(testAccuracy)}`,
    )
    say(`run       ${out}`)
    say(`train it  ${command}`)
  }
  say(`page      ${page}`)
  if (stopped) note(`to resume: npx onnxgrad tune --resume ${folder.path}`)
  const seconds = results.reduce((sum, r) => sum + r.seconds, 0)
  const about = { trials: results, rungs: state.search.rungs, seconds, stopped, out: folder.path, page }
  result({ ...(winner ? { winner } : {}), ...about })
  if (results.every(r => r.status === 'failed'))
    throw new UserError(
      `all ${results.length} trials failed; trial ${nth(results, 0).trial}: ${nth(results, 0).failure}`,
    )
}
