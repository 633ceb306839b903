import { extname } from 'node:path'
import type { Argv } from 'yargs'
import type { ModelName } from '../../models/index.ts'
import { MODELS } from '../../models/index.ts'
import { readNamed } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import { count } from '../report/text.ts'
import { inWords } from '../report/words.ts'
import { flagOf } from '../runs/command.ts'
import type { Definition, SettingValues } from '../runs/definition.ts'
import { importDefault, namesModule } from '../runs/definition-node.ts'
import { valOf } from '../runs/search/page-node.ts'
import { resumeSearch, type SearchResult, type SearchStart, searchRuns } from '../runs/search/run-node.ts'
import { SEARCH_SETTINGS } from '../runs/search/settings.ts'
import { readSpace } from '../runs/search/space.ts'
import { SETTINGS } from '../runs/settings.ts'
import type { Schema, Value, Values } from '../settings/setting.ts'
import { duration, figure, note, percent, result, say, sayLines, table } from '../terminal/output.ts'
import { followed } from '../terminal/progress.ts'
import { columns, facts } from '../terminal/text.ts'
import { measureKey, measureOf } from '../train/progress.ts'
import { definitionAsked, named } from './definition-in.ts'
import { KNOWN, optionsOf, ownSchema, settingsIn } from './flags.ts'
import { readFlags } from './options.ts'
import type { Verb } from './verb.ts'

/** What `tune` takes: settings of its trials, and its own. */
const schemaOf = (own?: Definition): Schema => {
  const { overwrite: _, ...trial } = own ? ownSchema(own) : KNOWN
  return {
    ...trial,
    ...SEARCH_SETTINGS,
    out: {
      ...SETTINGS.out,
      usually: 'runs/tune-<model>, numbered if taken by another search; resumed if it is there',
    },
  }
}

const group = 'Search:'

/** Flags of `tune`. @param own the module whose settings are searched for */
export const tuneFlags = (yargs: Argv, own?: Definition) =>
  yargs
    .positional('model', {
      type: 'string',
      describe: `${Object.keys(MODELS).join(', ')}; an .onnx file; or a module (.ts, .js) with: export default defineRun({ … }); not needed with --resume`,
    })
    .options(optionsOf(schemaOf(own)))
    .option('space', {
      type: 'string',
      requiresArg: true,
      describe:
        'JSON file, or a module with a default export: for each setting that varies a range {"log": [1e-4, 1e-2]}, {"uniform": [0, 0.1]}, {"int": [2, 6]} or a list of values',
      group,
    })
    .option('resume', {
      type: 'string',
      requiresArg: true,
      describe: 'Resume the search of a folder, optionally with more --trials',
      group,
    })
    .config('config', 'JSON file with any of these flags; flags on the command line win', readFlags)
    .example('$0 tune vit --space space.json', '16 trials: 5 of them continue to epoch 3, one to epoch 8')
    .example('$0 tune vit --space space.json --preset small --limit 10000', 'on fewer images')
    .example('$0 tune my-run.ts --space space.json', 'settings of your own run')
    .example('$0 tune --resume runs/tune-vit', 'resume a search that was stopped')

function json(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UserError(`${path} is not JSON: ${error instanceof Error ? error.message : error}`)
  }
}

/** What a file declares: JSON, or the default export of a module. @throws UserError when it cannot be read */
async function loadSpace(path: string): Promise<Readonly<Record<string, unknown>>> {
  const declared = namesModule(path)
    ? await importDefault(path, `write the space as JSON instead of ${extname(path)}`)
    : json(new TextDecoder().decode(readNamed(path)), path)
  // Of a module, what JSON can keep of it.
  const kept = declared === undefined ? undefined : json(JSON.stringify(declared), path)
  readSpace(kept, path)
  return kept as Readonly<Record<string, unknown>>
}

/** What a search says of itself before it begins. */
function aboutSearch({ record, search: { rungs }, trials, data, out }: SearchStart) {
  const { model, strategy, space, settings, seed, eta } = record
  const size = (set: { readonly size?: number | undefined }) =>
    set.size === undefined ? 'some' : count(set.size)
  const halving = `to epochs ${rungs.join(', ')}, one in ${eta} continues`
  return [
    [
      'tune',
      `${model}: ${trials} trials, ${strategy} (${rungs.length > 1 ? halving : `to epoch ${rungs[0]}`}), seed ${seed}`,
    ],
    [
      'space',
      Object.entries(space)
        .map(([name, one]) => `${name} ${JSON.stringify(one)}`)
        .join('; '),
    ],
    ...(Object.keys(settings).length ? [['all', inWords(settings)] as const] : []),
    [
      'data',
      `${data.origin}: ${size(data.train)} examples to train on${data.val ? `, ${size(data.val)} to choose by` : ''}`,
    ],
    ['folder', out],
  ] as const
}

