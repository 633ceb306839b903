import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'vite'
import { DIGITS_PATH } from '../../src/data/digits-node.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

/** What users have beside onnxgrad and its dependencies. */
const TOOLS = ['vite']

/**
 * A folder with `node_modules/onnxgrad` as npm would install it, built from the sources.
 * @param configs which of the package's Vite builds it needs, by the file of each one's settings
 */
export async function installed(configs: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(join(tmpdir(), 'onnxgrad-installed-'))
  const modules = join(folder, 'node_modules')
  const own = join(modules, 'onnxgrad')
  await mkdir(own, { recursive: true })
  for (const part of ['package.json', 'bin']) await cp(join(root, part), join(own, part), { recursive: true })
  const { dependencies, optionalDependencies } = JSON.parse(
    await readFile(join(root, 'package.json'), 'utf8'),
  ) as Readonly<Record<'dependencies' | 'optionalDependencies', Readonly<Record<string, string>>>>
  for (const name of [...Object.keys({ ...dependencies, ...optionalDependencies }), ...TOOLS]) {
    // A name may have a scope, which is a folder.
    await mkdir(dirname(join(modules, name)), { recursive: true })
    await symlink(join(root, 'node_modules', name), join(modules, name))
  }
  await run(join(root, 'node_modules/.bin/tsc'), [
    ...['-p', join(root, 'tsconfig.build.json')],
    ...['--outDir', join(own, 'dist')],
    // `npm run types` checks them.
    '--noCheck',
  ])
  const digits = join(own, 'dist', relative(join(root, 'dist'), DIGITS_PATH))
  await mkdir(dirname(digits), { recursive: true })
  await cp(DIGITS_PATH, digits)
  for (const [part, config] of Object.entries(configs))
    await build({
      configFile: join(root, config),
      mode: 'package',
      logLevel: 'error',
      build: { outDir: join(own, 'dist', part) },
    })
  return { folder, own, remove: () => rm(folder, { recursive: true, force: true }) }
}
