import type { ViTConfig } from '../../../models/vit-config.ts'
import { lookup, nth } from '../../../src/graph/present.ts'
import type { Look, ModelAbout } from '../protocol.ts'
import { mixing, rollout } from './maths.ts'

/** What a model makes of an image. */
export interface Sight {
  /** `[channels, height, width]`, pixels in [0, 1]. */
  readonly pixels: Float32Array
  readonly label?: number
  readonly about: ModelAbout
  readonly look: Look
}

/** The inside of a ViT, with its sizes. */
export interface Inside {
  /** Patches along a side, and pixels along a patch's. */
  readonly side: number
  readonly patch: number
  readonly patches: number
  /** Patches and the CLS token. */
  readonly tokens: number
  readonly dim: number
  readonly depth: number
  readonly heads: number
  readonly classes: number
  /** Hidden sizes of the head. */
  readonly hidden: readonly number[]
  /** What the head reads. */
  readonly pool: 'cls' | 'mean'
  /** Values of a stage, row-major. */
  readonly stage: (name: string) => Float32Array
  /** Names of the stages `[T, dim]` in order: before the first block, then after each. */
  readonly places: readonly string[]
  /** Of each block `[heads, T, T]`. */
  readonly attention: readonly Float32Array[]
  /** What of each token before the first block reaches a token after `blocks` of them: attention rollout, `[T]`. */
  readonly reaching: (token: number, blocks: number) => Float32Array
  /** The same of what the head reads. */
  readonly reachingHead: () => Float32Array
  /** What the head gets of `[T, width]` values: the CLS token's row, or the mean of the patches'. */
  readonly read: (values: Float32Array) => Float32Array
}

/** Undefined for a model that is not a ViT. */
export function insideOf({ look, about }: Sight): Inside | undefined {
  const { stages, attention } = look
  if (!stages || !attention) return undefined
  const byName = new Map(stages.map(stage => [stage.name, stage]))
  const shapeOf = (name: string): readonly number[] => lookup(byName, name).shape
  const [patches = 0] = shapeOf('patches')
  const [tokens = 0, dim = 0] = shapeOf('tokens')
  const [classes = 0] = shapeOf('logits')
  const [heads = 0] = nth(attention, 0).shape
  const side = Math.sqrt(patches)
  const maps = attention.map(stage => stage.data)
  const mixed = maps.map(map => mixing(map, tokens))
  const { pool = 'cls', head: hidden = [] } = (about.model?.config ?? {}) as Partial<ViTConfig>
  return {
    side,
    patch: about.input[1] / side,
    patches,
    tokens,
    dim,
    depth: maps.length,
    heads,
    classes,
    hidden,
    pool,
    stage: name => lookup(byName, name).data,
    places: ['tokens', ...maps.map((_, i) => `blocks.${i}`)],
    attention: maps,
    reaching: (token, blocks) => rollout(mixed.slice(0, blocks), oneHot(tokens, token)),
    reachingHead: () => rollout(mixed, pool === 'mean' ? patchesAlike(tokens) : oneHot(tokens, 0)),
    read: values =>
      pool === 'mean' ? meanOfPatches(values, tokens) : values.slice(0, values.length / tokens),
  }
}

const oneHot = (tokens: number, token: number): Float32Array => {
  const weights = new Float32Array(tokens)
  weights[token] = 1
  return weights
}

/** As much of each patch as of another, and nothing of CLS. */
const patchesAlike = (tokens: number): Float32Array => {
  const weights = new Float32Array(tokens).fill(1 / (tokens - 1))
  weights[0] = 0
  return weights
}

function meanOfPatches(values: Float32Array, tokens: number): Float32Array {
  const width = values.length / tokens
  const mean = new Float32Array(width)
  for (let i = width; i < values.length; i++)
    mean[i % width] = Number(mean[i % width]) + Number(values[i]) / (tokens - 1)
  return mean
}

/** Row `i` of a matrix. */
export const rowOf = (data: Float32Array, width: number, i: number): Float32Array =>
  data.subarray(i * width, (i + 1) * width)

/** With a true minus sign. */
export const decimal = (v: number, digits = 2): string => v.toFixed(digits).replace('-', '−')

/** The largest values' indices, largest first. */
export const largest = (values: Float32Array, count: number): number[] =>
  [...values.keys()].sort((a, b) => Number(values[b]) - Number(values[a])).slice(0, count)
