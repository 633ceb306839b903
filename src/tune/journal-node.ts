import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, reason, unwritable, writeAtomic } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'
import { LockedError, takeLock } from '../train/lock-node.ts'
import { RUN_FILES } from '../train/run-node.ts'
import { readRecord, type Trial, type TuneRecord } from './record.ts'

/** Files of a tune's folder, beside those of the trials. */
export const TUNE_FILES = {
  settings: 'tune.json',
  page: 'tune.html',
  trials: 'trials',
  lock: 'lock',
} as const

/** In a trial's run folder, where it has failed: why. */
const FAILED = 'failed.json'

/** The text of a file; undefined where there is none. */
const textOf = (file: string): Promise<string | undefined> =>
  readFile(file, 'utf8').catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return undefined
    throw new UserError(`${file} ${reason(error)}`, { cause: error })
  })

function objectOf(text: string, where: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {}
  throw new UserError(`${where} is no JSON object: the file is damaged`)
}

/**
 * What a run folder has come to; of a run that has not begun, nothing.
 * @throws UserError when a file is damaged
 */
export async function readTrial(folder: string): Promise<Trial> {
  const file = (name: string) => join(folder, name)
  const failed = await textOf(file(FAILED))
  const failure = failed === undefined ? {} : { failure: String(objectOf(failed, file(FAILED)).message) }
  const metrics = (await textOf(file(RUN_FILES.metrics))) ?? ''
  const config = await textOf(file(RUN_FILES.config))
  const images = Number(config === undefined ? 0 : objectOf(config, file(RUN_FILES.config)).images)
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
    epochs: epochs.map(l => ({ accuracy: Number(l.valAccuracy), loss: Number(l.valLoss) })),
    ended,
    failed: failed !== undefined,
    seconds: epochs.reduce((sum, l) => sum + images / Number(l.imagesPerSecond), 0),
    ...(ended ? { test: { accuracy: Number(last.testAccuracy), loss: Number(last.testLoss) } } : {}),
    ...failure,
  }
}

/** A folder that a tune keeps all in. What its trials have come to is in their run folders, and nowhere else. */
export class TuneFolder {
  readonly path: string
  #release = () => {}

  constructor(path: string) {
    this.path = path
  }

  file = (name: keyof typeof TUNE_FILES): string => join(this.path, TUNE_FILES[name])

  /** The run folder of a trial. */
  trial = (number: number): string => join(this.file('trials'), String(number).padStart(3, '0'))

  /**
   * The tune that the folder holds; undefined where it is empty or not there.
   * @throws UserError when it holds other things, or the file is damaged
   */
  async read(): Promise<TuneRecord | undefined> {
    const file = this.file('settings')
    const text = await textOf(file)
    if (text !== undefined) return readRecord(objectOf(text, file), file)
    const names = await readdir(this.path).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return []
      throw new UserError(`${this.path} ${reason(error)}`, { cause: error })
    })
    // What is left of a tune that was killed before it began says nothing.
    const others = names.filter(name => !name.endsWith('.tmp') && !name.startsWith(TUNE_FILES.lock))
    if (others.length)
      throw new UserError(
        `${this.path} holds ${others.length} files already, and no tune; choose another --out`,
      )
    return undefined
  }

  /** Makes the folder and keeps other processes from it. @throws UserError when another one is using it */
  async lock(): Promise<void> {
    try {
      await mkdir(this.path, { recursive: true })
      this.#release = await takeLock(this.file('lock'))
    } catch (error) {
      if (error instanceof LockedError)
        throw new UserError(`${this.path}: ${error.message}`, { cause: error })
      throw unwritable(this.path, error)
    }
  }

  write = (record: TuneRecord): Promise<void> =>
    writeAtomic(this.file('settings'), `${JSON.stringify(record, null, 2)}\n`)

  /** Writes down that a trial has failed. */
  async fail(number: number, message: string): Promise<void> {
    const folder = this.trial(number)
    await mkdir(folder, { recursive: true }).catch((error: unknown) => {
      throw unwritable(folder, error)
    })
    await writeAtomic(join(folder, FAILED), `${JSON.stringify({ message }, null, 2)}\n`)
  }

  /** What has become of trials 0 … count − 1. */
  trials = (count: number): Promise<Trial[]> =>
    Promise.all(Array.from({ length: count }, (_, i) => readTrial(this.trial(i))))

  /** Lets other processes use the folder. */
  close(): void {
    this.#release()
  }
}
