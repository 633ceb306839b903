import { UserError } from '../graph/errors.ts'
import type { Init } from '../graph/init.ts'
import { parameter } from '../graph/leaf.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { typed } from '../graph/typed/signatures.ts'
import { gelu } from '../ops/activation.ts'
import { hideFuture } from '../ops/causal.ts'
import { dropout as dropoutOp } from '../ops/dropout.ts'
import { mul } from '../ops/elementwise.ts'
import { gather } from '../ops/gather.ts'
import { concat, expand, reshape, select, transpose } from '../ops/layout.ts'
import { linear as linearOp, matmul } from '../ops/matmul.ts'
import { layerNorm as layerNormOp, softmax } from '../ops/norm.ts'
import { layer } from './layer.ts'
import type {
  MakeAttention,
  MakeDropout,
  MakeEmbedding,
  MakeFeedForward,
  MakeLayerNorm,
  MakeLinear,
  MakePatchEmbed,
  PrependFn,
} from './signatures.ts'

const zeros = { kind: 'constant', value: 0 } as const
const ones = { kind: 'constant', value: 1 } as const

/** Truncated normal of standard deviation 0.02, timm's initialization of ViT weights. */
export const TRUNC_NORMAL = { kind: 'truncNormal', std: 0.02 } as const

/** Uniform in ±√(6 / (in + out)) (Glorot & Bengio 2010). */
const glorot = (fanIn: number, fanOut: number) =>
  ({ kind: 'uniform', bound: Math.sqrt(6 / (fanIn + fanOut)) }) as const

/** x Wᵀ + b on the last dim: `[..., inputs]` → `[..., outputs]`; weight `[outputs, inputs]` as in PyTorch. */
export const linear: MakeLinear = typed((inputs: number, outputs: number) =>
  layer(
    {
      weight: parameter([outputs, inputs], glorot(inputs, outputs)),
      bias: parameter([outputs], zeros, { decay: false }),
    },
    (self, x: AnyTensor) => linearOp(x, self.weight, self.bias),
  ),
)

/** Layer norm over the last dim of size `dim`. @param eps 1e-6 as in timm's ViT */
export const layerNorm: MakeLayerNorm = typed((dim: number, eps = 1e-6) =>
  layer(
    { weight: parameter([dim], ones, { decay: false }), bias: parameter([dim], zeros, { decay: false }) },
    (self, x: AnyTensor) => layerNormOp(x, self.weight, self.bias, eps),
  ),
)

/** In training, sets a fraction `rate` of the elements to zero and scales the others by 1 / (1 − rate). */
export const dropout: MakeDropout = typed((rate: number) =>
  layer({}, (_, x: AnyTensor) => dropoutOp(x, rate)),
)

/**
 * Cuts an image into squares of `patch` pixels and maps each linearly to a vector, which equals a convolution with
 * kernel = stride = patch: `[B, channels, H, W]` → `[B, H/patch · W/patch, dim]`. Weights have the convolution's shape.
 */
export const patchEmbed: MakePatchEmbed = typed(
  (image: number, channels: number, patch: number, dim: number) => {
    const side = image / patch
    const features = channels * patch * patch
    return layer(
      {
        proj: {
          weight: parameter([dim, channels, patch, patch], glorot(features, dim)),
          bias: parameter([dim], zeros, { decay: false }),
        },
      },
      ({ proj }, x: AnyTensor) => {
        const [batch] = x.shape
        const grid = reshape(x, [batch, channels, side, patch, side, patch])
        const patches = transpose(grid, [0, 2, 4, 1, 3, 5]) // [B, side, side, channels, patch, patch]
        const flat = reshape(patches, [batch, side * side, features])
        return linearOp(flat, reshape(proj.weight, [dim, features]), proj.bias)
      },
    )
  },
)

/**
 * Multi-head self-attention (Vaswani et al. 2017): `heads` attentions, each on its slice of `dim / heads` of the embedding,
 * concatenated and projected. `[B, T, dim]` → `[B, T, dim]`. `weights` returns the attention weights, `[B, heads, T, T]`: the same
 * nodes, so that they cost nothing extra.
 * @param causal whether a token attends only to itself and earlier tokens
 * @throws UserError when `heads` does not divide `dim`
 */
export const attention: MakeAttention = typed((dim: number, heads: number, rate = 0, causal = false) => {
  if (dim % heads) throw new UserError(`attention: dim ${dim} is not divisible by heads ${heads}`)
  const size = dim / heads
  const qkv = linear(dim, 3 * dim)
  const project = (x: AnyTensor): [q: AnyTensor, k: AnyTensor, v: AnyTensor] => {
    const split = transpose(reshape(qkv(x), [x.shape[0], x.shape[1], 3, heads, size]), [2, 0, 3, 1, 4])
    return [select(split, 0, 0), select(split, 0, 1), select(split, 0, 2)] // [B, heads, T, size]
  }
  const weights = (x: AnyTensor): AnyTensor => {
    const [q, k] = project(x)
    const scores = mul(matmul(q, transpose(k, [0, 1, 3, 2])), 1 / Math.sqrt(size)) // [B, heads, T, T]
    return softmax(causal ? hideFuture(scores) : scores)
  }
  return layer(
    { qkv, weights, proj: linear(dim, dim), drop: dropout(rate) },
    ({ proj, drop }, x: AnyTensor) => {
      const [, , v] = project(x)
      const mixed = transpose(matmul(weights(x), v), [0, 2, 1, 3]) // [B, T, heads, size]
      return drop(proj(reshape(mixed, x.shape)))
    },
  )
})

/** A learned vector for each of `count` ids: int32 or int64 `[...]` → `[..., dim]`, like torch.nn.Embedding. */
export const embedding: MakeEmbedding = typed(
  (count: number, dim: number, init: Init = { kind: 'normal', std: 1 }) =>
    layer({ weight: parameter([count, dim], init, { decay: false }) }, (self, ids: AnyTensor) =>
      gather(self.weight, ids),
    ),
)

/** Two linear layers with a GELU between them: `[..., dim]` → `[..., dim]`. */
export const feedForward: MakeFeedForward = typed((dim: number, hidden: number, rate = 0) =>
  layer(
    { fc1: linear(dim, hidden), fc2: linear(hidden, dim), drop: dropout(rate) },
    ({ fc1, fc2, drop }, x: AnyTensor) => drop(fc2(drop(gelu(fc1(x))))),
  ),
)

/** Prepends the same learned tokens to each sequence: `[1, n, dim]`, `[B, T, dim]` → `[B, n + T, dim]`. */
export const prepend: PrependFn = typed((tokens: AnyTensor, x: AnyTensor): AnyTensor => {
  const [, n, dim] = tokens.shape
  return concat([expand(tokens, [x.shape[0], n, dim]), x], 1)
})
