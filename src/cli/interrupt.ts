import { note } from './output.ts'

/** Signals that ask a program to end, with their numbers. */
const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const

export interface Interrupt {
  readonly signal: AbortSignal
  /** The exit code of a program that a signal ended. */
  readonly code: number
  end(): void
}

/** Lets what is being done end at the first signal; the second one ends the program at once. */
export function interruptible(): Interrupt {
  const stop = new AbortController()
  let code = 0
  const interrupt = (name: keyof typeof SIGNALS) => {
    if (stop.signal.aborted) process.exit(128 + SIGNALS[name])
    code = 128 + SIGNALS[name]
    note('\nstopping after this step; press Ctrl-C again to stop at once')
    stop.abort()
  }
  const names = Object.keys(SIGNALS) as (keyof typeof SIGNALS)[]
  for (const name of names) process.on(name, interrupt)
  return {
    signal: stop.signal,
    get code() {
      return code
    },
    end() {
      for (const name of names) process.off(name, interrupt)
    },
  }
}
