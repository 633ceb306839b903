import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createRequire, register } from 'node:module'
import { extname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { MODELS } from '../../models/index.ts'
import { codeOf, reason } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'
import { isKey } from '../graph/keys.ts'
import { type Definition, isDefinition } from './definition.ts'
import { fileRun, namesFile } from './file-run-node.ts'
import { knownRun } from './known-node.ts'
import type { Build } from './saved.ts'

const MODULES = ['.ts', '.mts', '.js', '.mjs']

/** Whether a text names a module by its file name, rather than a model. */
export const namesModule = (text: string): boolean => MODULES.includes(extname(text))

/** Where the entry points of this library are: compiled, bundled, or as sources. */
const ENTRIES: Readonly<Record<string, readonly string[]>> = {
  onnxgrad: ['../index.js', './index.js', '../index.ts'],
  'onnxgrad/node': ['../node.js', './node.js', '../node.ts'],
  'onnxgrad/models': ['../../models/index.js', './models.js', '../../models/index.ts'],
}

let ready = false
/**
 * Lets modules import the library that runs them, wherever they are: with another copy of it, their operators would be unknown here.
 */
function shareLibrary(): void {
  if (ready) return
  ready = true
  const own = Object.entries(ENTRIES).flatMap(([name, places]) => {
    const url = places
      .map(place => new URL(place, import.meta.url))
      .find(place => existsSync(fileURLToPath(place)))
    return url ? [[name, url.href] as const] : []
  })
  const hook = `const own = ${JSON.stringify(Object.fromEntries(own))}
    export const resolve = (name, context, next) =>
      Object.hasOwn(own, name) ? { url: own[name], shortCircuit: true } : next(name, context)`
  register(`data:text/javascript,${encodeURIComponent(hook)}`)
}

const isTypeScript = (path: string): boolean => /\.m?ts$/.test(path)

/** Reads TypeScript by the user's own tsx, where there is one. */
async function registerTsx(path: string): Promise<void> {
  for (const from of [resolve(path), join(process.cwd(), 'x.js')])
    try {
      // It resolves to the file for require(), beside which that for import() is.
      const found = createRequire(from)
        .resolve('tsx/esm/api')
        .replace(/\.cjs$/, '.mjs')
      const tsx: { readonly register: () => unknown } = await import(pathToFileURL(found).href)
      tsx.register()
      return
    } catch {}
}

/** The default export of a module. @param instead what can be done where Node cannot read TypeScript @throws UserError */
export async function importDefault(path: string, instead: string): Promise<unknown> {
  await stat(path).catch((error: unknown) => {
    throw new UserError(`${path} ${reason(error)}`)
  })
  const load = async (): Promise<unknown> => {
    const module: { readonly default?: unknown } = await import(pathToFileURL(resolve(path)).href)
    return module.default
  }
  const isUnread = (error: unknown) => codeOf(error) === 'ERR_UNKNOWN_FILE_EXTENSION'
  try {
    if (isTypeScript(path) && !('typescript' in process.features && process.features.typescript))
      await registerTsx(path)
    // After tsx, whose own mapping of names would come first.
    shareLibrary()
    return await load()
  } catch (error) {
    if (isUnread(error))
      throw new UserError(
        `${path}: Node ${process.versions.node} does not import ${extname(path)} files; use Node 22.18 or newer, install tsx beside it (npm install tsx), or ${instead}`,
      )
    throw new UserError(`${path} cannot be imported: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    })
  }
}

/** The run that a module defines. @throws UserError when its default export is none */
export async function importRun(path: string): Promise<Definition> {
  const exported = await importDefault(path, 'compile it to JavaScript')
  if (!isDefinition(exported))
    throw new UserError(
      `${path}: its default export is not a run; write: export default defineRun({ model, task, data }), with defineRun from onnxgrad/node`,
    )
  return { ...exported, module: resolve(path) }
}

/** What is trained: a model that comes with onnxgrad, an `.onnx` file, a module, or a definition. @throws UserError */
export async function definitionOf(what: string | Definition): Promise<Definition> {
  if (typeof what !== 'string') return what
  if (namesFile(what)) return fileRun(what)
  return namesModule(what) && !isKey(MODELS, what) ? importRun(what) : knownRun(what)
}

/** The definition of a recorded run. @param given by the program, where no module can be imported @throws UserError */
export async function recordedDefinition(
  name: string,
  module: string | undefined,
  given?: Definition,
): Promise<Definition> {
  if (given) {
    // A file is known by its content, wherever it is now.
    if (given.name !== name && !(namesFile(given.module) && namesFile(module)))
      throw new UserError(`the run is of ${name}, not of ${given.name}`)
    return given
  }
  if (module !== undefined && namesFile(module))
    return fileRun(module).catch((error: unknown) => {
      throw new UserError(
        `the run trains a file: ${error instanceof Error ? error.message : error}; if it has been moved, name it: onnxgrad train FILE.onnx --resume RUN`,
      )
    })
  if (module !== undefined)
    return importRun(module).catch((error: unknown) => {
      throw new UserError(
        `${name} is defined by a module: ${error instanceof Error ? error.message : error}; if it has been moved, name it: onnxgrad train MODULE --resume RUN`,
      )
    })
  if (isKey(MODELS, name)) return knownRun(name)
  throw new UserError(
    `${name} was defined by a program, and the run does not say by which module; resume or export it in that program, with its definition`,
  )
}

/** Builds the models of recorded runs, those of modules too. @param given by the program, where no module can be imported */
export function recordedBuild(given?: Definition): Build {
  // A run has several checkpoints of one model, and its file may be large.
  const known = new Map<string, Promise<Definition>>()
  return async (name, config, module) => {
    const key = JSON.stringify([name, module])
    const definition = known.get(key) ?? recordedDefinition(name, module, given)
    known.set(key, definition)
    return (await definition).build(config)
  }
}
