import { UserError } from '../src/graph/errors.ts'
import { isKey } from '../src/graph/keys.ts'
import type { Model } from '../src/nn/model.ts'
import { choice, sizes, toggle, whole } from '../src/settings/setting.ts'
import { type CCTConfig, cct } from './cct.ts'
import { type GPTConfig, gpt } from './gpt.ts'
import { type LeNetConfig, lenet } from './lenet.ts'
import { type MLPConfig, mlp } from './mlp.ts'
import { type ResNetConfig, resnet } from './resnet.ts'
import { DROP_PATH, DROPOUT, ENCODER, IMAGE, type SettingsOf } from './settings.ts'
import { type ViTConfig, vit } from './vit.ts'

const photos = { image: 224, channels: 3, classes: 1000 } as const
const imageNet = { ...photos, patch: 16, depth: 12 } as const
const cifar10 = { image: 32, channels: 3, classes: 10 } as const
const small = { block: 'basic', widths: [16, 32, 64], stem: 'cifar' } as const
const mnist = { image: 28, channels: 1, classes: 10 } as const

/**
 * The models known by name, with their presets and configurable settings; the first preset is the default. `pages` labels the
 * presets that the lab offers. `accuracy` is what a preset reaches at least on MNIST's test set after the 5 epochs of `train`, to
 * which scripts/recipes.ts holds it.
 */
export const MODELS = {
  vit: {
    about: 'Vision Transformer: patches, CLS token, encoder blocks',
    build: vit,
    settings: {
      ...IMAGE,
      patch: whole('height and width of a patch, in pixels', {
        field: { label: 'Patch', unit: 'px', most: 1024 },
      }),
      ...ENCODER,
      head: sizes('hidden sizes of the classification head'),
      pool: choice('what the head reads: the CLS token, or the mean of the patch tokens', ['cls', 'mean']),
      distilled: toggle(
        'a distillation token with a head of its own (DeiT); logits are the mean of both heads',
      ),
      ...DROPOUT,
      ...DROP_PATH,
    } as const satisfies SettingsOf<ViTConfig>,
    pages: { lecture: 'ViT of the lecture', small: 'ViT, larger' },
    accuracy: { lecture: 0.975 },
    presets: {
      lecture: { ...mnist, patch: 7, dim: 64, depth: 4, heads: 4, mlp: 128 },
      small: { ...mnist, patch: 4, dim: 96, depth: 6, heads: 6, mlp: 192 },
      // As large as small; the difference is in how it is trained (src/runs/recipes.ts).
      best: { ...mnist, patch: 4, dim: 96, depth: 6, heads: 6, mlp: 192 },
      tiny16: { ...imageNet, dim: 192, heads: 3, mlp: 768 },
      small16: { ...imageNet, dim: 384, heads: 6, mlp: 1536 },
      base16: { ...imageNet, dim: 768, heads: 12, mlp: 3072 },
      'deit-tiny16': { ...imageNet, dim: 192, heads: 3, mlp: 768, distilled: true },
    } as const satisfies Record<string, ViTConfig>,
  },
  lenet: {
    about: 'LeNet-5: two convolutions with pooling, three linear layers',
    build: lenet,
    settings: IMAGE,
    pages: { mnist: 'LeNet-5 (convolutions)' },
    accuracy: { mnist: 0.99 },
    presets: { mnist } as const satisfies Record<string, LeNetConfig>,
  },
  resnet: {
    about: 'residual network: convolutions with batch norm and shortcuts',
    build: resnet,
    settings: {
      ...IMAGE,
      block: choice('two 3×3 convolutions, or a bottleneck of three', ['basic', 'bottleneck']),
      layers: sizes('blocks of each stage'),
      widths: sizes("channels of each stage's 3×3 convolutions"),
      stem: choice('first convolution: 7×7 with pooling, or 3×3 for small images', ['imagenet', 'cifar']),
    } as const satisfies SettingsOf<ResNetConfig>,
    presets: {
      mnist: { ...mnist, ...small, layers: [1, 1, 1] },
      // He et al. 2016, section 4.2; its shortcuts have no parameters where these have convolutions.
      resnet20: { ...cifar10, ...small, layers: [3, 3, 3] },
      resnet18: { ...photos, block: 'basic', layers: [2, 2, 2, 2] },
      resnet26: { ...photos, block: 'bottleneck', layers: [2, 2, 2, 2] },
      resnet50: { ...photos, block: 'bottleneck', layers: [3, 4, 6, 3] },
    } as const satisfies Record<string, ResNetConfig>,
  },
  cct: {
    about: 'Compact Convolutional Transformer: convolutional tokens, encoder blocks, sequence pooling',
    build: cct,
    settings: {
      ...IMAGE,
      kernel: whole("height and width of the tokenizer's kernels"),
      planes: sizes("output channels of the tokenizer's convolutions before the last"),
      ...ENCODER,
      residualNorm: toggle("blocks of the authors' code, for their weights, in place of the paper's"),
      ...DROPOUT,
      ...DROP_PATH,
    } as const satisfies SettingsOf<CCTConfig>,
    accuracy: { mnist: 0.985 },
    presets: {
      mnist: { ...mnist, kernel: 3, planes: [32], dim: 64, depth: 2, heads: 2, mlp: 64 },
      'cct-2/3x2': { ...cifar10, kernel: 3, planes: [64], dim: 128, depth: 2, heads: 2, mlp: 128 },
      'cct-7/3x1': { ...cifar10, kernel: 3, planes: [], dim: 256, depth: 7, heads: 4, mlp: 512 },
    } as const satisfies Record<string, CCTConfig>,
  },
  gpt: {
    about: 'character-level GPT: causal attention over the text so far',
    build: gpt,
    settings: {
      context: whole('context length, in characters'),
      ...ENCODER,
      ...DROPOUT,
      ...DROP_PATH,
    } as const satisfies SettingsOf<GPTConfig>,
    presets: {
      // The vocabulary is that of the text.
      char: { vocabulary: 65, context: 64, dim: 128, depth: 4, heads: 4, mlp: 512 },
    } as const satisfies Record<string, GPTConfig>,
  },
  mlp: {
    about: 'multi-layer perceptron on the flattened image',
    build: mlp,
    settings: {
      ...IMAGE,
      hidden: sizes('sizes of the hidden layers', { field: { label: 'Hidden', most: 16384 } }),
      ...DROPOUT,
    } as const satisfies SettingsOf<MLPConfig>,
    pages: { small: 'MLP (one hidden layer)' },
    accuracy: { small: 0.975 },
    presets: { small: { ...mnist, hidden: [128] } } as const satisfies Record<string, MLPConfig>,
  },
}
/** Name of a model in `MODELS`. */
export type ModelName = keyof typeof MODELS

/** Builds a known model from its name and configuration, such as from a file's metadata. */
export function buildModel(name: string, config: object): Model {
  if (!isKey(MODELS, name))
    throw new UserError(`unknown model ${name}; choose one of ${Object.keys(MODELS).join(', ')}`)
  // The builder checks the configuration, which may come from a file.
  const build = MODELS[name].build as (config: object) => Model
  return build(config)
}