const valueText = (value: Value | undefined): string => (value === undefined ? '' : [value].flat().join(' '))

/** All trials, with the figures of the validation set only: the test set has no say in this. */
function resultTable({ trials, metric }: SearchResult): string {
  const names = Object.keys(nth(trials, 0).values)
  const measures = [...new Set([metric, ...trials.flatMap(measuresIn)])]
  return table(
    ['trial', ...names, 'epochs', ...measures.map(m => `val ${m}`), 'time', 'status'],
    trials.map(r => [
      r.trial,
      ...names.map(name => valueText(r.values[name])),
      r.epochs,
      ...measures.map(m => figure(m, valOf(r, m))),
      r.epochs ? duration(r.seconds) : '',
      r.failure === undefined ? r.status : `failed: ${r.failure}`,
    ]),
  )
}

const measuresIn = (trial: object): string[] =>
  Object.keys(trial).flatMap(key => {
    const { set, measure } = measureOf(key) ?? {}
    return set === 'val' && measure !== undefined ? [measure] : []
  })

type Flags = { readonly model?: string | undefined; readonly resume?: string; readonly space?: string }

async function handler(argv: SettingValues & Flags, own?: Definition): Promise<void> {
  const { model, resume } = argv
  const asked = settingsIn(schemaOf(own), argv)
  const space = argv.space === undefined ? undefined : await loadSpace(argv.space)
  if (resume === undefined && (model === undefined || space === undefined))
    throw new UserError('say what to tune, and in which space: onnxgrad tune vit --space space.json')
  const follow = followed(flagOf)
  let folder: string | undefined
  const options = {
    ...follow.options,
    spaceName: argv.space,
    onSearch(start: SearchStart) {
      folder = start.out
      sayLines(facts(aboutSearch(start), columns()))
      const { valSplit } = start.record
      if (valSplit !== undefined)
        note(
          `NOTE      trials are judged by ${percent(valSplit)} of the training examples, which none of them trains on; --val-split sets another fraction`,
        )
    },
    onRung(rung: number, of: number, trials: readonly number[], epoch: number) {
      follow.pause()
      const all = `${trials.length === 1 ? 'trial' : 'trials'} ${trials.join(', ')}`
      say(`rung ${rung + 1} of ${of}: ${all} to epoch ${epoch}`)
    },
    onTrial(trial: number, epoch: number, values: Values, epochs: number) {
      follow.begin(epochs)
      say(`trial ${trial} to epoch ${epoch}: ${inWords(values)}`)
    },
  }
  try {
    const what = own ?? model
    const done = await (resume === undefined
      ? searchRuns({ ...asked, model: what as ModelName, space: space ?? {} }, options)
      : resumeSearch(
          resume,
          {
            ...asked,
            ...(space ? { space } : {}),
            ...(await named(what)),
          },
          options,
        )
    ).catch((error: unknown) => {
      follow.pause()
      if (folder) note(`resume the search with: npx onnxgrad tune --resume ${folder}`)
      throw error
    })
    follow.pause()
    conclude(done)
    if (done.stopped) process.exitCode = follow.code
  } finally {
    follow.end()
  }
}

/** Prints the result. @throws UserError when every trial failed */
function conclude(done: SearchResult): void {
  const { winner, trials, metric, page, out, stopped } = done
  say()
  sayLines(resultTable(done))
  say()
  if (winner) {
    const test = winner[measureKey('test', metric)]
    const tested = test === undefined ? '' : `, test ${figure(metric, test)}`
    say(
      `winner    trial ${winner.trial}: validation ${figure(metric, valOf(winner, metric))} (epoch ${winner.bestEpoch})${tested}`,
    )
    say(`run       ${winner.out}`)
    say(`train it  ${winner.command}`)
  }
  say(`page      ${page}`)
  if (stopped) note(`to resume: npx onnxgrad tune --resume ${out}`)
  const { metric: _, ...about } = done
  result(about)
  if (trials.every(r => r.status === 'failed'))
    throw new UserError(
      `all ${trials.length} trials failed; trial ${nth(trials, 0).trial}: ${nth(trials, 0).failure}`,
    )
}

export const tuneVerb: Verb<Flags> = {
  builder: async yargs => tuneFlags(yargs, await definitionAsked()),
  handler: async argv => handler({ ...argv }, await definitionAsked()),
}
