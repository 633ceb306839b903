import type { Argv } from 'yargs'
import { writeAtomic } from '../data/files-node.ts'
import { figureKeys, figureText } from '../report/compare-node.ts'
import { compareRuns } from '../runs/compare-node.ts'
import { note, result, say, sayLines, table } from '../terminal/output.ts'
import type { Verb } from './verb.ts'

const builder = (yargs: Argv) =>
  yargs
    .positional('runs', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'Run folders; of a search or of repeats, all its runs',
    })
    .option('out', {
      type: 'string',
      requiresArg: true,
      default: 'compare.html',
      describe: 'Page to write, with curves; it replaces an older one',
    })
    .example('$0 compare runs/vit-lecture runs/vit-lecture-2', '')
    .example('$0 compare runs/vit-lecture-repeats --out seeds.html', 'all seeds')

type Flags = ReturnType<typeof builder> extends Argv<infer T> ? T : never

/** Columns of the terminal are few: of the figures, loss of the training set is left to the page. */
const LEFT_OUT = ['trainLoss']

export const compareVerb: Verb<Flags> = {
  builder,
  async handler({ runs: paths, out }) {
    const { runs, page } = await compareRuns(paths)
    const keys = figureKeys(runs).filter(key => !LEFT_OUT.includes(key))
    const settings = [...new Set(runs.flatMap(run => Object.keys(run.settings)))]
    const head = [
      'run',
      'epochs done',
      ...keys.map(key => figureText(key, 0).title.toLowerCase()),
      ...settings,
    ]
    const rows = runs.map(run => [
      run.out,
      run.epochs,
      ...keys.map(key => {
        const value = run.figures[key]
        return value === undefined ? '' : figureText(key, value).text
      }),
      ...settings.map(name => run.settings[name] ?? ''),
    ])
    sayLines(table(head, rows))
    const open = runs.filter(run => !run.finished).map(run => run.out)
    if (open.length) note(`not complete: ${open.join(', ')}`)
    await writeAtomic(out, await page())
    say(`\npage      ${out}`)
    result({ runs, page: out })
  },
}
