import type { CCTConfig } from './cct.ts'
import type { ResNetConfig } from './resnet-config.ts'
import type { ViTConfig } from './vit-config.ts'

/** Shapes of a checkpoint's tensors under the names of a model. */
export type Shapes = ReadonlyMap<string, readonly number[]>

/** Size of an attention head in the published models. */
const HEAD = 64

const headsOf = (dim: number): number => Math.max(1, Math.round(dim / HEAD))

/** How many blocks there are: `path.0`, `path.1` … */
function countOf(shapes: Shapes, path: string): number {
  const indices = [...shapes.keys()].flatMap(name =>
    name.startsWith(`${path}.`) ? [Number(name.slice(path.length + 1).split('.')[0])] : [],
  )
  return Math.max(-1, ...indices.filter(Number.isInteger)) + 1
}

/** The first size of a tensor; undefined where it is not there. */
const first = (shapes: Shapes, name: string): number | undefined => shapes.get(name)?.[0]

function vit(shapes: Shapes): ViTConfig | undefined {
  const [dim = 0, channels = 0, patch = 0] = shapes.get('patch_embed.proj.weight') ?? []
  const distilled = shapes.has('dist_token')
  const tokens = (shapes.get('pos_embed')?.[1] ?? 0) - (distilled ? 2 : 1)
  const side = Math.sqrt(tokens)
  const mlp = first(shapes, 'blocks.0.mlp.fc1.weight')
  if (!dim || mlp === undefined || !Number.isInteger(side) || !shapes.has('cls_token')) return undefined
  const heads = headsOf(dim)
  return {
    ...{ image: side * patch, channels, patch, dim, depth: countOf(shapes, 'blocks'), heads, mlp },
    classes: first(shapes, 'head.weight') ?? 1000,
    ...(distilled ? { distilled } : {}),
    ...(shapes.has('fc_norm.weight') ? { pool: 'mean' as const } : {}),
  }
}

function resnet(shapes: Shapes): ResNetConfig | undefined {
  const [, channels = 0, kernel] = shapes.get('conv1.weight') ?? []
  const stages = Array.from({ length: 8 }, (_, i) => `layer${i + 1}`).filter(name => countOf(shapes, name))
  const widths = stages.flatMap(name => first(shapes, `${name}.0.conv1.weight`) ?? [])
  if (!channels || !stages.length || widths.length !== stages.length) return undefined
  const stem = kernel === 3 ? 'cifar' : 'imagenet'
  return {
    image: stem === 'cifar' ? 32 : 224,
    channels,
    block: shapes.has('layer1.0.conv3.weight') ? 'bottleneck' : 'basic',
    layers: stages.map(name => countOf(shapes, name)),
    widths,
    classes: first(shapes, 'fc.weight') ?? 1000,
    stem,
  }
}

function cct(shapes: Shapes): CCTConfig | undefined {
  const count = countOf(shapes, 'tokenizer.conv_layers')
  const convs = Array.from({ length: count }, (_, i) => shapes.get(`tokenizer.conv_layers.${i}.weight`) ?? [])
  const [, channels = 0, kernel = 0] = convs[0] ?? []
  const [, tokens = 0, dim = 0] = shapes.get('positional_emb') ?? []
  const mlp = first(shapes, 'blocks.0.mlp.fc1.weight')
  const side = Math.sqrt(tokens)
  if (!channels || mlp === undefined || !Number.isInteger(side)) return undefined
  return {
    // Each convolution but those of larger kernels keeps the size, and its pooling halves it.
    image: side * (2 * Math.max(1, Math.floor(kernel / 2) - 1)) ** count,
    ...{ channels, kernel, planes: convs.slice(0, -1).map(([n = 0]) => n), dim },
    ...{ depth: countOf(shapes, 'blocks'), heads: headsOf(dim), mlp },
    classes: first(shapes, 'fc.weight') ?? 1000,
  }
}

const INFERRED: Readonly<Record<string, (shapes: Shapes) => object | undefined>> = { vit, resnet, cct }

/**
 * The configuration of the model that a checkpoint is of, from the shapes of its tensors. Sizes that they do not show are those of
 * the published models: 64 numbers per attention head, images of 224 pixels (32 for a ResNet whose first kernel has 3).
 * @param name of the model @returns undefined where the shapes are not those of such a model
 */
export const inferredConfig = (name: string, shapes: Shapes): object | undefined => INFERRED[name]?.(shapes)
