import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'
import { fieldsOf } from '../graph/keys.ts'
import type { ComparedRun } from '../report/compare-node.ts'
import type { RunLog } from '../report/log.ts'
import { measureOf } from '../train/progress.ts'
import { RUN_FILES } from './folder-node.ts'
import { readRunLog } from './report-node.ts'
import { type RunConfig, readConfig } from './saved-node.ts'

/** Fields of `config.json` that are no settings of the user's. */
const ASIDE = [
  ...['format', 'parameters', 'examples', 'fingerprints', 'versions', 'classes', 'normalization'],
  ...['data', 'module', 'saveEvery', 'verify', 'report', 'tensorboard', 'profile'],
]

/** Figures of a run beside loss and metrics. */
const FIGURES = ['seconds', 'examplesPerSecond']

/** Every setting of a run, by its path. */
function* leaves(value: unknown, path: string): Generator<readonly [string, string]> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    yield [path, [value].flat().join(' ')]
    return
  }
  for (const [key, inner] of Object.entries(value)) yield* leaves(inner, path ? `${path} ${key}` : key)
}

function settingsOf(config: RunConfig): ReadonlyMap<string, string> {
  const own = Object.entries(config).filter(([key]) => !ASIDE.includes(key) && key !== 'model')
  const { name: _, config: model, preset: __, ...rest } = fieldsOf(config.model)
  return new Map(leaves({ ...fieldsOf(model), ...rest, ...Object.fromEntries(own) }, ''))
}

/** The run folders that a folder stands for: itself, or the runs of a search or of repeats. @throws UserError for another one */
async function foldersIn(path: string): Promise<readonly string[]> {
  if (await exists(join(path, RUN_FILES.config))) return [path]
  const parent = (await exists(join(path, 'trials'))) ? join(path, 'trials') : path
  const isFolder = await stat(parent).then(
    entry => entry.isDirectory(),
    () => false,
  )
  const names = isFolder ? (await readdir(parent)).sort() : []
  const found = []
  for (const name of names)
    if (await exists(join(parent, name, RUN_FILES.config))) found.push(join(parent, name))
  if (!found.length) throw new UserError(`${path} is not a run folder, and holds none`)
  return found
}

/** Runs side by side. */
export interface Comparison {
  /** In the order in which they were named. */
  readonly runs: readonly ComparedRun[]
  /** Writes them as one page, with their curves: HTML in one file. */
  readonly page: () => Promise<string>
}

/**
 * Compares runs: figures, the settings in which they differ, curves.
 * @param paths run folders; of a search or of repeats, all its runs
 * @throws UserError for a folder that holds no run, or a damaged file
 */
export async function compareRuns(paths: readonly string[]): Promise<Comparison> {
  const folders = [...new Set((await Promise.all(paths.map(foldersIn))).flat())]
  const read = await Promise.all(
    folders.map(async out => ({ out, config: await readConfig(out), log: await readRunLog(out) })),
  )
  const settings = read.map(({ config }) => settingsOf(config))
  const names = [...new Set(settings.flatMap(own => [...own.keys()]))]
  const differing = names.filter(name => new Set(settings.map(own => own.get(name))).size > 1)
  const runs = read.map(({ out, config, log }, i): ComparedRun => {
    const own = settings[i]
    const { preset } = fieldsOf(config.model)
    return {
      out,
      model: [config.model.name, preset].filter(part => typeof part === 'string').join(' '),
      settings: Object.fromEntries(
        differing.flatMap(name => {
          const value = own?.get(name)
          return value === undefined ? [] : [[name, value]]
        }),
      ),
      figures: figuresOf(log, config),
      epochs: log.epochs.at(-1)?.epoch ?? 0,
      finished: log.end === 'done' || log.end === 'patience',
    }
  })
  return {
    runs,
    async page() {
      // What draws takes long to load.
      const { comparePage } = await import('../report/compare-node.ts')
      return comparePage(
        runs,
        read.map(({ log }) => log),
      )
    },
  }
}

/** What a run measured last. */
function figuresOf({ final, epochs }: RunLog, config: RunConfig): ComparedRun['figures'] {
  const last = final ?? epochs.at(-1) ?? {}
  const measured = Object.entries(last).filter(([key]) => measureOf(key) || FIGURES.includes(key))
  // The test set first, then what it was chosen by.
  const order = ['test', 'val', 'train']
  const rank = (key: string): number => {
    const set = measureOf(key)?.set
    return set ? order.indexOf(set) : order.length
  }
  const { parameters } = config
  return {
    ...Object.fromEntries(measured.sort(([a], [b]) => rank(a) - rank(b))),
    ...(typeof parameters === 'number' ? { parameters } : {}),
  }
}
