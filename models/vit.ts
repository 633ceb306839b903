import { parameter } from '../src/graph/leaf.ts'
import { nth } from '../src/graph/present.ts'
import type { AnyTensor } from '../src/graph/tensor.ts'
import { typed } from '../src/graph/typed/signatures.ts'
import { layer } from '../src/nn/layer.ts'
import { dropout, layerNorm, linear, patchEmbed, prepend, TRUNC_NORMAL } from '../src/nn/layers.ts'
import { imageInput, model } from '../src/nn/model.ts'
import { attentionMaps, encoderBlocks } from '../src/nn/transformer.ts'
import { gelu } from '../src/ops/activation.ts'
import { add } from '../src/ops/elementwise.ts'
import { select, slice } from '../src/ops/layout.ts'
import { mean } from '../src/ops/reduce.ts'
import { checkViT, type MakeViT, type ViT, type ViTConfig } from './vit-config.ts'

export type { ViT, ViTConfig }

/** Image → tokens: patches mapped to vectors, the CLS token in front, a learned position added to each. */
const embedding = (c: ViTConfig) => {
  const tokens = (c.image / c.patch) ** 2 + 1
  return {
    cls_token: parameter([1, 1, c.dim], TRUNC_NORMAL, { decay: false }),
    pos_embed: parameter([1, tokens, c.dim], TRUNC_NORMAL, { decay: false }),
    patch_embed: patchEmbed(c.image, c.channels, c.patch, c.dim),
    pos_drop: dropout(c.dropout ?? 0),
  }
}

/** Tokens → one vector for each image, with timm's name for the norm: the CLS token, or the mean of the others. */
const pooling = ({ dim, pool }: ViTConfig) => {
  const norm = layerNorm(dim)
  if (pool !== 'mean') return { norms: { norm }, read: (x: AnyTensor): AnyTensor => select(norm(x), 1, 0) }
  const patches = (x: AnyTensor): AnyTensor => slice(x, 1, 1, x.shape[1])
  return { norms: { fc_norm: norm }, read: (x: AnyTensor): AnyTensor => norm(mean(patches(x), 1)) }
}

/** Image's vector → logits: linear layers with GELUs between them; a single one is named `head`, as in timm. */
const head = ({ dim, head: hidden = [], classes }: ViTConfig) => {
  const sizes = [dim, ...hidden, classes]
  const layers = sizes.slice(1).map((size, i) => linear(nth(sizes, i), size))
  if (layers.length === 1) return nth(layers, 0)
  return layer({ ...layers }, (_, x: AnyTensor) => layers.reduce((h, fc, i) => fc(i ? gelu(h) : h), x))
}

/**
 * Vision Transformer (Dosovitskiy et al. 2021), pre-norm: `[B, channels, image, image]` → logits `[B, classes]`.
 * Parameter names and shapes are those of timm's `vision_transformer`.
 * @throws UserError for a configuration that cannot be built, with its numbers
 */
export const vit: MakeViT = typed((config: ViTConfig) => {
  checkViT(config)
  const { norms, read } = pooling(config)
  const parts = {
    ...embedding(config),
    blocks: encoderBlocks(config.depth, config),
    ...norms,
    head: head(config),
  }
  const embed = (image: AnyTensor): AnyTensor => {
    const patches = parts.patch_embed(image) // [B, N, dim]
    return parts.pos_drop(add(prepend(parts.cls_token, patches), parts.pos_embed)) // [B, N + 1, dim]
  }
  return model({
    name: 'vit',
    config,
    inputs: { image: imageInput(config.channels, config.image) },
    layers: parts,
    forward: (self, { image }) => {
      const encoded = self.blocks.reduce((x, encode) => encode(x), embed(image)) // [B, N + 1, dim]
      return { logits: self.head(read(encoded)) } // [B, dim] → [B, classes]
    },
    intermediates: (self, { image }) => attentionMaps(self.blocks, embed(image)),
  })
})
