import { fstatSync, readFileSync, readSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { codeOf } from '../data/files-node.ts'
import { keysOf } from '../graph/keys.ts'
import { note } from './output.ts'

/**
 * Signals that ask a program to end. One request may come as several signals: npm passes Ctrl-C on to a program that has
 * it from the terminal already, and a terminal that closes tells its programs through the shell, too.
 */
const SIGNALS = {
  SIGINT: { number: 2, echoMs: 300 },
  SIGTERM: { number: 15, echoMs: 300 },
  SIGHUP: { number: 1, echoMs: 3000 },
} as const
type Name = keyof typeof SIGNALS
const NAMES = keysOf(SIGNALS)

export interface Interrupt {
  readonly signal: AbortSignal
  /** The exit code of a program that a signal ended. */
  readonly code: number
  end(): void
}

/** Lets what is being done end at the first signal; the second one ends the program at once. */
export function interruptible(): Interrupt {
  const stop = new AbortController()
  const names = NAMES.filter(name => name !== 'SIGHUP' || !hangupIgnored)
  let code = 0
  let first = 0
  const interrupt = (name: Name) => {
    const { number, echoMs } = SIGNALS[name]
    if (stop.signal.aborted && performance.now() - first < echoMs) return
    if (stop.signal.aborted) {
      // The end waits for what onnxruntime is computing; a third signal does not.
      end()
      process.exit(128 + number)
    }
    first = performance.now()
    code = 128 + number
    // The terminal has put ^C where the cursor was.
    process.stderr.write(process.stderr.isTTY ? '\r\x1b[K' : '\n')
    note('stopping after this step; press Ctrl-C again to stop at once')
    stop.abort()
  }
  const end = () => {
    for (const name of names) process.off(name, interrupt)
  }
  for (const name of names) process.on(name, interrupt)
  return {
    signal: stop.signal,
    get code() {
      return code
    },
    end,
  }
}

/** Resolves when the user, or the system, asks the program to end. */
export const interrupted = (): Promise<void> =>
  new Promise(resolve => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => resolve())
  })

let hangupIgnored = false

/** Ignores SIGHUP where the program was started to survive its terminal: Node forgets that at its start. */
export function honourNohup(): void {
  hangupIgnored = process.platform !== 'win32' && (startedByNohup() || parentIgnoresHangup())
  if (hangupIgnored) process.on('SIGHUP', () => {})
}

/** Shells put the program that they start into `_`; nohup gives a program that had a terminal an input without reading. */
const startedByNohup = (): boolean => basename(process.env._ ?? '') === 'nohup' || inputIsUnreadable()

function inputIsUnreadable(): boolean {
  try {
    if (fstatSync(0).rdev !== statSync('/dev/null').rdev) return false
    readSync(0, new Uint8Array(1))
    return false
  } catch (error) {
    return codeOf(error) === 'EBADF'
  }
}

/** Whether the parent ignores SIGHUP, as in a script under nohup; its programs inherit that, but for Node. */
function parentIgnoresHangup(): boolean {
  try {
    const ignored = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${process.ppid}/status`, 'latin1'))
    return Number.parseInt(ignored?.[1]?.slice(-1) ?? '0', 16) % 2 === 1
  } catch {
    // Not Linux, or not to be read.
    return false
  }
}
