import { join } from 'node:path'
import type { ModelName } from '../../models/index.ts'
import { UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import { words } from '../report/words.ts'
import { flagOf } from '../runs/command.ts'
import type { Definition, SettingValues } from '../runs/definition.ts'
import { RUN_FILES } from '../runs/folder-node.ts'
import { type RepeatResult, repeatRun, resumeRepeats, type Spread } from '../runs/repeat-node.ts'
import { readSetting, whole } from '../settings/setting.ts'
import { duration, figure, note, percent, result, say, sayLines, table } from '../terminal/output.ts'
import { followed } from '../terminal/progress.ts'
import { named } from './definition-in.ts'

/** Trains with one seed after the other, or resumes that. */
export async function repeat(
  model: string | Definition | undefined,
  asked: SettingValues,
  { resume, repeats: given }: { readonly resume?: string; readonly repeats?: unknown },
): Promise<void> {
  // What is not a number is refused where it is checked.
  const repeats = readSetting(whole(''), given) as number
  const follow = followed(flagOf)
  const options = {
    ...follow.options,
    onRepeats({ model, seed, repeats, out }: { model: string; seed: number; repeats: number; out: string }) {
      say(`${model}, seeds ${seed} … ${seed + repeats - 1}, in ${out}`)
      of = repeats
    },
    onRun(seed: number, index: number, epochs: number) {
      follow.begin(epochs)
      say(`seed ${seed} (${index + 1} of ${of})`)
    },
  }
  let of = 0
  try {
    const done = await (resume === undefined
      ? repeatRun({ ...asked, model: model as ModelName, repeats }, options)
      : resumeRepeats(resume, { ...asked, repeats, ...(await named(model)) }, options))
    follow.pause()
    conclude(done)
    if (done.stopped) process.exitCode = follow.code
  } finally {
    follow.end()
  }
}

/** @throws UserError when runs failed, or their files are not right */
function conclude({ runs, spreads, stopped, out, ...about }: RepeatResult): void {
  const head = Object.keys(spreads).filter(name => name !== 'trainLoss')
  say()
  sayLines(
    table(
      ['seed', 'epochs', ...head.map(words), 'time', ''],
      runs.map(run => [
        run.seed,
        run.epochs,
        ...head.map(name => figure(name, run.figures[name])),
        run.epochs ? duration(run.seconds) : '',
        run.failure === undefined ? '' : `failed: ${run.failure}`,
      ]),
    ),
  )
  say()
  const main = head.filter(name => !name.endsWith('Loss'))
  const width = Math.max(...head.map(name => words(name).length)) + 2
  for (const [name, spread] of Object.entries(spreads))
    if ((main.length ? main : head).includes(name))
      say(`${label(name).padEnd(width)}${spreadText(name, spread)}`)
  if (stopped) note(`to resume: npx onnxgrad train --resume ${out}`)
  const flat = runs.map(({ figures, ...run }) => ({ ...run, ...figures }))
  result({ ...about, runs: flat, ...spreads, stopped, out })
  const failed = runs.filter(run => run.failure !== undefined)
  if (failed.length)
    throw new UserError(
      `${failed.length} of ${runs.length} runs failed and are left out of the figures; seed ${nth(failed, 0).seed}: ${nth(failed, 0).failure}`,
    )
  const wrong = runs.filter(run => run.verified === false)
  if (wrong.length)
    throw new UserError(
      `${wrong.map(run => join(run.out, RUN_FILES.model)).join(', ')}: not the trained model's numbers on every runtime`,
    )
}

const SETS: Readonly<Record<string, string>> = {
  testAccuracy: 'test',
  valAccuracy: 'validation',
  trainAccuracy: 'train',
}
const label = (name: string): string => SETS[name] ?? words(name)

function spreadText(name: string, { mean, deviation, count }: Spread): string {
  if (deviation === undefined) return `${figure(name, mean)} (of one seed)`
  const about = `(mean and standard deviation of ${count} seeds)`
  return /accuracy$/i.test(name)
    ? `${(100 * mean).toFixed(2)} ± ${percent(deviation)} ${about}`
    : `${mean.toPrecision(4)} ± ${deviation.toPrecision(2)} ${about}`
}
