import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestProject } from 'vitest/node'
import { bundleProgram } from '../scripts/bundle.js'
import { writeDigits } from '../scripts/digits.ts'
import { DIGITS_PATH } from '../src/data/digits-node.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A folder that lasts as long as this run of the tests; test/shared.ts builds what several files need in it, once. */
    readonly shared: string
  }
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** What a fresh clone lacks: the program, and the digits, which are packed once from an npm package. */
export default async function setup({ provide }: TestProject) {
  await mkdir(here('../dist'), { recursive: true })
  const shared = await mkdtemp(here('../dist/test-'))
  provide('shared', shared)
  const program = bundleProgram(join(shared, 'program'))
  await Promise.all([program, existsSync(DIGITS_PATH) || writeDigits()])
  return () => rm(shared, { recursive: true, force: true })
}
