import { MOST_AUGMENT } from '../data/augment-options.ts'
import { COLLECTIONS, type Collection } from '../data/collections.ts'
import { PREPROCESSING_KINDS } from '../data/preprocess.ts'
import { keysOf } from '../graph/keys.ts'
import { OPTIMIZERS, type Optimizer, optimizerOf } from '../optim/optimizer.ts'
import { SCHEDULES } from '../optim/schedule.ts'
import { DEVICES } from '../runtime/device.ts'
import {
  choice,
  number,
  type Schema,
  share,
  text,
  toggle,
  type ValuesOf,
  whole,
} from '../settings/setting.ts'
import { DEFAULTS } from '../train/defaults.ts'
import { FINETUNE_SETTINGS } from './finetune-settings.ts'

// Every setting of a training stands here once: flags, files of settings, the lab's form, config.json, the space of a search and the
// table of the documentation are made of it.

/** The optimizers that have a setting, as they start. */
export const optimizersWith = (setting: string): readonly Optimizer[] =>
  keysOf(OPTIMIZERS)
    .map(name => optimizerOf(name))
    .filter(({ settings }) => Object.hasOwn(settings, setting))

const byOptimizer = (setting: string): string =>
  optimizersWith(setting)
    .map(({ name, settings }) => `${name} ${settings[setting]}`)
    .join(', ')

const COLLECTION_NAMES = Object.entries<Collection>(COLLECTIONS)
  .map(([name, { about }]) => (about ? `${name} (${about})` : name))
  .join(', ')

const OPTIMIZER_NAMES = Object.fromEntries(keysOf(OPTIMIZERS).map(name => [name, OPTIMIZERS[name].label]))

const MODEL = { group: 'Model' } as const
const DATA = { group: 'Data', role: 'comparison', of: 'classifier' } as const
const AUGMENTATION = { group: 'Augmentation' } as const
const TRAINING = { group: 'Training' } as const
const DEVICE = { group: 'Device', role: 'execution' } as const
const OUTPUT = { group: 'Output', role: 'execution' } as const

/** Changes of training images: the settings of `augmentation`. */
export const AUGMENT_SETTINGS = {
  shift: amount('Shift images by up to this fraction of their side', 'shift'),
  rotate: amount('Rotate images by up to this many degrees', 'rotate'),
  scale: amount('Scale images by up to this fraction', 'scale'),
  shear: amount('Shear images by up to this many degrees', 'shear'),
  elastic: amount('Distort images elastically: root mean square of the displacement, in pixels', 'elastic'),
  erase: amount('Fraction of images in which a rectangle is erased', 'erase'),
  flip: toggle('Mirror images at random, left to right (not for digits)', AUGMENTATION),
  mixup: amount('Mix images in pairs, with weights drawn from Beta(α, α): α, such as 0.2', 'mixup'),
  cutmix: amount(
    'Paste a rectangle of another image, its area drawn from Beta(α, α): α, such as 1',
    'cutmix',
  ),
} as const

function amount(about: string, name: keyof typeof MOST_AUGMENT) {
  return number(about, { ...AUGMENTATION, least: 0, most: MOST_AUGMENT[name] })
}

/** The settings of the optimizer, beside its name. */
export const OPTIMIZER_SETTINGS = {
  lr: number('Learning rate', {
    ...TRAINING,
    above: 0,
    usually: byOptimizer('lr'),
    common: true,
    field: { label: 'Learning rate', most: 10 },
  }),
  weightDecay: number('Weight decay', { ...TRAINING, least: 0, usually: byOptimizer('weightDecay') }),
  momentum: share('Momentum', { ...TRAINING, usually: byOptimizer('momentum') }),
} as const

