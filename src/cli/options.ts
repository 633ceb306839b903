import type { Options } from 'yargs'
import { MODELS, type ModelName } from '../../models/index.ts'
import { readNamed } from '../data/files-node.ts'
import { PREPROCESSING_KINDS } from '../data/preprocess.ts'
import { UserError } from '../graph/errors.ts'
import { isKey } from '../graph/keys.ts'
import { lookup, nth } from '../graph/present.ts'
import { DEVICES } from '../runtime/device.ts'
import { TIMEOUT } from '../runtime/isolated-node.ts'

/** Flags that several verbs share. */
export const dataOption = {
  type: 'string',
  describe:
    'mnist, fashion-mnist, digits (10,000 of MNIST, which come with onnxgrad), or a folder: IDX files like those of MNIST, CIFAR-10 or -100 binary, or pictures in one folder per class [default: $ONNXGRAD_DATA, else mnist (cache, download, or digits)]',
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

const size = (describe: string) => ({ type: 'number', describe, group: 'Model:' }) as const
const sizes = (describe: string) => ({ type: 'number', array: true, describe, group: 'Model:' }) as const

/** Flags that change a preset; each belongs to the models whose configuration has it. */
export const MODEL_FLAGS = {
  image: size('Height and width of an image, in pixels'),
  channels: size('Colour channels'),
  classes: size('Number of classes'),
  patch: size('vit: height and width of a patch, in pixels'),
  kernel: size("cct: height and width of the tokenizer's kernels"),
  planes: sizes("cct: output channels of the tokenizer's convolutions before the last"),
  dim: size('vit, cct, gpt: size of the embedding'),
  depth: size('vit, cct, gpt: encoder blocks'),
  heads: size('vit, cct, gpt: attention heads'),
  mlp: size("vit, cct, gpt: hidden size of a block's MLP"),
  head: sizes('vit: hidden sizes of the classification head'),
  pool: {
    choices: ['cls', 'mean'],
    describe: "vit: what the head reads, the CLS token or the mean of the patches' tokens",
    group: 'Model:',
  },
  context: size('gpt: characters that the model sees at once'),
  hidden: sizes('mlp: sizes of the hidden layers'),
  dropout: size('Share of activations dropped while training'),
  dropPath: {
    ...size('vit, cct, gpt: share of images that skip a branch of the last block (stochastic depth)'),
    alias: 'drop-path',
  },
} as const satisfies Record<string, Options>

/** Keys that a configuration may have beside those of the presets. */
const EXTRA: Readonly<Record<ModelName, readonly string[]>> = {
  vit: ['head', 'pool', 'dropout', 'dropPath'],
  lenet: [],
  cct: ['dropout', 'dropPath'],
  gpt: ['dropout', 'dropPath'],
  mlp: ['dropout'],
}

/** The configuration of a preset with the given flags put over it. @throws UserError for a flag of another model */
export function resolveConfig(
  name: string,
  preset: string | undefined,
  flags: Readonly<Record<string, unknown>>,
): { preset: string; config: object } {
  if (!isKey(MODELS, name))
    throw new UserError(`model ${name} is not known; choose one of ${Object.keys(MODELS).join(', ')}`)
  const presets: Readonly<Record<string, object>> = MODELS[name].presets
  const chosen = preset ?? nth(Object.keys(presets), 0)
  if (!Object.hasOwn(presets, chosen))
    throw new UserError(`${name} has no preset ${chosen}; choose one of ${Object.keys(presets).join(', ')}`)
  const base: object = lookup(presets, chosen)
  const allowed = [...Object.keys(base), ...EXTRA[name]]
  const changes = Object.keys(MODEL_FLAGS).filter(key => flags[key] !== undefined)
  for (const key of changes)
    if (!allowed.includes(key))
      throw new UserError(`--${key} is not a setting of ${name}; it has ${allowed.join(', ')}`)
  return { preset: chosen, config: { ...base, ...Object.fromEntries(changes.map(key => [key, flags[key]])) } }
}
