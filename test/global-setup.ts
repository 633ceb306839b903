import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { writeDigits } from '../scripts/digits.ts'
import { DIGITS_PATH } from '../src/data/digits-node.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** Compiled, the program starts three times as fast as from its sources, and tests start it some hundred times. */
async function compile(): Promise<void> {
  const compiler = here('../node_modules/typescript/bin/tsc')
  const settings = ['--declaration', 'false', '--removeComments', '--incremental']
  const known = here('../node_modules/.cache/onnxgrad-tests.tsbuildinfo')
  await promisify(execFile)(process.execPath, [
    ...[compiler, '-p', here('../tsconfig.build.json'), ...settings],
    ...['--tsBuildInfoFile', known],
  ])
}

/** What a fresh clone lacks: the compiled program, and the digits, which are packed once from an npm package. */
export default async function setup(): Promise<void> {
  await Promise.all([compile(), existsSync(DIGITS_PATH) || writeDigits()])
}
