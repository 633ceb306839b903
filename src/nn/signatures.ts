import type { IntType } from '../graph/dtype.ts'
import type { Init } from '../graph/init.ts'
import type { Parameter } from '../graph/leaf.ts'
import type { Shape } from '../graph/shape.ts'
import type { Tensor } from '../graph/tensor.ts'
import type { Gather } from '../graph/typed/axes.ts'
import type { Divide, Divides, Multiply } from '../graph/typed/config.ts'
import type { ConvOptions, RunningOptions } from '../graph/typed/image-signatures.ts'
import type { CheckOptions, Conv2d, GroupNorm, Option, Options, PerChannel } from '../graph/typed/images.ts'
import type { LayerNorm, Linear } from '../graph/typed/layers.ts'
import type { Concat } from '../graph/typed/pieces.ts'
import type { Arg, Out, Reshape } from '../graph/typed/shapes.ts'
import type { FloatUnaryFn } from '../graph/typed/signatures.ts'
import type { Layer, UnaryLayer } from './layer.ts'

/** Types of the layers: the shapes of their parameters, and which inputs their forward functions take. */

/** What `linear` returns: `[..., In]` to `[..., O]`. */
export type LinearLayer<In extends number, O extends number> = Layer<
  { weight: Parameter<'float32', [O, In]>; bias: Parameter<'float32', [O]> },
  <X extends Shape>(
    x: Arg<Linear<'linear', X, [O, In]>, Tensor<'float32', X>>,
  ) => Tensor<'float32', Out<Linear<'linear', X, [O, In]>>>
>

export type MakeLinear = <const I extends number, const O extends number>(
  inputs: I,
  outputs: O,
) => LinearLayer<I, O>

/** What `layerNorm` returns: `[..., N]` to the same shape. */
export type LayerNormLayer<N extends number> = Layer<
  { weight: Parameter<'float32', [N]>; bias: Parameter<'float32', [N]> },
  <X extends Shape>(x: Arg<LayerNorm<'layerNorm', X, [N]>, Tensor<'float32', X>>) => Tensor<'float32', X>
>

export type MakeLayerNorm = <const N extends number>(dim: N, eps?: number) => LayerNormLayer<N>

/** What `dropout` returns. */
export type DropoutLayer = Layer<object, FloatUnaryFn>

export type MakeDropout = (rate: number) => DropoutLayer

/** What `embedding` returns: integers `[...]` to `[..., N]`. */
export type EmbeddingLayer<Count extends number, N extends number> = Layer<
  { weight: Parameter<'float32', [Count, N]> },
  <I extends Shape>(ids: Tensor<IntType, I>) => Tensor<'float32', Out<Gather<'gather', [Count, N], I, 0>>>
>

export type MakeEmbedding = <const Count extends number, const N extends number>(
  count: Count,
  dim: N,
  init?: Init,
) => EmbeddingLayer<Count, N>

/** From and to `[..., In]`, through a first linear layer of `O` outputs. */
type Through<In extends number, O extends number> = <X extends Shape>(
  x: Arg<Linear<'linear', X, [O, In]>, Tensor<'float32', X>>,
) => Tensor<'float32', X>

/** What `attention` returns: `[..., T, N]` to the same shape. */
export type AttentionLayer<N extends number> = Layer<
  {
    qkv: LinearLayer<N, Multiply<3, N>>
    weights: UnaryLayer
    proj: LinearLayer<N, N>
    drop: DropoutLayer
  },
  Through<N, Multiply<3, N>>
>

export type MakeAttention = <const N extends number>(
  dim: N,
  heads: number,
  rate?: number,
  causal?: boolean,
) => AttentionLayer<N>

/** What `feedForward` returns: `[..., N]` to the same shape, through a layer of `Hidden` units. */
export type FeedForwardLayer<N extends number, Hidden extends number> = Layer<
  { fc1: LinearLayer<N, Hidden>; fc2: LinearLayer<Hidden, N>; drop: DropoutLayer },
  Through<N, Hidden>
>

export type MakeFeedForward = <const N extends number, const H extends number>(
  dim: N,
  hidden: H,
  rate?: number,
) => FeedForwardLayer<N, H>

/** An image of `Channels` and `Image` × `Image` pixels, cut into patches of `Patch` × `Patch`. */
export type Patches<
  X extends Shape,
  Image extends number,
  Channels extends number,
  Patch extends number,
> = Reshape<'reshape', X, [X[0], Channels, Divide<Image, Patch>, Patch, Divide<Image, Patch>, Patch]>

/** What `patchEmbed` returns: images `[B, C, H, W]` to tokens `[B, T, N]`. */
export type PatchEmbedLayer<
  Image extends number,
  Channels extends number,
  Patch extends number,
  N extends number,
