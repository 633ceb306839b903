import type { Parameter } from '../graph/leaf.ts'
import type { Shape } from '../graph/shape.ts'
import type { Tensor } from '../graph/tensor.ts'
import type { Divide, Multiply } from '../graph/typed/config.ts'
import type { LayerNorm, Linear } from '../graph/typed/layers.ts'
import type { Concat } from '../graph/typed/pieces.ts'
import type { Arg, Out, Reshape } from '../graph/typed/shapes.ts'
import type { FloatUnaryFn } from '../graph/typed/signatures.ts'
import type { Layer, UnaryLayer } from './layer.ts'

/** Types of the layers: the shapes of their parameters, and which inputs their forward functions take. */

type F32<S> = Tensor<'float32', S>
type Weight<S> = Parameter<'float32', S>

export type LinearLayer<In extends number, O extends number> = Layer<
  { weight: Weight<[O, In]>; bias: Weight<[O]> },
  <X extends Shape>(x: Arg<Linear<'linear', X, [O, In]>, F32<X>>) => F32<Out<Linear<'linear', X, [O, In]>>>
>

export type MakeLinear = <const I extends number, const O extends number>(
  inputs: I,
  outputs: O,
) => LinearLayer<I, O>

export type LayerNormLayer<N extends number> = Layer<
  { weight: Weight<[N]>; bias: Weight<[N]> },
  <X extends Shape>(x: Arg<LayerNorm<'layerNorm', X, [N]>, F32<X>>) => F32<X>
>

export type MakeLayerNorm = <const N extends number>(dim: N, eps?: number) => LayerNormLayer<N>

export type DropoutLayer = Layer<object, FloatUnaryFn>

export type MakeDropout = (rate: number) => DropoutLayer

/** From and to `[..., In]`, through a first linear layer of `O` outputs. */
type Through<In extends number, O extends number> = <X extends Shape>(
  x: Arg<Linear<'linear', X, [O, In]>, F32<X>>,
) => F32<X>

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

export type MlpLayer<N extends number, Hidden extends number> = Layer<
  { fc1: LinearLayer<N, Hidden>; fc2: LinearLayer<Hidden, N>; drop: DropoutLayer },
  Through<N, Hidden>
>

export type MakeMlp = <const N extends number, const H extends number>(
  dim: N,
  hidden: H,
  rate?: number,
) => MlpLayer<N, H>

/** An image of `Channels` and `Image` × `Image` pixels, cut into patches of `Patch` × `Patch`. */
export type Patches<
  X extends Shape,
  Image extends number,
  Channels extends number,
  Patch extends number,
> = Reshape<'reshape', X, [X[0], Channels, Divide<Image, Patch>, Patch, Divide<Image, Patch>, Patch]>

export type PatchEmbedLayer<
  Image extends number,
  Channels extends number,
  Patch extends number,
  N extends number,
> = Layer<
  { proj: { weight: Weight<[N, Channels, Patch, Patch]>; bias: Weight<[N]> } },
  <X extends Shape>(
    image: Arg<Patches<X, Image, Channels, Patch>, F32<X>>,
  ) => F32<[X[0], Multiply<Divide<Image, Patch>, Divide<Image, Patch>>, N]>
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
  tokens: F32<T>,
  x: Arg<Prepended<T, X>, F32<X>>,
) => F32<Out<Prepended<T, X>>>
