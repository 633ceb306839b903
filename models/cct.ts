import { input, parameter } from '../src/graph/leaf.ts'
import { nth } from '../src/graph/present.ts'
import type { AnyTensor } from '../src/graph/tensor.ts'
import { conv2d, fanIn } from '../src/nn/conv.ts'
import { layer } from '../src/nn/layer.ts'
import { dropout, layerNorm, linear } from '../src/nn/layers.ts'
import { imageInput, model } from '../src/nn/model.ts'
import { attentionMaps, encoderBlocks } from '../src/nn/transformer.ts'
import { add, relu } from '../src/ops/elementwise.ts'
import { reshape, transpose } from '../src/ops/layout.ts'
import { matmul } from '../src/ops/matmul.ts'
import { softmax } from '../src/ops/norm.ts'
import { maxPool2d } from '../src/ops/pool.ts'
import { checkDepth, checkDropout, checkHeads, checkLayers, checkSizes } from './config.ts'

/** Configuration of `cct`. */
export interface CCTConfig {
  /** Height and width of the (square) image in pixels. */
  readonly image: number
  /** Channels of the image: 1 for grayscale, 3 for RGB. */
  readonly channels: number
  /** Height and width of the tokenizer's kernels. */
  readonly kernel: number
  /** Output channels of the tokenizer's convolutions before the last, which has `dim`. */
  readonly planes: readonly number[]
  /** Size of the embedding of a token. */
  readonly dim: number
  /** Number of encoder blocks. */
  readonly depth: number
  /** Attention heads of a block; divides `dim`. */
  readonly heads: number
  /** Hidden size of a block's MLP. */
  readonly mlp: number
  /** Number of classes. */
  readonly classes: number
  /** Fraction of activations dropped in training. @default 0 */
  readonly dropout?: number
  /** Fraction of images that skip a residual branch of the last block in training (stochastic depth); less in earlier blocks. @default 0 */
  readonly dropPath?: number
  /**
   * Whether the blocks are those of the authors' code, for their weights: the MLP's norm also normalizes the residual stream, and the
   * norms' epsilon is 1e-5. @default false: the blocks of the paper
   */
  readonly residualNorm?: boolean
}

/** Image → tokens: convolutions, each with a ReLU and a max-pool that halves the image; a place is a token. */
const tokenizer = ({ image, channels, kernel, planes, dim }: CCTConfig) => {
  const maps = [channels, ...planes, dim]
  const half = Math.floor(kernel / 2)
  const moves = { stride: Math.max(1, half - 1), padding: Math.max(1, half) }
  const conv = (from: number, to: number) => {
    const init = { kind: 'normal', std: Math.sqrt(2 / fanIn(from, kernel)) } as const // He et al. 2015
    return conv2d(from, to, kernel, { ...moves, bias: false, init })
  }
  return layer(
    { conv_layers: maps.slice(1).map((to, i) => conv(nth(maps, i), to)) },
    ['B', channels, image, image],
    (self, x) => {
      const halved = (map: typeof x) => maxPool2d(relu(map), 3, { stride: 2, padding: 1 })
      const map = self.conv_layers.reduce((y, convolve) => halved(convolve(y)), x) // [B, dim, h, w]
      const [batch, , height, width] = map.shape
      return transpose(reshape(map, [batch, dim, height * width]), [0, 2, 1]) // [B, h · w, dim]
    },
  )
}

/**
 * Compact Convolutional Transformer (Hassani et al. 2021): a convolutional tokenizer in place of patches, learned
 * positions, and sequence pooling in place of the CLS token. `[B, channels, image, image]` → logits `[B, classes]`.
 * CCT-n/k×c has `depth` n, `kernel` k and c convolutions. The blocks are the ViT's, as in the paper. The authors' code differs:
 * `residualNorm` is its form. It leaves out the bias of the queries, keys and values, which is zero here with their weights.
 * @throws UserError for a configuration that cannot be built, with its numbers
 */
export const cct = (config: CCTConfig) => {
  const { image, channels, kernel, planes, dim, depth, heads, mlp, classes, dropout: rate = 0 } = config
  const eps = config.residualNorm ? 1e-5 : 1e-6
  checkSizes('cct', { image, channels, kernel, dim, heads, mlp, classes })
  checkDepth('cct', depth)
  checkLayers('cct', { planes })
  checkHeads('cct', config)
  checkDropout('cct', config)
  const tokenize = tokenizer(config)
  const [, tokens] = tokenize(input('image', 'float32', [1, channels, image, image])).shape
  const parts = {
    tokenizer: tokenize,
    positional_emb: parameter([1, tokens, dim], { kind: 'truncNormal', std: 0.2 }, { decay: false }),
    pos_drop: dropout(rate),
    blocks: encoderBlocks(depth, { ...config, eps }),
    norm: layerNorm(dim, eps),
    attention_pool: linear(dim, 1),
    fc: linear(dim, classes),
  }
  const embed = (x: AnyTensor): AnyTensor => parts.pos_drop(add(parts.tokenizer(x), parts.positional_emb))
  return model({
    name: 'cct',
    config,
    inputs: { image: imageInput(channels, image) },
    layers: parts,
    forward: (self, { image: x }) => {
      const encoded = self.norm(self.blocks.reduce((h, encode) => encode(h), embed(x))) // [B, T, dim]
      const importance = softmax(self.attention_pool(encoded), 1) // of each token: [B, T, 1]
      const pooled = matmul(transpose(importance, [0, 2, 1]), encoded) // the tokens' weighted mean: [B, 1, dim]
      return { logits: self.fc(reshape(pooled, [x.shape[0], dim])) as AnyTensor } // [B, classes]
    },
    intermediates: (self, { image: x }) => attentionMaps(self.blocks, embed(x)),
  })
}
