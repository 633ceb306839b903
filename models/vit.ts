import { parameter } from '../src/graph/leaf.ts'
import type { AnyTensor } from '../src/graph/tensor.ts'
import { typed } from '../src/graph/typed/signatures.ts'
import { layer } from '../src/nn/layer.ts'
import {
  attention,
  dropout,
  layerNorm,
  linear,
  mlp,
  patchEmbed,
  prepend,
  TRUNC_NORMAL,
} from '../src/nn/layers.ts'
import { model } from '../src/nn/model.ts'
import { gelu } from '../src/ops/activation.ts'
import { add } from '../src/ops/elementwise.ts'
import { select } from '../src/ops/layout.ts'
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

/** One encoder block: attention among the tokens, then an MLP on each; both pre-normed, both residual. */
const block = ({ dim, heads, mlp: hidden, dropout: rate }: ViTConfig) =>
  layer(
    {
      norm1: layerNorm(dim),
      attn: attention(dim, heads, rate),
      norm2: layerNorm(dim),
      mlp: mlp(dim, hidden, rate),
    },
    (self, x: AnyTensor) => {
      const y = add(x, self.attn(self.norm1(x)))
      return add(y, self.mlp(self.norm2(y)))
    },
  )

/** CLS embedding → logits: linear layers with GELUs between them; a single one is named `head`, as in timm. */
const head = ({ dim, head: hidden = [], classes }: ViTConfig) => {
  const sizes = [dim, ...hidden, classes]
  const layers = sizes.slice(1).map((size, i) => linear(sizes[i]!, size))
  if (layers.length === 1) return layers[0]!
  return layer({ ...layers }, (_, x: AnyTensor) => layers.reduce((h, fc, i) => fc(i ? gelu(h) : h), x))
}

/**
 * Vision Transformer (Dosovitskiy et al. 2021), pre-norm, CLS token into the head: `[B, channels, image, image]` →
 * logits `[B, classes]`. Parameter names and shapes are those of timm's `vision_transformer`.
 * @throws UserError for a configuration that cannot be built, with its numbers
 */
export const vit: MakeViT = typed((config: ViTConfig) => {
  checkViT(config)
  const net = layer(
    {
      ...embedding(config),
      blocks: Array.from({ length: config.depth }, () => block(config)),
      norm: layerNorm(config.dim),
      head: head(config),
    },
    (self, image: AnyTensor) => {
      const patches = self.patch_embed(image) // [B, N, dim]
      const embedded = add(prepend(self.cls_token, patches), self.pos_embed) // [B, N + 1, dim]
      const encoded = self.blocks.reduce((x, encode) => encode(x), self.pos_drop(embedded))
      return self.head(select(self.norm(encoded), 1, 0)) // CLS only: [B, dim] → [B, classes]
    },
  )
  const { image, channels, classes } = config
  return model({ name: 'vit', config, image: [channels, image, image], classes, net })
})
