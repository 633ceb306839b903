import { randomUUID } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { constants, copyFile, link, lstat, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { codeOf, kindOf, readText, unwritable, writeAtomic } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'
import { fieldsOf } from '../graph/keys.ts'

/** Who holds a lock. */
interface Holder {
  /** Another for each lock that is taken. */
  readonly id: string
  readonly pid: number
  readonly host: string
  /** When the process started, as {@link startOf} says; numbers of processes are given again. */
  readonly started?: string | undefined
}

/** A lock that another process holds. */
export class LockedError extends UserError {
  override readonly name = 'LockedError'
  readonly pid: number

  constructor(path: string, { pid, host }: Holder) {
    super(
      host === hostname()
        ? `process ${pid} is using it; wait until that has ended, or stop it`
        : `process ${pid} of the machine ${host} is using it; if that has ended, delete ${path}`,
    )
    this.pid = pid
  }
}

/** The machine's boot and the tick since then at which a process started; undefined where the system does not say. */
function startOf(pid: number): string | undefined {
  try {
    // The name of the program, in parentheses, may hold anything; after it come the state and, as the 22nd field, the tick.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    // One that has ended stays listed until its parent has asked how.
    return fields[0] === 'Z' ? 'ended' : `${boot} ${fields[19]}`
  } catch {
    return undefined
  }
}

/** Whether the holder may still be running. */
function alive({ pid, host, started }: Holder): boolean {
  if (host !== hostname()) return true
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false
  }
  return started === undefined || (startOf(pid) ?? started) === started
}

/** The holder of a lock; undefined where there is none. @throws UserError when the file is damaged */
async function holderOf(path: string): Promise<Holder | undefined> {
  // A link counts for itself: one that leads nowhere is there, and can be neither read nor taken.
  const entry = await lstat(path).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return undefined
    throw unwritable(path, error)
  })
  if (entry && !entry.isFile())
    throw new UserError(`${path} is ${kindOf(entry)}, not a lock; if no process is using it, delete it`)
  const text = entry && (await readText(path))
  if (text === undefined) return undefined
  try {
    const holder: unknown = JSON.parse(text)
    if (isHolder(holder)) return holder
  } catch {}
  throw new UserError(`${path} does not say which process is using it; if none is, delete that file`)
}

const isHolder = (value: unknown): value is Holder => {
  const { id, pid, host } = fieldsOf(value)
  return (
    typeof id === 'string' &&
    /^[0-9a-f]{8}$/.test(id) &&
    Number.isSafeInteger(pid) &&
    typeof host === 'string'
  )
}

/** Codes of file systems that have no hard links. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']

/** Makes a file that is not there yet, with its content from the first moment on. @returns whether it did */
async function create(path: string, text: string, id: string): Promise<boolean> {
  const temporary = `${path}.${id}.tmp`
  try {
    await writeAtomic(temporary, text)
    await link(temporary, path).catch((error: unknown) => {
      if (!NO_LINKS.includes(codeOf(error))) throw error
      return copyFile(temporary, path, constants.COPYFILE_EXCL)
    })
    return true
  } catch (error) {
    // Who holds the lock removes temporary files, this one too.
    if (['EEXIST', 'ENOENT'].includes(codeOf(error))) return false
    throw unwritable(path, error instanceof UserError ? error.cause : error)
  } finally {
    await rm(temporary, { force: true }).catch(() => {})
  }
}

/** @throws LockedError when a process holds the lock that may still be running */
export async function refuseLocked(path: string): Promise<void> {
  const holder = await holderOf(path)
  if (holder && alive(holder)) throw new LockedError(path, holder)
}

/**
 * Takes the lock that a file stands for. Of processes that try at once one gets it; from one that has ended without
 * letting go (killed, or with the machine) it is taken over.
 * @returns lets go; the end of the process does so too
 * @throws LockedError when another process, or this one, holds it; UserError when the file cannot be made
 */
export async function takeLock(path: string): Promise<() => void> {
  const id = randomUUID().slice(0, 8)
  const mine: Holder = { id, pid: process.pid, host: hostname(), started: startOf(process.pid) }
  const text = JSON.stringify(mine)
  while (!(await create(path, text, id))) {
    const holder = await holderOf(path)
    if (!holder) continue
    if (alive(holder)) throw new LockedError(path, holder)
    // Two may find that the holder has ended. Who has this second lock removes the first, if it still is that holder's.
    const release = await takeLock(`${path}.${holder.id}`)
    try {
      if ((await holderOf(path))?.id === holder.id) await rm(path)
    } finally {
      release()
    }
  }
  const release = () => {
    process.off('exit', release)
    try {
      if (readFileSync(path, 'utf8') === text) rmSync(path)
    } catch {
      // The folder is gone or cannot be written any more: who comes next finds that this process has ended.
    }
  }
  process.on('exit', release)
  return release
}
