import type { Argv } from 'yargs'
import { MODELS } from '../../models/index.ts'
import { keysOf } from '../graph/keys.ts'
import { OPTIMIZERS, type Optimizer, optimizerOf } from '../optim/optimizer.ts'
import { SCHEDULES } from '../optim/schedule.ts'
import { AUGMENT_FLAGS } from './augment-flags.ts'
import { MODEL_FLAGS } from './model-flags.ts'
import {
  dataOption,
  deviceOption,
  preprocessOption,
  readFlags,
  skipBadOption,
  textOption,
  threadsOption,
  valSplitOption,
} from './options.ts'

/** The optimizers that have a setting, as they start. */
export const optimizersWith = (setting: string): readonly Optimizer[] =>
  keysOf(OPTIMIZERS)
    .map(name => optimizerOf(name))
    .filter(({ settings }) => Object.hasOwn(settings, setting))

const defaults = (setting: string): string =>
  optimizersWith(setting)
    .map(({ name, settings }) => `${name} ${settings[setting]}`)
    .join(', ')

const METRICS = ['accuracy', 'loss'] as const

/**
 * Flags that say what is trained, how and where. None that decides what is learned has a default of its own, so that a resumed
 * run can tell what was given: see TRAIN_DEFAULTS.
 */
export const trainingFlags = (yargs: Argv) =>
  yargs
    .positional('model', {
      type: 'string',
      choices: Object.keys(MODELS),
      describe: 'What to train; not needed with --resume',
    })
    .option('preset', {
      type: 'string',
      describe: `Configuration to start from: ${Object.entries(MODELS)
        .map(([name, { presets }]) => `${name} ${Object.keys(presets).join(', ')}`)
        .join('; ')} [default: the first]; a preset may come with a recipe of flags`,
      group: 'Model:',
    })
    .options(MODEL_FLAGS)
    .option('data', dataOption)
    .option('skip-bad', skipBadOption)
    .option('text', textOption)
    .option('limit', {
      type: 'number',
      describe: 'Train on the first N images only',
      group: 'Data:',
    })
    .option('val-split', valSplitOption)
    .option('preprocess', preprocessOption)
    .options(AUGMENT_FLAGS)
    .option('epochs', {
      type: 'number',
      defaultDescription: '5',
      describe: 'Passes over the training set',
      group: 'Training:',
    })
    .option('batch', {
      type: 'number',
      defaultDescription: '64',
      describe: 'Images per step',
      group: 'Training:',
    })
    .option('accumulate', {
      type: 'number',
      defaultDescription: '1',
      describe: 'Micro-batches per step; their gradients are accumulated',
      group: 'Training:',
    })
    .option('optimizer', {
      choices: Object.keys(OPTIMIZERS),
      defaultDescription: 'adam',
      describe: 'Optimizer',
      group: 'Training:',
    })
    .option('lr', {
      type: 'number',
      describe: `Learning rate [default: ${defaults('lr')}]`,
      group: 'Training:',
    })
    .option('weight-decay', {
      type: 'number',
      describe: `Weight decay [default: ${defaults('weightDecay')}]`,
      group: 'Training:',
    })
    .option('momentum', {
      type: 'number',
      describe: `Momentum [default: ${defaults('momentum')}]`,
      group: 'Training:',
    })
    .option('schedule', {
      choices: Object.keys(SCHEDULES),
      defaultDescription: 'cosine',
      describe: 'Learning-rate schedule',
      group: 'Training:',
    })
    .option('warmup', {
      type: 'number',
      defaultDescription: '0.5',
      describe: 'Epochs of linear warm-up (may be a fraction)',
      group: 'Training:',
    })
    .option('label-smoothing', {
      type: 'number',
      defaultDescription: '0',
      describe: 'Fraction of the target that is spread over all classes',
      group: 'Training:',
    })
    .option('clip-norm', {
      type: 'number',
      describe: 'Clip the gradient to this global norm',
      group: 'Training:',
    })
    .option('ema', {
      type: 'number',
      describe:
        'Decay of a moving average of the parameters, such as 0.999; the average is evaluated and exported',
      group: 'Training:',
    })
    .option('metric', {
      choices: METRICS,
      defaultDescription: 'accuracy',
      describe: 'What decides which epoch is the best; with a validation set, that epoch is the result',
      group: 'Training:',
    })
    .option('patience', {
      type: 'number',
      describe: 'Stop after this many epochs without improvement (needs --val-split)',
      group: 'Training:',
    })
    .option('recompute', {
      type: 'boolean',
      default: false,
      describe: 'Recompute cheap activations in the backward pass: less memory, same results',
      group: 'Training:',
    })
    .option('seed', {
      type: 'number',
      defaultDescription: '0',
      describe: 'Seed of weights, order and dropout: same seed, same model',
      group: 'Training:',
    })
    .option('device', deviceOption)
    .option('threads', threadsOption)
    .option('steps-per-run', {
      type: 'number',
      defaultDescription: 'one or two seconds of work, at most 8',
      describe: 'Steps per run of the graph; the state is copied back after the last one',
      group: 'Device:',
    })
    .option('save-every', {
      type: 'number',
      default: 120,
      describe: 'Seconds between checkpoints within a long epoch',
      group: 'Output:',
    })

/** Flags of `train`. */
export const trainFlags = (yargs: Argv) =>
  trainingFlags(yargs)
    .option('resume', {
      type: 'string',
      describe:
        'Resume the run of a folder or a checkpoint file; the result is the same as without the interruption',
      group: 'Training:',
    })
    .option('repeats', {
      type: 'number',
      describe:
        'Train this many times, with seeds counted from --seed, each in its own folder in --out; prints mean and standard deviation',
      group: 'Training:',
    })
    .option('out', {
      type: 'string',
      describe: 'Run folder [default: runs/<model>-<preset>, numbered if taken]',
      group: 'Output:',
    })
    .option('verify', {
      type: 'boolean',
      default: true,
      describe: 'Check at the end that model.onnx gives the same numbers in onnxruntime-node and -web',
      group: 'Output:',
    })
    .option('report', {
      type: 'boolean',
      default: true,
      describe: 'Write report.html at the end: curves, confusion, worst mistakes, attention',
      group: 'Output:',
    })
    .option('tensorboard', {
      type: 'boolean',
      default: false,
      describe: 'Also write TensorBoard event files into the run folder',
      group: 'Output:',
    })
    .option('overwrite', {
      type: 'boolean',
      default: false,
      describe: 'Allow --out to contain files',
      group: 'Output:',
    })
    .config('config', 'JSON file with any of these flags; flags on the command line win', readFlags)
    .example('$0 train vit', "the lecture's ViT on MNIST, 5 epochs")
    .example(
      '$0 train vit --preset best',
      'above 99.5 %: augmentation, averaged weights, best epoch by a validation split',
    )
    .example('$0 train vit --epochs 20 --warmup 1 --optimizer adamw', 'longer, with warm-up and weight decay')
    .example('$0 train vit --patch 4 --dim 96 --depth 6 --heads 6 --mlp 192', 'another size')
    .example('$0 train --resume runs/vit-lecture', 'resume a run that was stopped')

export type TrainFlags = ReturnType<typeof trainFlags> extends Argv<infer T> ? T : never

/** What the flags are where neither they nor the preset's recipe says anything. */
export const TRAIN_DEFAULTS = {
  epochs: 5,
  batch: 64,
  accumulate: 1,
  optimizer: 'adam',
  schedule: 'cosine',
  warmup: 0.5,
  'label-smoothing': 0,
  metric: 'accuracy',
  seed: 0,
} as const satisfies Partial<TrainFlags>
