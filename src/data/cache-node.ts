import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { makeFolders, unwritable } from './files-node.ts'

/** Environment variables. */
export type Env = Readonly<Record<string, string | undefined>>

/**
 * Where the downloads of a collection are kept: `ONNXGRAD_CACHE`, `XDG_CACHE_HOME`, else the platform's custom; undefined where the
 * user has no home folder.
 */
export function cacheFolder(
  env: Env = process.env,
  platform: string = process.platform,
  name = 'mnist',
): string | undefined {
  const { ONNXGRAD_CACHE: own, XDG_CACHE_HOME: xdg } = env
  if (own) return join(resolve(own), name)
  const caches = xdg && isAbsolute(xdg) ? xdg : platformCaches(env, platform)
  return caches && join(caches, 'onnxgrad', name)
}

function platformCaches(env: Env, platform: string): string | undefined {
  const home = homeFolder()
  if (platform === 'win32') return env.LOCALAPPDATA || (home && join(home, 'AppData', 'Local'))
  return home && (platform === 'darwin' ? join(home, 'Library', 'Caches') : join(home, '.cache'))
}

function homeFolder(): string | undefined {
  try {
    const home = homedir()
    return isAbsolute(home) ? home : undefined
  } catch {
    // A user without an entry in the system's list, as containers have.
    return undefined
  }
}

/** How to choose another cache folder. */
const REMEDY = 'set another folder with --cache DIR or ONNXGRAD_CACHE'

/** A folder for downloads. Where the usual one cannot be written, a temporary one takes its place, until `close`. */
export class DownloadCache {
  readonly #log: (line: string) => void
  #folder: string | undefined
  #checked = false
  #temporary: string | undefined

  constructor(folder: string | undefined, log: (line: string) => void) {
    this.#folder = folder
    this.#log = log
  }

  /** The folder that files are read from; undefined if there is none yet. */
  get folder(): string | undefined {
    return this.#temporary ?? this.#folder
  }

  /** Whether what is downloaded is gone after this run. */
  get isTemporary(): boolean {
    return this.#temporary !== undefined
  }

  /** A folder that can be written. @throws UserError when not even a temporary one can */
  async writable(): Promise<string> {
    if (this.#temporary) return this.#temporary
    const folder = this.#folder
    if (folder && this.#checked) return folder
    this.#checked = true
    if (!folder) return this.giveUp('there is no home folder for downloads')
    try {
      await makeFolders(folder)
      const probe = join(folder, `.${process.pid}.tmp`)
      await writeFile(probe, '')
      await rm(probe)
      return folder
    } catch (error) {
      return this.giveUp(`the cache folder ${unwritable(folder, error).message}`)
    }
  }

  /** Switches to a temporary folder. @param why what is said to the user @throws UserError when it cannot be made */
  async giveUp(why: string): Promise<string> {
    const root = tmpdir()
    this.#temporary = await mkdtemp(join(root, 'onnxgrad-')).catch(error => {
      throw unwritable(root, error)
    })
    this.#log(`${why}; downloads are kept in a temporary folder for this run only; ${REMEDY}`)
    return this.#temporary
  }

  /** Removes what was temporary. */
  async close(): Promise<void> {
    if (this.#temporary) await rm(this.#temporary, { recursive: true, force: true })
  }
}
