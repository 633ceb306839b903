import type { AnyTensor } from '../graph/tensor.ts'
import { dropPath as skip } from '../ops/dropout.ts'
import { add } from '../ops/elementwise.ts'
import { layer } from './layer.ts'
import { attention, feedForward, layerNorm } from './layers.ts'

/** Options of `encoderBlock`. */
export interface EncoderBlockConfig<N extends number = number> {
  /** Size of the embedding of a token. */
  readonly dim: N
  /** Attention heads; divides `dim`. */
  readonly heads: number
  /** Hidden size of the MLP. */
  readonly mlp: number
  /** Fraction of activations dropped in training. @default 0 */
  readonly dropout?: number
  /** Whether tokens attend only to themselves and earlier tokens. @default false */
  readonly causal?: boolean
  /** Fraction of examples for which a residual branch is skipped in training (stochastic depth). @default 0 */
  readonly dropPath?: number
  /** Added to the variance in layer norms. @default 1e-6 */
  readonly eps?: number
  /**
   * Whether the MLP's norm also normalizes the residual stream, y = norm₂(x + attention(norm₁(x))), y + MLP(y), as in the authors'
   * code of CCT. @default false
   */
  readonly residualNorm?: boolean
}

/**
 * One block of a transformer's encoder: attention among the tokens, then an MLP on each; both pre-normed, both
 * residual. `[B, T, dim]` → `[B, T, dim]`, with timm's names.
 */
export const encoderBlock = <const N extends number>({
  dim,
  heads,
  mlp: hidden,
  dropout: rate,
  causal,
  dropPath = 0,
  eps,
  residualNorm = false,
}: EncoderBlockConfig<N>) =>
  layer(
    {
      norm1: layerNorm(dim, eps),
      attn: attention(dim, heads, rate, causal),
      norm2: layerNorm(dim, eps),
      mlp: feedForward(dim, hidden, rate),
    },
    ['B', 'T', dim],
    (self, x) => {
      const y = add(x, skip(self.attn(self.norm1(x)), dropPath))
      if (residualNorm) {
        const z = self.norm2(y)
        return add(z, skip(self.mlp(z), dropPath))
      }
      return add(y, skip(self.mlp(self.norm2(y)), dropPath))
    },
  )

/**
 * `depth` blocks in series. `dropPath` grows linearly from 0 in the first to its value in the last (Huang et al. 2016, as
 * timm does it).
 */
export const encoderBlocks = <const N extends number>(
  depth: number,
  { dropPath = 0, ...config }: EncoderBlockConfig<N>,
): EncoderBlock<N>[] =>
  Array.from({ length: depth }, (_, i) =>
    encoderBlock({ ...config, dropPath: depth > 1 ? (dropPath * i) / (depth - 1) : dropPath }),
  )

/** A block that `encoderBlock` returns. */
export type EncoderBlock<N extends number = number> = ReturnType<typeof encoderBlock<N>>

/**
 * Attention weights of each block for tokens `[B, T, dim]` that pass through all of them: `attention.0`, `attention.1` …,
 * `[B, heads, T, T]` each.
 */
export const attentionMaps = (
  blocks: readonly EncoderBlock[],
  tokens: AnyTensor,
): Readonly<Record<string, AnyTensor>> => {
  let x = tokens
  const maps = blocks.map((block, i) => {
    const map = block.attn.weights(block.norm1(x))
    x = block(x)
    return [`attention.${i}`, map] as const
  })
  return Object.fromEntries(maps)
}
