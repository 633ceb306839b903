import { parameter } from '../src/graph/leaf.ts'
import type { AnyTensor } from '../src/graph/tensor.ts'
import { dropout, embedding, layerNorm } from '../src/nn/layers.ts'
import { model } from '../src/nn/model.ts'
import { encoderBlocks } from '../src/nn/transformer.ts'
import { add } from '../src/ops/elementwise.ts'
import { linear } from '../src/ops/matmul.ts'
import { checkDepth, checkDropout, checkHeads, checkSizes } from './config.ts'

/** Configuration of `gpt`. */
export interface GPTConfig {
  /** Number of different tokens; for a character model, of characters. */
  readonly vocabulary: number
  /** Tokens that the model sees at once. */
  readonly context: number
  /** Size of the embedding of a token. */
  readonly dim: number
  /** Number of blocks. */
  readonly depth: number
  /** Attention heads of a block; divides `dim`. */
  readonly heads: number
  /** Hidden size of a block's MLP. */
  readonly mlp: number
  /** Fraction of activations dropped in training. @default 0 */
  readonly dropout?: number
  /** Fraction of images that skip a residual branch of the last block in training (stochastic depth); less in earlier blocks. @default 0 */
  readonly dropPath?: number
}

/** Normal of standard deviation 0.02, as GPT-2 starts. */
const NORMAL = { kind: 'normal', std: 0.02 } as const

/**
 * GPT (Radford et al. 2019): token and position embeddings, pre-norm blocks whose attention looks back only, and a head that
 * shares the token embedding's weights. Tokens `[B, context]` → logits of each next token `[B, context, vocabulary]`.
 * @throws UserError for a configuration that cannot be built, with its numbers
 */
export const gpt = (config: GPTConfig) => {
  const { vocabulary, context, dim, depth, heads, mlp, dropout: rate = 0 } = config
  checkSizes('gpt', { vocabulary, context, dim, heads, mlp })
  checkDepth('gpt', depth)
  checkHeads('gpt', config)
  checkDropout('gpt', config)
  return model({
    name: 'gpt',
    config,
    inputs: { tokens: { shape: [context], dtype: 'int32', about: 'an id per token' } },
    layers: {
      wte: embedding(vocabulary, dim, NORMAL),
      wpe: parameter([context, dim], NORMAL, { decay: false }),
      drop: dropout(rate),
      blocks: encoderBlocks(depth, { ...config, causal: true }),
      norm: layerNorm(dim),
    },
    forward: (self, { tokens }) => {
      const embedded: AnyTensor = self.drop(add(self.wte(tokens), self.wpe)) // [B, T, dim]
      const seen = self.blocks.reduce((x, attend) => attend(x), embedded)
      return { logits: linear(self.norm(seen), self.wte.weight) as AnyTensor } // [B, T, vocabulary]
    },
  })
}
