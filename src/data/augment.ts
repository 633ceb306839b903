import type { Rng } from '../graph/random.ts'
import { erasing, warping } from './augment-image.ts'
import { type Mix, mixing } from './augment-mix.ts'
import { type AugmentOptions, checkOption } from './augment-options.ts'
import type { ImageShape } from './preprocess.ts'

export type { AugmentOptions }

/** Changes images in place; reuses its memory and so works on one image at a time. */
export interface Augmenter {
  /** @param pixels of one image, `[channels, height, width]` in [0, 1], in which they stay */
  image(pixels: Float32Array, random: Rng): void
  /** Mixes the images of a batch with each other, if enabled. */
  readonly mix?: Mix
}

/** Augmentation of images of any size. */
export interface Augmentation {
  /** Its settings: `augmentation(settings)` gives the same augmentation. */
  readonly settings: AugmentOptions
  /** @internal For images of that shape. */
  of(shape: ImageShape): Augmenter
}

/** Whether images are mixed with each other, and their labels with them. */
export const mixes = ({ settings: { mixup = 0, cutmix = 0 } }: Augmentation): boolean => mixup + cutmix > 0

/** @throws UserError where a setting is unknown or out of its range */
export function augmentation(options: AugmentOptions): Augmentation {
  const settings = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  for (const [name, value] of Object.entries(settings)) checkOption(name, value)
  return {
    settings,
    of(shape) {
      const steps = [warping(shape, options), erasing(shape, options)].filter(step => step !== undefined)
      const mix = mixing(shape, options)
      return {
        image(pixels, random) {
          for (const step of steps) step(pixels, random)
        },
        ...(mix && { mix }),
      }
    },
  }
}
