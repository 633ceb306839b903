import { extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { codeOf, readBytes, readNamed } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import type { TuneSettings } from '../tune/record.ts'
import { type Dimension, readSpace, type Value, type Values } from '../tune/space.ts'
import { parsed, same } from './command-line.ts'
import { isSize } from './model-flags.ts'
import { resolveConfig } from './options.ts'
import { kebab } from './text.ts'

const MODULES = ['.ts', '.mts', '.js', '.mjs']

/** What a file declares: JSON, or the default export of a module. @throws UserError when it cannot be read */
export async function loadSpace(path: string): Promise<TuneSettings['space']> {
  const extension = extname(path)
  const declared = MODULES.includes(extension)
    ? await importDefault(path, extension)
    : json(new TextDecoder().decode(readNamed(path)), path)
  // Of a module, what JSON can keep of it.
  const kept = declared === undefined ? undefined : json(JSON.stringify(declared), path)
  readSpace(kept, path)
  return kept as TuneSettings['space']
}

function json(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UserError(`${path} is not JSON: ${error instanceof Error ? error.message : error}`)
  }
}

async function importDefault(path: string, extension: string): Promise<unknown> {
  await readBytes(path)
  try {
    const module: { readonly default?: unknown } = await import(pathToFileURL(resolve(path)).href)
    return module.default
  } catch (error) {
    if (codeOf(error) === 'ERR_UNKNOWN_FILE_EXTENSION')
      throw new UserError(
        `${path}: Node ${process.versions.node} imports no ${extension} files; take Node 22.18 or newer, or start it with tsx (NODE_OPTIONS="--import tsx"), or write the space as JSON`,
      )
    throw new UserError(`${path} cannot be imported: ${error instanceof Error ? error.message : error}`)
  }
}

/** What trials must have in common to be compared. */
const COMPARED = [
  'model',
  'data',
  'text',
  'limit',
  'skip-bad',
  'val-split',
  'epochs',
  'metric',
  'patience',
  'seed',
]

/** What decides nothing that is learned, and what is of a single run. */
const ASIDE = ['device', 'threads', 'recompute', 'steps-per-run', 'save-every', 'verify', 'overwrite']
const SINGLE = ['resume', 'out', 'repeats', 'config']

const SHARED = [...COMPARED, ...ASIDE, ...SINGLE]

const isWhole = (flag: string): boolean => ['batch', 'accumulate'].includes(flag) || isSize(camel(flag))

const samples = (d: Dimension): readonly Value[] => (d.kind === 'choice' ? d.values : [d.low, d.high])

/**
 * The dimensions of a space, whose names are flags of `train` that take what is drawn.
 * @throws UserError for one that is not, or is given a fixed value too
 */
export async function trainSpace(
  { model, space, flags }: Pick<TuneSettings, 'model' | 'space' | 'flags'>,
  where: string,
): Promise<Dimension[]> {
  const dimensions = readSpace(space, where)
  for (const d of dimensions) await checkFlag(model, d, flags, `${where}: ${d.name}`)
  const first = Object.fromEntries(dimensions.map(d => [camel(d.name), nth(samples(d), 0)]))
  const preset = first.preset ?? flags.preset
  resolveConfig(model, preset === undefined ? undefined : String(preset), first)
  return dimensions
}

/** Flags of a model are known by their names in its configuration. */
const camel = (name: string): string => name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())

async function checkFlag(model: string, d: Dimension, flags: Values, where: string): Promise<void> {
  const flag = kebab(d.name)
  if (SHARED.includes(flag))
    throw new UserError(`${where} is the same for all trials; give --${flag} to tune instead`)
  if (flags[flag] !== undefined)
    throw new UserError(`${where} varies, and is given as --${flag} ${flags[flag]} too; give one of them`)
  for (const value of samples(d)) {
    const read: Readonly<Record<string, unknown>> = await parsed(model, { [d.name]: value }).catch(
      (error: unknown) => {
        throw new UserError(`${where}: ${error instanceof Error ? error.message : error}`)
      },
    )
    if (!same(read[d.name], value))
      throw new UserError(`${where}: --${flag} does not take ${JSON.stringify(value)}`)
    if (isWhole(d.name) && [value].flat().some(v => typeof v === 'number' && !Number.isInteger(v)))
      throw new UserError(`${where}: --${flag} takes whole numbers, not ${JSON.stringify(value)}`)
  }
  if (isWhole(d.name) && (d.kind === 'log' || d.kind === 'uniform'))
    throw new UserError(
      `${where}: --${flag} takes whole numbers; give {"int": [${d.low}, ${d.high}]} or a list`,
    )
}
