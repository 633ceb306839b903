import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { temporaryFolder } from '../data/files.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, 'examples')
const loader = new URL('../../node_modules/tsx/dist/esm/index.mjs', import.meta.url).href

/** Names of the examples, such as `gan`. */
export const exampleNames = async (): Promise<string[]> =>
  (await readdir(folder)).filter(file => file.endsWith('.ts')).map(file => file.slice(0, -'.ts'.length))

export const exampleSource = (name: string): Promise<string> => readFile(join(folder, `${name}.ts`), 'utf8')

/** Runs an example as its users do. @returns what it printed last, and where it saved its model */
export async function runExample(name: string): Promise<{ last: string; path: string }> {
  const path = join(await temporaryFolder(), `${name}.onnx`)
  const args = ['--import', loader, join('examples', `${name}.ts`), path]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root })
  return { last: stdout.trimEnd().split('\n').at(-1)!, path }
}

/** The numbers of a line, in order. */
export const numbersIn = (line: string): number[] => (line.match(/-?\d+(\.\d+)?/g) ?? []).map(Number)
