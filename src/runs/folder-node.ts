import { lstat, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { append, codeOf, makeFolders, reason, syncFile, unwritable, writeAtomic } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'
import { present } from '../graph/present.ts'
import { FORMAT, FORMAT_KEY } from '../train/checkpoint.ts'
import type { TrainState } from '../train/state.ts'
import type { StateLayout } from '../train/step/state.ts'
import { LockedError, refuseLocked, takeLock } from './lock-node.ts'
import type { RunRecord } from './record.ts'
import { type Build, writeSaved } from './saved.ts'
import { LINES, type Notice, type Resumable, RUN_FILES, type RunConfig, readResumable } from './saved-node.ts'

export { RUN_FILES, type RunConfig, readRun } from './saved-node.ts'

/** Whether a file says nothing of a run: the lock, and what a process that was killed has left half written. */
const isPassing = (name: string): boolean => name === RUN_FILES.lock || isLeftOver(name)

const isLeftOver = (name: string): boolean =>
  name.startsWith(`${RUN_FILES.lock}.`) ||
  (name.endsWith('.tmp') && Object.values(RUN_FILES).some(file => name.startsWith(`${file}.`)))

/** What a folder holds; nothing where there is none. @throws UserError where something else has its name */
const contents = async (path: string): Promise<string[]> => {
  const names = await readdir(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return []
    throw new UserError(`${path} ${reason(error)}`, { cause: error })
  })
  return names.filter(name => !isPassing(name))
}

/** Whether something has the name already, other than an empty folder. */
const isTaken = async (path: string): Promise<boolean> => {
  const entry = await lstat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new UserError(`${dirname(path)} ${reason(error)}`, { cause: error })
  })
  return entry !== undefined && (!entry.isDirectory() || (await contents(path)).length > 0)
}

/** @throws UserError when it cannot be removed, as a folder is not */
const remove = (path: string): Promise<void> =>
  rm(path, { force: true }).catch((error: unknown) => {
    throw unwritable(path, error)
  })

/** Puts the folder before what is said of its lock. */
const lockOf = <T>(path: string, ask: (lock: string) => Promise<T>): Promise<T> =>
  ask(join(path, RUN_FILES.lock)).catch((error: unknown) => {
    throw error instanceof LockedError ? new UserError(`${path}: ${error.message}`) : error
  })

/**
 * A folder that a run writes into. While it does, `lock` names its process, and no other can. Whatever ends the process,
 * the files that stand there under their own names are whole.
 */
export class RunFolder {
  readonly path: string
  readonly #overwrite: boolean
  readonly #from: Resumable | undefined
  #release: () => void
  /** The step of the checkpoint that is there. */
  #saved: number

  private constructor(path: string, overwrite = false, from?: Resumable, release = () => {}) {
    this.path = path
    this.#overwrite = overwrite
    this.#from = from
    this.#release = release
    this.#saved = from?.record.step ?? 0
  }

  /**
   * The folder of a new run; nothing is made before it begins.
   * @throws UserError when it holds files already, unless `overwrite`, or another process trains there
   */
  static async at(path: string, { overwrite = false } = {}): Promise<RunFolder> {
    await lockOf(path, refuseLocked)
    const folder = new RunFolder(path, overwrite)
    await folder.#refuseFull()
    return folder
  }

  /** `base`, or `base-2`, `base-3`, … where that is taken. */
  static async next(base: string): Promise<RunFolder> {
    for (let i = 1; ; i++) {
      const path = i === 1 ? base : `${base}-${i}`
      if (!(await isTaken(path))) return new RunFolder(path)
    }
  }

  /**
   * The folder of a run to resume, locked, and where that run stands. Nothing else is changed before the run is resumed.
   * @param notice is told of damaged files that others stand in for
   * @throws UserError when another process trains there, or a file is damaged and nothing can stand in for it
   */
  static async resume(
    path: string,
    build: Build,
    notice: Notice,
  ): Promise<{ readonly folder: RunFolder; readonly from: Resumable }> {
    const release = await lockOf(path, takeLock)
    try {
      const from = await readResumable(path, build, notice)
      return { folder: new RunFolder(path, false, from, release), from }
    } catch (error) {
      release()
      throw error
    }
  }

