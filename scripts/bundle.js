import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** @param {string} path from the top folder of this project */
const here = path => fileURLToPath(new URL(`../${path}`, import.meta.url))

/** The programs of threads and processes, which look for each other beside themselves. */
const CHILDREN = ['thread-node', 'isolated-child-node', 'isolated-guard-node', 'worker-node'].map(
  name => `src/runtime/${name}.ts`,
)

/** The script of a page that a browser runs. */
const PAGE = 'src/deploy/proof/chromium-page.js'

/** The library, for modules that the program imports. */
const LIBRARY = ['src/index.ts', 'src/node.ts']

/**
 * Bundles the program into a few files, which start several times as fast as its many modules: one for each verb, and what
 * they share. They must lie two folders deep in dist, as src/cli does, beside whose neighbours they look for files.
 * @param {string} outdir
 * @param {{ more?: Readonly<Record<string, string>>, sourcemap?: boolean }} [options] `more`: further entry points by name
 */
export const bundleProgram = (outdir, { more = {}, sourcemap = false } = {}) =>
  build({
    entryPoints: {
      ...Object.fromEntries(
        ['src/cli/main.ts', ...LIBRARY, ...CHILDREN].map(path => [basename(path, '.ts'), here(path)]),
      ),
      models: here('models/index.ts'),
      'chromium-page': here(PAGE),
      ...Object.fromEntries(Object.entries(more).map(([name, path]) => [name, here(path)])),
    },
    ...{ outdir, sourcemap, bundle: true, splitting: true, packages: 'external' },
    ...{ format: 'esm', platform: 'node', target: 'node20', logLevel: 'warning' },
  })
