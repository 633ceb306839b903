import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { TestProject } from 'vitest/node'
import { writeDigits } from '../scripts/digits.ts'
import { DIGITS_PATH } from '../src/data/digits-node.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A folder that lasts as long as this run of the tests; test/shared.ts builds what several files need in it, once. */
    readonly shared: string
  }
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const PARTS = [
  'cli/main',
  'node',
  ...['thread-node', 'isolated-child-node', 'isolated-guard-node', 'worker-node'].map(n => `runtime/${n}`),
]

/**
 * The program, the library and the programs of its threads and processes, as a few files that start several times as fast
 * as the sources: tests start programs some hundred times. They lie as deep in dist as the compiled ones, beside whose
 * neighbours they look for files.
 */
const bundle = (outdir: string) =>
  build({
    entryPoints: {
      ...Object.fromEntries(PARTS.map(path => [basename(path), here(`../src/${path}.ts`)])),
      models: here('../models/index.ts'),
    },
    ...{ outdir, bundle: true, splitting: true, packages: 'external' },
    ...{ format: 'esm', platform: 'node', target: 'node20', logLevel: 'warning' },
  })

/** What a fresh clone lacks: the program, and the digits, which are packed once from an npm package. */
export default async function setup({ provide }: TestProject) {
  await mkdir(here('../dist'), { recursive: true })
  const shared = await mkdtemp(here('../dist/test-'))
  provide('shared', shared)
  await Promise.all([bundle(join(shared, 'program')), existsSync(DIGITS_PATH) || writeDigits()])
  return () => rm(shared, { recursive: true, force: true })
}
