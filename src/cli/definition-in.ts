import { stat } from 'node:fs/promises'
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { MODELS } from '../../models/index.ts'
import { isKey } from '../graph/keys.ts'
import type { Definition } from '../runs/definition.ts'
import { definitionOf, importRun, namesModule, recordedDefinition } from '../runs/definition-node.ts'
import { namesFile } from '../runs/file-run-node.ts'
import { readConfig } from '../runs/saved-node.ts'
import { KNOWN, optionsOf } from './flags.ts'

/** The module that a command line trains, or resumes the run of. @throws UserError */
async function definitionIn(args: readonly string[]): Promise<Definition | undefined> {
  const { _: [, model] = [], resume }: { _: (string | number)[]; resume?: unknown } = await yargs([...args])
    .help(false)
    .version(false)
    .exitProcess(false)
    .options(optionsOf(KNOWN))
    .option('resume', { type: 'string' })
    .fail(() => {})
    .parseAsync()
  if (typeof model === 'string' && namesModule(model) && !isKey(MODELS, model)) return importRun(model)
  if (model !== undefined || typeof resume !== 'string') return undefined
  const isFolder = await stat(resume).then(
    entry => entry.isDirectory(),
    () => false,
  )
  // What is wrong with the folder is said where it is read for good.
  const config = isFolder ? await readConfig(resume).catch(() => undefined) : undefined
  // A file has the settings that every classifier has.
  return config?.module === undefined || namesFile(config.module)
    ? undefined
    : recordedDefinition(config.model.name, config.module)
}

let asked: ReturnType<typeof definitionIn> | undefined
/** The module that this program's command line trains, or resumes the run of: its settings are flags. @throws UserError */
export const definitionAsked = (): ReturnType<typeof definitionIn> =>
  (asked ??= definitionIn(hideBin(process.argv)))

/** What is resumed with the definition that a command names beside --resume. @throws UserError */
export const named = async (
  model: Definition | string | undefined,
): Promise<{ readonly model?: Definition }> =>
  model === undefined ? {} : { model: await definitionOf(model) }
