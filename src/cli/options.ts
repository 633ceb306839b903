import type { Options } from 'yargs'
import { MODELS } from '../../models/index.ts'
import { COLLECTIONS, type Collection } from '../data/collections.ts'
import { readNamed } from '../data/files-node.ts'
import { PREPROCESSING_KINDS } from '../data/preprocess.ts'
import { UserError } from '../graph/errors.ts'
import { isKey } from '../graph/keys.ts'
import { lookup, nth } from '../graph/present.ts'
import { DEVICES } from '../runtime/device.ts'
import { TIMEOUT } from '../runtime/isolated-node.ts'
import { MODEL_FLAGS } from './model-flags.ts'

const DATA_SETS = Object.entries<Collection>(COLLECTIONS).map(([name, { about }]) =>
  about ? `${name} (${about})` : name,
)

/** Flags that several verbs share. */
export const dataOption = {
  type: 'string',
  describe: `${DATA_SETS.join(', ')}, or a folder: IDX files like those of MNIST, CIFAR-10 or -100 binary, or pictures in one folder per class [default: $ONNXGRAD_DATA, else mnist (cache, download, or digits)]`,
  group: 'Data:',
} as const satisfies Options

export const skipBadOption = {
  type: 'boolean',
  describe: 'Skip pictures that cannot be read and class folders without any, and list them in config.json',
  group: 'Data:',
} as const satisfies Options

export const textOption = {
  type: 'string',
  describe: 'Text file, UTF-8, for models that read text (gpt)',
  group: 'Data:',
} as const satisfies Options

export const valSplitOption = {
  type: 'number',
  describe:
    'Training examples to hold out for validation, always the same ones: a fraction in (0, 1), or a number; the same share of each class, or the end of a text',
  group: 'Data:',
} as const satisfies Options

export const preprocessOption = {
  choices: PREPROCESSING_KINDS,
  describe:
    "How pictures are prepared, in training and later. resize: shorter side resized, centre crop; stretch: resized to height and width; digit: cropped to the ink, centred, light on dark, as in MNIST [default: digit for MNIST's digits, else resize]",
  group: 'Data:',
} as const satisfies Options

/** For a model that is trained already. */
export const knownPreprocessOption = {
  ...preprocessOption,
  describe: 'How pictures are prepared [default: as the file says]',
} as const satisfies Options

export const deviceOption = {
  choices: Object.keys(DEVICES),
  defaultDescription: 'cpu; wasm if onnxruntime-node is not installed',
  describe: 'Where to run (see: onnxgrad doctor)',
  group: 'Device:',
} as const satisfies Options

export const timeoutOption = {
  type: 'number',
  default: TIMEOUT,
  describe:
    'Time limit in seconds for loading a file, and for a batch, if its cost is not known in advance: it has loops, functions or operators that onnxgrad does not have',
  group: 'Device:',
} as const satisfies Options

export const externalDataOption = {
  type: 'boolean',
  default: false,
  describe: 'Allow the model to read its weights from files beside it, such as model.onnx.data',
} as const satisfies Options

export const threadsOption = {
  type: 'number',
  describe: 'Threads of the CPU device [default: physical cores]',
  group: 'Device:',
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

/** The configuration of a preset with the given flags put over it. @throws UserError for a flag of another model */
export function resolveConfig(
  name: string,
  preset: string | undefined,
  flags: Readonly<Record<string, unknown>>,
): { preset: string; config: object } {
  if (!isKey(MODELS, name))
    throw new UserError(`model ${name} is not known; choose one of ${Object.keys(MODELS).join(', ')}`)
  const { settings } = MODELS[name]
  const presets: Readonly<Record<string, object>> = MODELS[name].presets
  const chosen = preset ?? nth(Object.keys(presets), 0)
  if (!Object.hasOwn(presets, chosen))
    throw new UserError(`${name} has no preset ${chosen}; choose one of ${Object.keys(presets).join(', ')}`)
  const base: object = lookup(presets, chosen)
  const changes = Object.keys(MODEL_FLAGS).filter(key => flags[key] !== undefined)
  for (const key of changes)
    if (!isKey(settings, key))
      throw new UserError(`--${key} is not a setting of ${name}; it has ${Object.keys(settings).join(', ')}`)
  return { preset: chosen, config: { ...base, ...Object.fromEntries(changes.map(key => [key, flags[key]])) } }
}
