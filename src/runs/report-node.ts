import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readText } from '../data/files-node.ts'
import { areFingerprints, compare, fingerprints } from '../data/fingerprint.ts'
import { UserError } from '../graph/errors.ts'
import { fieldsOf } from '../graph/keys.ts'
import { type RunLog, readLog } from '../report/log.ts'
import type { ReportSource } from '../report/report-node.ts'
import { RUN_FILES } from './folder-node.ts'
import { readConfig } from './saved-node.ts'

export type { ReportSource } from '../report/report-node.ts'

/** The text of a file of a run; empty where there is none. */
const textOf = async (folder: string, name: 'metrics' | 'steps'): Promise<string> =>
  (await readText(join(folder, RUN_FILES[name]))) ?? ''

/** What a run folder has written down of its run. @throws UserError when a file is damaged */
export const readRunLog = async (folder: string): Promise<RunLog> =>
  readLog(await textOf(folder, 'metrics'), await textOf(folder, 'steps'))

/**
 * The report of a run folder, from what it has written down so far. Takes about as long as an evaluation on the test set.
 * @throws UserError when a file is damaged, or the data is not what the run was tested on
 */
export async function reportOfRun(folder: string, about: ReportSource): Promise<string> {
  const config = await readConfig(folder)
  const { test: tested } = fieldsOf(config.data)
  const { test, origin } = about.data
  if (typeof tested === 'number' && test?.size !== undefined && tested !== test.size)
    throw new UserError(
      `${folder} was tested on ${tested} examples, and ${origin} has ${test.size}; name the run's own data with --data`,
    )
  if (areFingerprints(config.fingerprints)) {
    const { differences } = compare(config.fingerprints, await fingerprints(about.data), ['test'])
    if (differences.length)
      throw new UserError(
        `${folder} was not tested on these data: ${differences.join('; ')}; name the run's own data with --data`,
      )
  }
  const log = await readRunLog(folder)
  const finished = log.final && (await stat(join(folder, RUN_FILES.metrics))).mtime
  // What draws takes long to load, and most programs draw nothing.
  const { reportOf } = await import('../report/report-node.ts')
  return reportOf({ ...about, config, log, finished })
}
