import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
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

/**
 * The program and the programs of its threads and processes, as a few files: it starts five times as fast as from its
 * sources, and tests start it some hundred times. It lies as deep in dist as the compiled one, whose neighbours it reads.
 */
const bundle = (outdir: string) =>
  build({
    entryPoints: [
      'cli/main',
      'runtime/thread-node',
      'runtime/isolated-child-node',
      'runtime/isolated-guard-node',
    ].map(name => here(`../src/${name}.ts`)),
    ...{ outdir, entryNames: '[name]', bundle: true, splitting: true, packages: 'external' },
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
