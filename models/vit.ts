import { parameter } from '../src/graph/leaf.ts'
import { nth } from '../src/graph/present.ts'
import type { AnyTensor } from '../src/graph/tensor.ts'
import { typed } from '../src/graph/typed/signatures.ts'
import { layer, type UnaryLayer } from '../src/nn/layer.ts'
import { dropout, layerNorm, linear, patchEmbed, prepend, TRUNC_NORMAL } from '../src/nn/layers.ts'
import { imageInput, model } from '../src/nn/model.ts'
import { attentionMaps, encoderBlocks } from '../src/nn/transformer.ts'
import { gelu } from '../src/ops/activation.ts'
import { add, mul } from '../src/ops/elementwise.ts'
import { concat, select, slice } from '../src/ops/layout.ts'
import { mean } from '../src/ops/reduce.ts'
import { checkViT, type MakeViT, type ViT, type ViTConfig } from './vit-config.ts'

export type { ViT, ViTConfig }

/** Image → tokens: patches mapped to vectors, the CLS (and distillation) token in front, a learned position added to each. */
const embedding = (c: ViTConfig) => {
  const learned = (tokens: number) => parameter([1, tokens, c.dim], TRUNC_NORMAL, { decay: false })
  const front = { cls_token: learned(1), ...(c.distilled ? { dist_token: learned(1) } : {}) }
  const tokens: readonly AnyTensor[] = Object.values(front)
  const parts = {
    ...front,
    pos_embed: learned((c.image / c.patch) ** 2 + tokens.length),
    patch_embed: patchEmbed(c.image, c.channels, c.patch, c.dim),
    pos_drop: dropout(c.dropout ?? 0),
  }
  const embed = (image: AnyTensor): AnyTensor => {
    const patches = parts.patch_embed(image) // [B, N, dim]
    const all = prepend(tokens.length > 1 ? concat(tokens, 1) : nth(tokens, 0), patches)
    return parts.pos_drop(add(all, parts.pos_embed)) // [B, N + 1, dim]
  }
  return { parts, embed }
}

/** Tokens → logits, with timm's names: a head reads the CLS token, or the mean of the patches; a distilled ViT has two heads. */
const classifier = (c: ViTConfig) => {
  const norm = layerNorm(c.dim)
  const own = head(c)
  if (c.pool === 'mean') {
    const patches = (x: AnyTensor): AnyTensor => slice(x, 1, 1, x.shape[1])
    return { parts: { fc_norm: norm, head: own }, logits: (x: AnyTensor) => own(norm(mean(patches(x), 1))) }
  }
  if (!c.distilled)
    return { parts: { norm, head: own }, logits: (x: AnyTensor) => own(select(norm(x), 1, 0)) }
  const taught = head(c)
  const logits = (x: AnyTensor) => {
    const encoded = norm(x)
    return mul(add(own(select(encoded, 1, 0)), taught(select(encoded, 1, 1))), 0.5)
  }
  return { parts: { norm, head: own, head_dist: taught }, logits }
}

/** Image's vector → logits: linear layers with GELUs between them; a single one is named `head`, as in timm. */
const head = ({ dim, head: hidden = [], classes }: ViTConfig): UnaryLayer => {
  const sizes = [dim, ...hidden, classes]
  const layers = sizes.slice(1).map((size, i) => linear(nth(sizes, i), size))
  if (layers.length === 1) return nth(layers, 0)
  return layer({ ...layers }, (_, x: AnyTensor) => layers.reduce((h, fc, i) => fc(i ? gelu(h) : h), x))
}

/**
 * Vision Transformer (Dosovitskiy et al. 2021), pre-norm: `[B, channels, image, image]` → logits `[B, classes]`.
 * Parameter names and shapes are those of timm's `vision_transformer`; of its `deit`, where it is distilled.
 * @throws UserError for a configuration that cannot be built, with its numbers
 */
export const vit: MakeViT = typed((config: ViTConfig) => {
  checkViT(config)
  const { parts: heads, logits } = classifier(config)
  const { parts: embeddings, embed } = embedding(config)
  const parts = { ...embeddings, blocks: encoderBlocks(config.depth, config), ...heads }
  return model({
    name: 'vit',
    config,
    inputs: { image: imageInput(config.channels, config.image) },
    layers: parts,
    forward: (self, { image }) => {
      const encoded = self.blocks.reduce((x, encode) => encode(x), embed(image)) // [B, N + 1, dim]
      return { logits: logits(encoded) } // [B, classes]
    },
    intermediates: (self, { image }) => attentionMaps(self.blocks, embed(image)),
  })
})
