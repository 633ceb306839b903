import { dirname, join } from 'node:path'
import type { DataSource } from '../data/dataset.ts'
import { exists } from '../data/files-node.ts'
import { areFingerprints, compare, fingerprint } from '../data/fingerprint.ts'
import type { Split } from '../data/split-names.ts'
import { UserError } from '../graph/errors.ts'
import { fieldsOf } from '../graph/keys.ts'
import type { ExampleInput } from '../train/classifier.ts'
import { type DataSettings, type Known, loadData, sourceAgain } from './data-node.ts'
import { messages, type SettingValues } from './definition.ts'
import { namesFile } from './file-run-node.ts'
import { openRun } from './open-node.ts'
import { RUN_FILES, type RunConfig, readConfig } from './saved-node.ts'

/** A run folder and its settings. */
export interface OwnRun {
  readonly folder: string
  readonly config: RunConfig
}

/** The run that a folder holds, or that a file of a run folder belongs to; none for a file from elsewhere. */
export async function runOf(path: string, isFolder: boolean): Promise<OwnRun | undefined> {
  const folder = isFolder ? path : dirname(path)
  if (!(await exists(join(folder, RUN_FILES.config)))) return undefined
  if (isFolder) return { folder, config: await readConfig(folder) }
  // Beside a file from elsewhere may be a config.json of anything.
  const config = await readConfig(folder).catch(() => undefined)
  return config && { folder, config }
}

const NAMED = 'name the data of the run with'

/**
 * Data for a run's model: those that are asked for, else its own.
 * @throws UserError that asks for the run's own data where they cannot be found again, or are others by now
 */
export async function dataOfRun(
  { folder, config }: OwnRun,
  input: ExampleInput,
  asked: DataSettings,
  known: Known,
): Promise<DataSource> {
  const given: SettingValues = { data: asked.data, text: asked.text, skipBad: asked.skipBad }
  if (config.module !== undefined && !namesFile(config.module) && asked.data === undefined) {
    const context = messages({ onNotice: known.notice, label: known.label })
    return (await openRun(folder, given, context)).data
  }
  const { valSplit } = fieldsOf(config)
  const settings = {
    ...sourceAgain(fieldsOf(config.source), given),
    ...(typeof valSplit === 'number' ? { valSplit } : {}),
    ...(asked.valSplit === undefined ? {} : { valSplit: asked.valSplit }),
  }
  const isOwn = asked.data === undefined && asked.text === undefined
  return loadData(input, settings, known).catch((error: unknown) => {
    if (!(isOwn && error instanceof UserError)) throw error
    throw new UserError(`${error.message}; ${NAMED} ${input.kind === 'tokens' ? '--text FILE' : '--data'}`)
  })
}

/** @throws UserError where a set that was found is not the one that the run was made with */
export async function refuseOtherSet(
  { folder, config }: OwnRun,
  split: Split,
  source: DataSource,
): Promise<void> {
  const set = source[split]
  if (!set || !areFingerprints(config.fingerprints)) return
  const { preparedBy } = source
  const own = { ...config.fingerprints, preparedBy, [split]: await fingerprint(set) }
  const { differences } = compare(config.fingerprints, own, [split])
  if (differences.length)
    throw new UserError(`${folder} was made with other data: ${differences.join('; ')}; ${NAMED} --data`)
}