  file = (name: keyof typeof RUN_FILES): string => join(this.path, RUN_FILES[name])

  /**
   * Makes the folder, locks it, and starts the run's records; what an older run left there goes.
   * @throws UserError when the folder cannot be made, or another process has begun a run there
   */
  async begin(config: RunConfig): Promise<void> {
    await makeFolders(this.path).catch((error: unknown) => {
      throw new UserError(`${this.path} ${reason(error)}; choose another --out`)
    })
    this.#release = await lockOf(this.path, takeLock)
    try {
      await this.#refuseFull()
      await this.#tidy()
      // The older run's settings go first: without them, what is left of it cannot be resumed.
      for (const name of Object.values(RUN_FILES))
        if (name !== RUN_FILES.lock) await remove(join(this.path, name))
      await this.#configure(config)
      for (const name of LINES) await writeAtomic(this.file(name), '')
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Puts the folder in order where the run is resumed. @param changes settings that are no longer what they were */
  continue = (changes: object = {}): Promise<void> =>
    this.#safely(async () => {
      const { config, repairs } = present(this.#from, 'run to resume')
      await this.#tidy()
      for (const [file, data] of repairs) await writeAtomic(file, data)
      // Settings of before format 2 say `images`.
      const { images, ...own } = config
      await this.#configure({ ...(images === undefined ? {} : { examples: images }), ...own, ...changes })
    })

  /** Adds a line to `metrics.jsonl`, or to `steps.jsonl`; each names its `step`, or says `final`. */
  record = (line: object, file: (typeof LINES)[number] = 'metrics'): Promise<void> =>
    this.#safely(() => append(this.file(file), `${JSON.stringify(line)}\n`))

  /** Saves a state. The `last` that it replaces stays as `previous`. Save a `best` before the `last` of the same step. */
  async checkpoint(
    name: 'last' | 'best',
    layout: StateLayout,
    state: TrainState,
    record: RunRecord,
    training: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const bytes = writeSaved(layout, state, record, training)
    await this.#safely(async () => {
      if (name === 'best') return writeAtomic(this.file('best'), bytes)
      // Lines up to a checkpoint's step are on the disk before it is.
      for (const lines of LINES) await syncFile(this.file(lines))
      await writeAtomic(this.file('last'), bytes, this.file('previous'))
      this.#saved = record.step
    })
  }

  model = (bytes: Uint8Array): Promise<void> => this.write('model', bytes)

  /** Writes a file that is made of the run. */
  write = (name: 'model' | 'report', data: Uint8Array | string): Promise<void> =>
    this.#safely(() => writeAtomic(this.file(name), data))

  /** Lets other processes use the folder. */
  close(): void {
    this.#release()
  }

  #configure = (config: object): Promise<void> =>
    writeAtomic(this.file('config'), `${JSON.stringify({ [FORMAT_KEY]: FORMAT, ...config }, null, 2)}\n`)

  async #refuseFull(): Promise<void> {
    const present = await contents(this.path)
    if (present.length && !this.#overwrite)
      throw new UserError(
        `${this.path} holds ${present.length} files already; choose another --out, or give --overwrite`,
      )
  }

  /** Removes what processes that were killed have left. */
  async #tidy(): Promise<void> {
    for (const entry of await readdir(this.path, { withFileTypes: true }))
      if (isLeftOver(entry.name) && !entry.isDirectory()) await remove(join(this.path, entry.name))
  }

  /** Does what changes the folder; where that fails, the error says what is lost and how to go on. */
  async #safely(change: () => Promise<void>): Promise<void> {
    try {
      await change()
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      const there = await stat(this.path).catch(() => undefined)
      throw new UserError(`${error.message}; ${there ? this.#remedy() : GONE}`)
    }
  }

  #remedy(): string {
    const lost = this.#saved ? `nothing up to step ${this.#saved} is lost` : 'no step is saved yet'
    return `${lost}; fix this, then resume with: onnxgrad train --resume ${this.path}`
  }
}

const GONE = 'the run folder no longer exists'
