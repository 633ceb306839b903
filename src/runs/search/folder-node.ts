import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, reason, writeAtomic } from '../../data/files-node.ts'
import { UserError } from '../../graph/errors.ts'
import type { RunStanding } from '../standing.ts'
import { LOCK, lockFolder, markFailed, readObject, readStanding } from '../standing-node.ts'
import { readRecord, type TuneRecord } from './record.ts'

/** Files of a tune's folder, beside those of the trials. */
export const TUNE_FILES = {
  settings: 'tune.json',
  page: 'tune.html',
  trials: 'trials',
} as const

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
    const value = await readObject(file)
    if (value) return readRecord(value, file)
    const names = await readdir(this.path).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return []
      throw new UserError(`${this.path} ${reason(error)}`, { cause: error })
    })
    // What is left of a tune that was killed before it began says nothing.
    const others = names.filter(name => !name.endsWith('.tmp') && !name.startsWith(LOCK))
    if (others.length)
      throw new UserError(
        `${this.path} holds ${others.length} files already, and no search; choose another --out`,
      )
    return undefined
  }

  /** Makes the folder and keeps other processes from it. @throws UserError when another one is using it */
  async lock(): Promise<void> {
    this.#release = await lockFolder(this.path)
  }

  write = (record: TuneRecord): Promise<void> =>
    writeAtomic(this.file('settings'), `${JSON.stringify(record, null, 2)}\n`)

  /** Writes down that a trial has failed. */
  fail = (number: number, message: string): Promise<void> => markFailed(this.trial(number), message)

  /** What has become of trials 0 … count − 1. */
  trials = (count: number): Promise<RunStanding[]> =>
    Promise.all(Array.from({ length: count }, (_, i) => readStanding(this.trial(i))))

  /** Lets other processes use the folder. */
  close(): void {
    this.#release()
  }
}