/** All settings of a training but those of the model. */
export const SETTINGS = {
  preset: text('Configuration to start from; a preset may come with a recipe of settings', {
    ...MODEL,
    of: 'classifier',
    common: true,
  }),

  data: text(
    `${COLLECTION_NAMES}, or a folder: IDX files like those of MNIST, CIFAR-10 or -100 binary, or pictures in one folder per class`,
    {
      ...DATA,
      resume: 'any',
      usually: '$ONNXGRAD_DATA, else mnist (cache, download, or digits)',
      common: true,
    },
  ),
  text: text('Text file, UTF-8, for models that read text (gpt)', { ...DATA, resume: 'any', common: true }),
  skipBad: toggle(
    'Skip pictures that cannot be read and class folders without any, and list them in config.json',
    { ...DATA, resume: 'any' },
  ),
  limit: whole('Train on the first N images only', { ...DATA, resume: 'any', common: true }),
  valSplit: number(
    'Training examples to hold out for validation, always the same ones: a fraction in (0, 1), or a number; the same share of each class, or the end of a text',
    { ...DATA, above: 0, common: true },
  ),
  preprocess: choice(
    'How pictures are prepared, in training and later. resize: shorter side resized, center crop; stretch: resized to height and width; digit: cropped to the ink, centered, light on dark, as in MNIST',
    PREPROCESSING_KINDS,
    { ...DATA, role: 'learning', usually: "digit for MNIST's digits, else resize" },
  ),

  ...AUGMENT_SETTINGS,

  epochs: whole('Passes over the training set', {
    ...TRAINING,
    role: 'comparison',
    resume: 'more',
    default: DEFAULTS.epochs,
    common: true,
    field: { label: 'Epochs', most: 1000 },
  }),
  batch: whole('Examples per step', {
    ...TRAINING,
    default: DEFAULTS.batch,
    common: true,
    field: { label: 'Batch', unit: 'images', most: 60000 },
  }),
  accumulate: whole('Micro-batches per step; their gradients are accumulated', {
    ...TRAINING,
    default: DEFAULTS.accumulate,
  }),
  optimizer: choice('Optimizer', keysOf(OPTIMIZERS), {
    ...TRAINING,
    default: 'adam',
    common: true,
    field: { label: 'Optimizer', options: OPTIMIZER_NAMES },
  }),
  ...OPTIMIZER_SETTINGS,
  schedule: choice('Learning-rate schedule', keysOf(SCHEDULES), {
    ...TRAINING,
    default: 'cosine',
    common: true,
    field: {
      label: 'Schedule',
      options: { constant: 'Constant', cosine: 'Cosine to 0', onecycle: 'One cycle' },
    },
  }),
  warmup: number('Epochs of linear warm-up (may be a fraction)', {
    ...TRAINING,
    least: 0,
    default: 0.5,
    common: true,
    field: { label: 'Warm-up', unit: 'epochs', most: 1000 },
  }),
  labelSmoothing: share('Fraction of the target that is spread over all classes', {
    ...TRAINING,
    of: 'classifier',
    default: 0,
  }),
  clipNorm: number('Clip the gradient to this global norm', { ...TRAINING, above: 0 }),
  ema: number(
    'Decay of a moving average of the parameters, such as 0.999; the average is evaluated and exported',
    { ...TRAINING, above: 0, below: 1 },
  ),
  metric: text(
    'What decides which epoch is the best: loss, or a metric; with a validation set, that epoch is the result',
    { ...TRAINING, role: 'comparison', usually: "the task's first metric: accuracy for a classifier" },
  ),
  patience: whole('Stop after this many epochs without improvement (needs a validation set)', {
    ...TRAINING,
    role: 'comparison',
    resume: 'more',
  }),
  seed: number('Seed of weights, order and dropout: same seed, same model', {
    ...TRAINING,
    role: 'comparison',
    whole: true,
    least: Number.MIN_SAFE_INTEGER,
    most: Number.MAX_SAFE_INTEGER,
    default: DEFAULTS.seed,
    common: true,
    field: { label: 'Seed', least: 0, most: 2 ** 31 },
  }),

  ...FINETUNE_SETTINGS,

  device: choice('Where to run (see: onnxgrad doctor)', keysOf(DEVICES), {
    ...DEVICE,
    role: 'comparison',
    usually: 'cpu; wasm if onnxruntime-node is not installed',
    common: true,
  }),
  threads: whole('Threads of the CPU device', {
    ...DEVICE,
    role: 'comparison',
    resume: 'any',
    most: 256,
    usually: 'physical cores',
  }),
  stepsPerRun: whole('Steps per run of the graph; the state is copied back after the last one', {
    ...DEVICE,
    most: 64,
    usually: 'one or two seconds of work, at most 8',
  }),
  recompute: toggle('Recompute cheap activations in the backward pass: less memory, same results', {
    ...DEVICE,
    default: false,
  }),

  out: text('Run folder', {
    ...OUTPUT,
    role: 'output',
    usually: 'runs/<model>-<preset>, numbered if taken',
    common: true,
  }),
  overwrite: toggle('Allow the run folder to contain files', { ...OUTPUT, role: 'output', default: false }),
  saveEvery: number('Seconds between checkpoints within a long epoch', {
    ...OUTPUT,
    least: 0,
    default: DEFAULTS.saveEvery,
  }),
  verify: toggle('Check at the end that model.onnx gives the same numbers in onnxruntime-node and -web', {
    ...OUTPUT,
    default: true,
  }),
  report: toggle('Write report.html at the end: curves, confusion, worst mistakes, attention', {
    ...OUTPUT,
    default: true,
  }),
  profile: toggle(
    'Print the time of a training step by layer and by operator at the end, as onnxruntime measures it; trains a little slower',
    { ...OUTPUT, default: false },
  ),
  tensorboard: toggle('Also write TensorBoard event files into the run folder', {
    ...OUTPUT,
    default: false,
  }),
} as const satisfies Schema

/** Settings of a training, each of which may be left out. */
export type Settings = ValuesOf<typeof SETTINGS>
