// Runs that belong together, in folders beside each other.

import { join } from 'node:path'
import { makeFolders, readText, unwritable, writeAtomic } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'
import { isObject } from '../graph/keys.ts'
import { measureOf } from '../train/progress.ts'
import { RUN_FILES } from './folder-node.ts'
import { LockedError, takeLock } from './lock-node.ts'
import type { RunStanding } from './standing.ts'

/** In the folder of a run that has failed: why. */
const FAILED = 'failed.json'

/** What a JSON file holds; undefined where there is none. @throws UserError when it is damaged, or no object */
export const readObject = async (file: string): Promise<Readonly<Record<string, unknown>> | undefined> => {
  const text = await readText(file)
  return text === undefined ? undefined : objectOf(text, file)
}

function objectOf(text: string, where: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value)) return value
  } catch {}
  throw new UserError(`${where} is not a JSON object: the file is damaged`)
}

/**
 * What became of the run of a folder; of a run that has not begun, nothing.
 * @throws UserError when a file is damaged
 */
export async function readStanding(folder: string): Promise<RunStanding> {
  const file = (name: string) => join(folder, name)
  const failed = await readObject(file(FAILED))
  const metrics = (await readText(file(RUN_FILES.metrics))) ?? ''
  const { examples, images } = (await readObject(file(RUN_FILES.config))) ?? {}
  // A last line without an end was being written when the run was killed.
  const lines = metrics
    .split('\n')
    .slice(0, -1)
    .map((line, i) => objectOf(line, `${file(RUN_FILES.metrics)}: line ${i + 1}`))
  // An epoch that was done again stands there as it was done last.
  const epochs = [
    ...new Map(lines.filter(l => l.epoch !== undefined).map(l => [Number(l.epoch), l])).values(),
  ]
  const last = lines.at(-1)
  const ended = last?.final === true && (last.end === 'done' || last.end === 'patience')
  return {
    epochs: epochs.map(l => ({ loss: Number.NaN, ...figuresOf(l, ofValidation) })),
    ended,
    failed: Boolean(failed),
    // Runs of releases up to 0.1.0 say images where later ones say examples.
    seconds: epochs.reduce(
      (sum, l) => sum + Number(examples ?? images) / Number(l.examplesPerSecond ?? l.imagesPerSecond),
      0,
    ),
    ...(ended ? { final: figuresOf(last, key => measureOf(key) && key) } : {}),
    ...(ended && last.verified !== undefined ? { verified: last.verified === true } : {}),
    ...(failed ? { failure: String(failed.message) } : {}),
  }
}

/** Loss and metrics of a line of `metrics.jsonl`, under the names that `nameOf` gives their keys; none where it gives none. */
const figuresOf = (
  line: Readonly<Record<string, unknown>>,
  nameOf: (key: string) => string | undefined,
): Readonly<Record<string, number>> =>
  Object.fromEntries(
    Object.entries(line).flatMap(([key, value]) => {
      const name = nameOf(key)
      return name !== undefined && typeof value === 'number' ? [[name, value]] : []
    }),
  )

/** A measure of the validation set by its own name: `valLoss` is `loss`. */
const ofValidation = (key: string): string | undefined => {
  const { set, measure } = measureOf(key) ?? {}
  return set === 'val' ? measure : undefined
}

/** Writes down that a run has failed. */
export async function markFailed(folder: string, message: string): Promise<void> {
  await makeFolder(folder)
  await writeAtomic(join(folder, FAILED), `${JSON.stringify({ message }, null, 2)}\n`)
}

const makeFolder = (path: string): Promise<void> =>
  makeFolders(path).catch((error: unknown) => {
    throw unwritable(path, error)
  })

/** Names the process that writes into a folder. */
export const LOCK = 'lock'

/**
 * Makes a folder, and keeps other processes from it.
 * @returns lets them use it again
 * @throws UserError when another one is using it
 */
export async function lockFolder(path: string): Promise<() => void> {
  await makeFolder(path)
  return takeLock(join(path, LOCK)).catch((error: unknown) => {
    if (error instanceof LockedError) throw new UserError(`${path}: ${error.message}`, { cause: error })
    throw unwritable(path, error)
  })
}