> = Layer<
  { proj: { weight: Parameter<'float32', [N, Channels, Patch, Patch]>; bias: Parameter<'float32', [N]> } },
  <X extends Shape>(
    image: Arg<Patches<X, Image, Channels, Patch>, Tensor<'float32', X>>,
  ) => Tensor<'float32', [X[0], Multiply<Divide<Image, Patch>, Divide<Image, Patch>>, N]>
>

export type MakePatchEmbed = <
  const I extends number,
  const C extends number,
  const P extends number,
  const N extends number,
>(
  image: I,
  channels: C,
  patch: P,
  dim: N,
) => PatchEmbedLayer<I, C, P, N>

type Prepended<T extends Shape, X extends Shape> = Concat<'concat', [[X[0], T[1], T[2]], X], 1>

export type PrependFn = <T extends Shape, X extends Shape>(
  tokens: Tensor<'float32', T>,
  x: Arg<Prepended<T, X>, Tensor<'float32', X>>,
) => Tensor<'float32', Out<Prepended<T, X>>>

/** Options of `conv2d`. */
export interface Conv2dOptions extends ConvOptions {
  /** Adds a learned number to each output channel. @default true */
  readonly bias?: boolean
  /** How the weight starts. @default uniform in ±1 / √fan-in, as in PyTorch */
  readonly init?: Init
}

type ConvWeight<In extends number, N extends number, K extends number, O> = [
  N,
  Option<O, 'groups', 1> extends infer G extends number ? ([G] extends [1] ? In : Divide<In, G>) : number,
  K,
  K,
]

/** The bias of a layer whose options may say that it has none. */
type OptionalBias<N extends number, B> = [B] extends [true]
  ? { bias: Parameter<'float32', [N]> }
  : [B] extends [false]
    ? { bias?: undefined }
    : { bias?: Parameter<'float32', [N]> }

/** What `conv2d` returns: `[B, In, H, W]` to `[B, N, H′, W′]`. */
export type Conv2dLayer<In extends number, N extends number, K extends number, O = object> = Layer<
  { weight: Parameter<'float32', ConvWeight<In, N, K, O>> } & OptionalBias<N, Option<O, 'bias', true>>,
  <X extends Shape>(
    x: Arg<Conv2d<'conv2d', X, ConvWeight<In, N, K, O>, O>, Tensor<'float32', X>>,
  ) => Tensor<'float32', Out<Conv2d<'conv2d', X, ConvWeight<In, N, K, O>, O>>>
>

type CheckConv2d<In extends number, N extends number, O> = {
  readonly [K in keyof O]: K extends 'groups'
    ? CheckGroups<In, N, O[K]>
    : CheckOptions<'conv2d', O, Conv2dOptions>[K]
}

type CheckGroups<In extends number, N extends number, G> = G extends number
  ? Divides<G, In> extends false
    ? `conv2d: ${In} input channels are not divisible by groups ${G}`
    : Divides<G, N> extends false
      ? `conv2d: ${N} output channels are not divisible by groups ${G}`
      : number
  : number | undefined

export type MakeConv2d = <
  const In extends number,
  const N extends number,
  const K extends number,
  const O extends CheckConv2d<In, N, O> = Record<never, never>,
>(
  inputs: In,
  outputs: N,
  kernel: K,
  options?: Options<O, CheckConv2d<In, N, O>, Conv2dOptions>,
) => Conv2dLayer<In, N, K, O>

/** What `batchNorm2d` returns: `[B, N, H, W]` to the same shape. */
export type BatchNorm2dLayer<N extends number> = Layer<
  {
    weight: Parameter<'float32', [N]>
    bias: Parameter<'float32', [N]>
    running_mean: Parameter<'float32', [N]>
    running_var: Parameter<'float32', [N]>
  },
  <X extends Shape>(
    x: Arg<PerChannel<'batchNorm', 'weight', X, [N]>, Tensor<'float32', X>>,
  ) => Tensor<'float32', X>
>

export type MakeBatchNorm2d = <const N extends number>(
  channels: N,
  options?: RunningOptions,
) => BatchNorm2dLayer<N>

/** What `groupNorm` returns: `[B, N, H, W]` to the same shape. */
export type GroupNormLayer<G extends number, N extends number> = Layer<
  { weight: Parameter<'float32', [N]>; bias: Parameter<'float32', [N]> },
  <X extends Shape>(x: Arg<GroupNorm<'groupNorm', X, G, [N]>, Tensor<'float32', X>>) => Tensor<'float32', X>
>

export type MakeGroupNorm = <const G extends number, const N extends number>(
  groups: Arg<
    Divides<G, N> extends false ? `groupNorm: ${N} channels are not divisible by groups ${G}` : G,
    G
  >,
  channels: N,
  eps?: number,
) => GroupNormLayer<G, N>
