import { stat } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MODELS } from '../../models/index.ts'
import { codeOf, reason } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'
import { isKey } from '../graph/keys.ts'
import { type Definition, isDefinition } from './definition.ts'
import { knownRun } from './known-node.ts'
import type { RunRecord } from './record.ts'
import type { Build } from './saved.ts'

const MODULES = ['.ts', '.mts', '.js', '.mjs']

/** Whether a text names a module by its file name, rather than a model. */
export const namesModule = (text: string): boolean => MODULES.includes(extname(text))

/** The default export of a module. @param instead what can be done where Node cannot read TypeScript @throws UserError */
export async function importDefault(path: string, instead: string): Promise<unknown> {
  await stat(path).catch((error: unknown) => {
    throw new UserError(`${path} ${reason(error)}`)
  })
  try {
    const module: { readonly default?: unknown } = await import(pathToFileURL(resolve(path)).href)
    return module.default
  } catch (error) {
    if (codeOf(error) === 'ERR_UNKNOWN_FILE_EXTENSION')
      throw new UserError(
        `${path}: Node ${process.versions.node} does not import ${extname(path)} files; use Node 22.18 or newer, start it with tsx (NODE_OPTIONS="--import tsx"), or ${instead}`,
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

/** What is trained: a model that comes with onnxgrad, a module, or a definition. @throws UserError */
export async function definitionOf(what: string | Definition): Promise<Definition> {
  if (typeof what !== 'string') return what
  return namesModule(what) && !isKey(MODELS, what) ? importRun(what) : knownRun(what)
}

/** The definition of a recorded run. @param given by the program, where no module can be imported @throws UserError */
export async function recordedDefinition(
  { model: { name }, module }: Pick<RunRecord, 'model' | 'module'>,
  given?: Definition,
): Promise<Definition> {
  if (given) {
    if (given.name !== name) throw new UserError(`the run is of ${name}, not of ${given.name}`)
    return given
  }
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

/** Builds the models of recorded runs, those of modules too. */
export const buildRecorded: Build = async (name, config, module) => {
  const model = { name, config }
  const definition = await recordedDefinition({ model, ...(module === undefined ? {} : { module }) })
  return definition.build(config)
}
