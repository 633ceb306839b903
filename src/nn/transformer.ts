import type { AnyTensor } from '../graph/tensor.ts'
import { dropPath as skip } from '../ops/dropout.ts'
import { add } from '../ops/elementwise.ts'
import { layer } from './layer.ts'
import { attention, layerNorm, mlp } from './layers.ts'

export interface EncoderBlockConfig {
  /** Size of the embedding of a token. */
  readonly dim: number
  /** Attention heads; divides `dim`. */
  readonly heads: number
  /** Hidden size of the MLP. */
  readonly mlp: number
  /** Share of activations dropped while training. @default 0 */
  readonly dropout?: number
  /** Tokens see only themselves and those before them. @default false */
  readonly causal?: boolean
  /** Share of images for which a branch is left out while training (stochastic depth). @default 0 */
  readonly dropPath?: number
}

/**
 * One block of a transformer's encoder: attention among the tokens, then an MLP on each; both pre-normed, both
 * residual. `[B, T, dim]` → `[B, T, dim]`, with timm's names.
 */
export const encoderBlock = ({
  dim,
  heads,
  mlp: hidden,
  dropout: rate,
  causal,
  dropPath = 0,
}: EncoderBlockConfig) =>
  layer(
    {
      norm1: layerNorm(dim),
      attn: attention(dim, heads, rate, causal),
      norm2: layerNorm(dim),
      mlp: mlp(dim, hidden, rate),
    },
    (self, x: AnyTensor) => {
      const y = add(x, skip(self.attn(self.norm1(x)), dropPath))
      return add(y, skip(self.mlp(self.norm2(y)), dropPath))
    },
  )

/**
 * `depth` blocks in series. `dropPath` grows linearly from 0 in the first to its value in the last (Huang et al. 2016, as
 * timm does it).
 */
export const encoderBlocks = (
  depth: number,
  { dropPath = 0, ...config }: EncoderBlockConfig,
): EncoderBlock[] =>
  Array.from({ length: depth }, (_, i) =>
    encoderBlock({ ...config, dropPath: depth > 1 ? (dropPath * i) / (depth - 1) : dropPath }),
  )

export type EncoderBlock = ReturnType<typeof encoderBlock>

/** What each block attends to while tokens `[B, T, dim]` run through all of them: `[B, heads, T, T]` from each. */
export const attentionMaps = (blocks: readonly EncoderBlock[], tokens: AnyTensor): AnyTensor[] => {
  let x = tokens
  return blocks.map(block => {
    const map = block.attn.weights(block.norm1(x))
    x = block(x)
    return map
  })
}
