import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { UserError } from '../../../src/graph/errors.ts'

/** What a program is asked to train: JSON on its command line. */
export interface Request {
  /** Name and configuration of the model, as models/index.ts knows them. */
  readonly model: string
  readonly config: object
  /** safetensors file: initial parameters by name, and the batch as `input` and `label`. */
  readonly start: string
  /** Of Adam. */
  readonly lr: number
  readonly threads: number
}

/** What a program says of a step: its time, the loss before its update, and the process's largest memory so far. */
export interface Step {
  readonly ms: number
  readonly loss: number
  readonly peakMB?: number
}

/** One that trains the same model elsewhere: in a process or a page of its own. */
export interface Participant {
  readonly version: string
  step(): Promise<Step>
  close(): Promise<void>
}

/**
 * Starts a program that says `{"version"}` on a line when it is ready, and for each line that it reads takes a step and
 * says a {@link Step}. Lines that are no JSON object are its own affair.
 * @throws UserError with its last words when it ends before it answers
 */
export async function startProgram(command: string, args: readonly string[]): Promise<Participant> {
  const child = spawn(command, args, { stdio: 'pipe' })
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  let complaints = ''
  child.stderr.on('data', text => {
    complaints = `${complaints}${text}`.slice(-4000)
  })
  child.on('error', ({ message }) => {
    complaints += message
  })
  child.stdin.on('error', () => {})
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()

  const reply = async <T>(): Promise<T> => {
    for (;;) {
      const { value, done } = await lines.next()
      if (done) {
        await ended
        throw new UserError(complaints.trim().split('\n').at(-1) || `${command} ended without a word`)
      }
      if (value.startsWith('{')) return JSON.parse(value)
    }
  }
  const { version } = await reply<{ version: string }>()
  return {
    version,
    step() {
      child.stdin.write('go\n')
      return reply<Step>()
    },
    close() {
      child.stdin.end()
      return ended
    },
  }
}
