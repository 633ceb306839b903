import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { type ImageDataset, subset } from '../../src/data/dataset.ts'
import { idx, realDigits } from '../data/files.ts'
import { bundled } from '../shared.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** The last line of stdout, as JSON. */
  readonly json: Record<string, unknown>
}

/** The command line of the program. */
export const program = (args: readonly string[]): [command: string, ...args: string[]] => [
  process.execPath,
  bundled('main'),
  ...args,
]

/** A flag for Node that makes these packages look as if they were not installed, in its threads too. */
export function hiding(...packages: readonly string[]): string {
  const hook = `export const resolve = (name, context, next) => {
    if (!${JSON.stringify(packages)}.includes(name)) return next(name, context)
    throw Object.assign(new Error(\`Cannot find package '\${name}' imported from here\`), { code: 'ERR_MODULE_NOT_FOUND' })
  }`
  const register = `import { register } from 'node:module'; register(${JSON.stringify(moduleOf(hook))})`
  return `--import=${moduleOf(register)}`
}

const moduleOf = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`

/** Starts the program as a user would; `finished` resolves when it ends. */
export function start(
  args: readonly string[],
  cwd?: string,
  nodeFlags: readonly string[] = [],
): { child: ChildProcess; finished: Promise<Finished> } {
  const [command, ...all] = program(args)
  all.unshift(...nodeFlags)
  const env = { ...process.env, ONNXGRAD_DEBUG: '', NO_COLOR: '1' }
  const child = spawn(command, all, { cwd: cwd ?? root, env })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', d => {
    stdout += d
  })
  child.stderr.on('data', d => {
    stderr += d
  })
  const finished = new Promise<Finished>(resolve => {
    child.on('close', code => {
      const last = stdout.trim().split('\n').at(-1) ?? ''
      const json = last.startsWith('{') ? (JSON.parse(last) as Record<string, unknown>) : {}
      resolve({ code, stdout, stderr, json })
    })
  })
  return { child, finished }
}

export const onnxgrad = (...args: string[]): Promise<Finished> => start(args).finished

/** What a failed program says: everything on stderr but progress. */
export const complaint = ({ stderr }: Finished): string[] =>
  stderr.split('\n').filter(line => line.startsWith('onnxgrad: '))

/** A folder that is gone after the file's tests. */
export async function workFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'onnxgrad-cli-'))
  afterAll(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Four IDX files with the first real digits, small enough to train on in seconds. */
export async function writeDigits(folder: string, train: number, test: number): Promise<void> {
  const source = await realDigits()
  const write = async (prefix: string, set: ImageDataset) => {
    await writeFile(join(folder, `${prefix}-images-idx3-ubyte`), idx(0x803, [set.size, 28, 28], set.images))
    await writeFile(join(folder, `${prefix}-labels-idx1-ubyte`), idx(0x801, [set.size], set.labels))
  }
  await write('train', subset(source.train, train))
  await write('t10k', subset(source.test, test))
}
