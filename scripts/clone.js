import { createHash } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

// The program of a clone. What the package brings built is built here when it is first needed, and again when sources change.

/** @param {string} path from the top folder of this project */
const here = path => fileURLToPath(new URL(`../${path}`, import.meta.url))

/** Progress is for people; stdout may be read by programs.
 * @param {string} line */
const tell = line => process.stderr.write(`${line}\n`)

/** Programs of sources that have changed since: another process may still load parts of one. */
const KEPT_MS = 7 * 24 * 3600 * 1000

/** One name for each state of the sources. */
function stateOfSources() {
  const hash = createHash('sha1').update(process.version)
  /** @param {string} path */
  const add = path => {
    const { mtimeMs, size } = statSync(here(path))
    hash.update(`${path} ${mtimeMs} ${size}\n`)
  }
  for (const folder of ['src', 'models'])
    for (const name of readdirSync(here(folder), { recursive: true, encoding: 'utf8' }).sort())
      if (name.endsWith('.ts')) add(join(folder, name))
  for (const file of ['package.json', 'scripts/bundle.js']) add(file)
  return hash.digest('hex').slice(0, 16)
}

/**
 * Builds under another name, then renames: a second process sees the whole program, or none.
 * @param {string} programs the folder of all
 * @param {string} name of this one
 */
async function build(programs, name) {
  const { bundleProgram } = await import('./bundle.js')
  const draft = await mkdtemp(join(programs, 'draft-'))
  await bundleProgram(draft, { sourcemap: true })
  // Another process may have been faster.
  await rename(draft, join(programs, name)).catch(() => rm(draft, { recursive: true, force: true }))
  for (const old of await readdir(programs)) {
    const path = join(programs, old)
    if (old !== name && Date.now() - statSync(path).mtimeMs > KEPT_MS)
      await rm(path, { recursive: true, force: true })
  }
}

if (!existsSync(here('dist/web/digits.bin'))) {
  tell('First run in this clone: packing the digits that come with onnxgrad …')
  const { register } = await import('tsx/esm/api')
  register()
  const { writeDigits } = await import('./digits.ts')
  await writeDigits()
}
if (process.argv[2] === 'serve' && !existsSync(here('dist/lab/index.html'))) {
  tell('First run of the lab in this clone: building its page …')
  const vite = await import('vite')
  await vite.build({ root: here('lab'), mode: 'package', logLevel: 'error' })
}

const programs = here('dist/program')
const name = stateOfSources()
const folder = join(programs, name)
if (existsSync(folder)) {
  const now = new Date()
  // A clone that may not be written to runs what is there.
  await utimes(folder, now, now).catch(() => {})
} else {
  await mkdir(programs, { recursive: true })
  await build(programs, name)
}
if (process.env.ONNXGRAD_DEBUG) process.setSourceMapsEnabled(true)
await import(pathToFileURL(join(folder, 'main.js')).href)
