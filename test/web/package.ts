import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'vite'
import { DIGITS_PATH } from '../../src/data/digits-node.ts'
import { shared } from '../shared.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

/** What users have beside onnxgrad and its dependencies. */
const TOOLS = ['vite']

/** The parts of the package's dist, and how each is built. */
const PARTS = {
  src: (outDir: string) =>
    run(join(root, 'node_modules/.bin/tsc'), [
      ...['-p', join(root, 'tsconfig.build.json'), '--outDir', outDir],
      // `npm run types` checks them.
      '--noCheck',
    ]),
  web: (outDir: string) => vite('web.config.ts', outDir),
  lab: (outDir: string) => vite('lab/vite.config.ts', outDir),
} as const

const vite = (config: string, outDir: string) =>
  build({ configFile: join(root, config), mode: 'package', logLevel: 'error', build: { outDir } })

/**
 * A folder with `node_modules/onnxgrad` as npm would install it, built from the sources.
 * @param builds which of the package's Vite builds it needs
 */
export async function installed(...builds: readonly ('web' | 'lab')[]) {
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
  const dist = join(own, 'dist')
  const copy = async (part: keyof typeof PARTS, target: string) =>
    cp(await shared(`package-${part}`, PARTS[part]), target, { recursive: true })
  await copy('src', dist)
  for (const part of builds) await copy(part, join(dist, part))
  const digits = join(dist, relative(join(root, 'dist'), DIGITS_PATH))
  await mkdir(dirname(digits), { recursive: true })
  await cp(DIGITS_PATH, digits)
  return { folder, own, remove: () => rm(folder, { recursive: true, force: true }) }
}
