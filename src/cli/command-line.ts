import { resolve } from 'node:path'
import yargs, { type CommandModule } from 'yargs'
import { COLLECTIONS } from '../data/collections.ts'
import { UserError } from '../graph/errors.ts'
import { fieldsOf, isKey } from '../graph/keys.ts'
import { present } from '../graph/present.ts'
import type { Value, Values } from '../tune/space.ts'
import { kebab } from './text.ts'
import { type TrainFlags, trainFlags } from './train-flags.ts'

/** The flags of `train` that a user gave, by their names on the command line, with files as they are found from anywhere. */
export async function givenFlags(argv: object, without: readonly string[]): Promise<Values> {
  const values = fieldsOf(argv)
  const defaults: Readonly<Record<string, unknown>> = await parsed('vit', {})
  const own = Object.entries(values).filter(
    ([key, value]) =>
      value !== undefined &&
      !['_', '$0', 'model', 'json', 'cache', 'config', ...without].includes(key) &&
      // yargs gives each value under the flag's name with hyphens, and under that in camel case.
      (kebab(key) === key || values[kebab(key)] === undefined) &&
      !same(value, defaults[key]),
  )
  return Object.fromEntries(own.map(([key, value]) => [key, placed(key, value as Value)]))
}

const placed = (flag: string, value: Value): Value =>
  flag === 'text' || (flag === 'data' && !isKey(COLLECTIONS, String(value))) ? resolve(String(value)) : value

/** Whether values are the same on the command line, which makes no difference between a number and a list of one. */
export const same = (a: unknown, b: unknown): boolean =>
  JSON.stringify([a].flat()) === JSON.stringify([b].flat())

function words(name: string, value: Value): string[] {
  const flag = kebab(name)
  if (typeof value === 'boolean') return [value ? `--${flag}` : `--no-${flag}`]
  if (Array.isArray(value)) return [`--${flag}`, ...value.map(String)]
  const text = String(value)
  // What begins with a hyphen would be taken for the next flag.
  return /^-\D/.test(text) ? [`--${flag}=${text}`] : [`--${flag}`, text]
}

/** What follows `onnxgrad` on the command line of a training. */
export const trainArguments = (model: string, flags: Values): string[] => [
  'train',
  model,
  ...Object.entries(flags).flatMap(([name, value]) => words(name, value)),
]

const quoted = (word: string): string =>
  /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

/** A command as it is typed into a shell. */
export const typed = (args: readonly string[]): string => ['npx', 'onnxgrad', ...args].map(quoted).join(' ')

/** Flags as `train` reads them on its command line. @throws UserError for one that it does not know, or refuses */
export async function parsed(model: string, flags: Values): Promise<TrainFlags> {
  let read: TrainFlags | undefined
  const command: CommandModule<object, TrainFlags> = {
    command: 'train [model]',
    builder: trainFlags,
    handler: argv => {
      read = argv
    },
  }
  await yargs(trainArguments(model, flags))
    .command(command)
    .strict()
    .help(false)
    .version(false)
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new UserError(message.replace(/\s*\n\s*/g, ' '))
    })
    .parseAsync()
  return present(read, 'command line')
}
