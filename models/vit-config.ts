import { UserError } from '../src/graph/errors.ts'
import type { Tensor } from '../src/graph/tensor.ts'
import type { Divides, Flag } from '../src/graph/typed/config.ts'
import type { ModelOf } from '../src/nn/model.ts'
import { checkDepth, checkDropout, checkHeads, checkLayers, checkSizes, shown } from './config.ts'

/** Configuration of `vit`. */
export interface ViTConfig {
  /** Height and width of the (square) image in pixels. */
  readonly image: number
  /** Color channels of the image. */
  readonly channels: number
  /** Height and width of a patch in pixels; divides `image`. */
  readonly patch: number
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
  /** Hidden sizes of the classification head. @default [] (one linear layer) */
  readonly head?: readonly number[]
  /** What the head reads: the CLS token, or the mean of the patches' tokens. @default 'cls' */
  readonly pool?: 'cls' | 'mean'
  /**
   * Whether there is a distillation token with a head of its own (DeiT, Touvron et al. 2021). Logits are the mean of both heads, in
   * training too. @default false
   */
  readonly distilled?: boolean
}

/** `C`, or the run time's message in place of the number that does not fit. */
export type CheckViT<C extends ViTConfig> =
  Exclude<keyof C, keyof ViTConfig> extends never
    ? Divides<C['patch'], C['image']> extends false
      ? Flag<C, 'patch', `vit: patch ${C['patch']} does not divide image ${C['image']}`>
      : Divides<C['heads'], C['dim']> extends false
        ? Flag<C, 'heads', `vit: dim ${C['dim']} is not divisible by heads ${C['heads']}`>
        : C
    : Flag<C, Exclude<keyof C, keyof ViTConfig>, 'vit has no such option'>

/** A ViT that knows which images it takes and how many logits it gives. */
export type ViT<
  Image extends number = number,
  Channels extends number = number,
  Classes extends number = number,
> = ModelOf<
  { readonly image: { readonly shape: readonly [Channels, Image, Image] } },
  { readonly logits: Tensor<'float32', ['batch', Classes]> },
  object
>

export type MakeViT = <const C extends ViTConfig>(
  config: CheckViT<C>,
) => ViT<C['image'], C['channels'], C['classes']>

/** @throws UserError for a configuration that cannot be built, with its numbers */
export function checkViT(config: ViTConfig): void {
  const {
    image,
    channels,
    patch,
    dim,
    depth,
    heads,
    mlp,
    classes,
    head = [],
    pool = 'cls',
    distilled,
  } = config
  checkSizes('vit', { image, channels, patch, dim, heads, mlp, classes })
  checkDepth('vit', depth)
  checkLayers('vit', { head })
  if (image % patch) throw new UserError(`vit: patch ${patch} does not divide image ${image}`)
  checkHeads('vit', config)
  checkDropout('vit', config)
  if (pool !== 'cls' && pool !== 'mean')
    throw new UserError(`vit: pool must be cls or mean, not ${shown(pool)}`)
  if (distilled && pool === 'mean')
    throw new UserError(
      'vit: distilled has a head for each of two tokens, so pool cannot be mean; leave one out',
    )
}
