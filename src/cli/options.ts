import type { Options } from 'yargs'
import { readNamed } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'
import { SETTINGS } from '../runs/settings.ts'
import { TIMEOUT } from '../runtime/isolated-node.ts'
import { optionOf } from './flags.ts'
import { numberOption } from './numbers.ts'

/** The longest time that a timer takes, 2^31 ms. */
const MOST_SECONDS = 2_000_000

/** Flags that several verbs share. */
export const dataOption = { ...optionOf(SETTINGS.data), type: 'string' } as const satisfies Options
export const skipBadOption = { ...optionOf(SETTINGS.skipBad), type: 'boolean' } as const satisfies Options
export const textOption = { ...optionOf(SETTINGS.text), type: 'string' } as const satisfies Options
export const valSplitOption = numberOption('valSplit', SETTINGS.valSplit)
export const deviceOption = {
  ...optionOf(SETTINGS.device),
  choices: SETTINGS.device.choices,
} as const satisfies Options
export const threadsOption = numberOption('threads', SETTINGS.threads)

/** For a model that is trained already. */
export const knownPreprocessOption = {
  ...optionOf(SETTINGS.preprocess),
  choices: SETTINGS.preprocess.choices,
  describe: 'How pictures are prepared',
  defaultDescription: 'as the file says',
} as const satisfies Options

export const timeoutOption = numberOption('timeout', {
  kind: 'number',
  above: 0,
  most: MOST_SECONDS,
  default: TIMEOUT,
  about:
    'Time limit in seconds for loading a file, and for a batch, if its cost is not known in advance: it has loops, functions or operators that onnxgrad does not have',
  group: 'Device',
})

export const externalDataOption = {
  type: 'boolean',
  hidden: true,
  default: false,
  describe: 'Allow the model to read its weights from files beside it, such as model.onnx.data',
} as const satisfies Options

/** The flags that a JSON file holds, or what is wrong with it: yargs puts words of its own in the place of what is thrown. */
export function readFlags(path: string): object {
  try {
    const flags: unknown = JSON.parse(new TextDecoder().decode(readNamed(path)))
    if (typeof flags === 'object' && flags !== null && !Array.isArray(flags)) return flags
    return new UserError(`${path} is not a JSON object of flags`)
  } catch (error) {
    return error instanceof UserError ? error : new UserError(`${path} is not JSON: ${String(error)}`)
  }
}
