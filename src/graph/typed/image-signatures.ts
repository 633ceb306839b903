import type { DType, FloatType } from '../dtype.ts'
import type { Pair, WindowOptions } from '../images.ts'
import type { Shape } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import type {
  ChannelsPerGroup,
  CheckOptions,
  Conv2d,
  GlobalPool,
  HasChannels,
  Images,
  Options,
  PerChannel,
  Pool,
} from './images.ts'
import type { LinearBias } from './layers.ts'
import type { Arg, Out } from './shapes.ts'

/** Types of the ops on images and channels, in the style of `signatures.ts`. */

export interface ConvOptions extends WindowOptions {
  /** Groups of channels that are convolved apart; divides both counts of channels. @default 1 */
  readonly groups?: number
}

type Plain = Record<never, never>

/** `x` is `[n, c, h, w]`, `weight` `[out, c / groups, kh, kw]`, `bias` `[out]`. */
export type Conv2dFn<Op extends string = 'conv2d'> = <
  D extends DType,
  X extends Shape,
  W extends Shape,
  B extends Shape,
  const O extends CheckOptions<Op, O, ConvOptions> = Plain,
>(
  x: Arg<Images<Op, X>, Tensor<D, X>>,
  weight: Arg<Conv2d<Op, X, W, O>, Tensor<NoInfer<D>, W>>,
  bias?: Arg<LinearBias<Op, W, B>, Tensor<NoInfer<D>, B>>,
  options?: Options<O, CheckOptions<Op, O, ConvOptions>, ConvOptions>,
) => Tensor<D, Out<Conv2d<Op, X, W, O>>>

/** `x` is `[n, c, h, w]`; `Keys` are the options that it takes. */
export type PoolFn<Op extends string, Keys extends keyof WindowOptions = keyof WindowOptions> = <
  D extends DType,
  X extends Shape,
  const K extends Pair,
  const O extends CheckOptions<Op, O, Pick<WindowOptions, Keys>> = Plain,
>(
  x: Arg<Images<Op, X>, Tensor<D, X>>,
  kernel: Arg<Pool<Op, X, K, O>, K>,
  options?: Options<O, CheckOptions<Op, O, Pick<WindowOptions, Keys>>, Pick<WindowOptions, Keys>>,
) => Tensor<D, Out<Pool<Op, X, K, O>>>

export type GlobalPoolFn<Op extends string> = <D extends DType, X extends Shape>(
  x: Arg<Images<Op, X>, Tensor<D, X>>,
) => Tensor<D, Out<GlobalPool<Op, X>>>

/** `x` is `[n, c, ...]`, `weight` and `bias` are `[c]`. */
export type BatchNormFn<Op extends string = 'batchNorm'> = <
  D extends FloatType,
  X extends Shape,
  W extends Shape,
  B extends Shape,
>(
  x: Arg<HasChannels<Op, X>, Tensor<D, X>>,
  weight: Arg<PerChannel<Op, 'weight', X, W>, Tensor<NoInfer<D>, W>>,
  bias: Arg<PerChannel<Op, 'bias', X, B>, Tensor<NoInfer<D>, B>>,
  eps?: number,
) => Tensor<D, X>

export interface RunningOptions {
  /** Added to the variance. @default 1e-5 */
  readonly eps?: number
  /** Share of a batch's statistics in the new running ones. @default 0.1 */
  readonly momentum?: number
}

/** `x` is `[n, c, ...]`, the others are `[c]`. */
export type BatchNormRunningFn<Op extends string = 'batchNorm'> = <
  D extends FloatType,
  X extends Shape,
  W extends Shape,
  B extends Shape,
  M extends Shape,
  V extends Shape,
>(
  x: Arg<HasChannels<Op, X>, Tensor<D, X>>,
  weight: Arg<PerChannel<Op, 'weight', X, W>, Tensor<FloatType, W>>,
  bias: Arg<PerChannel<Op, 'bias', X, B>, Tensor<FloatType, B>>,
  runningMean: Arg<PerChannel<Op, 'running mean', X, M>, Tensor<FloatType, M>>,
  runningVar: Arg<PerChannel<Op, 'running variance', X, V>, Tensor<FloatType, V>>,
  options?: { readonly eps?: number },
) => Tensor<D, X>

/** `x` is `[n, c, ...]`, `groups` divides c, `weight` and `bias` are `[c]`. */
export type GroupNormFn<Op extends string = 'groupNorm'> = <
  D extends FloatType,
  X extends Shape,
  G extends number,
  W extends Shape,
  B extends Shape,
>(
  x: Arg<HasChannels<Op, X>, Tensor<D, X>>,
  groups: Arg<ChannelsPerGroup<Op, X, G>, G>,
  weight: Arg<PerChannel<Op, 'weight', X, W>, Tensor<NoInfer<D>, W>>,
  bias: Arg<PerChannel<Op, 'bias', X, B>, Tensor<NoInfer<D>, B>>,
  eps?: number,
) => Tensor<D, X>
