import { UserError } from '../graph/errors.ts'
import { isKey } from '../graph/keys.ts'

/**
 * Random changes of training images, different in each epoch. What is left out, or 0, is not done. Draws are uniform over the range
 * that a setting gives, unless it says otherwise.
 */
export interface AugmentOptions {
  /** Most that an image moves along each axis, as a share of its side, as in torchvision's RandomAffine: 0.1 of 28 pixels is 2.8. 0 … 1 */
  readonly shift?: number
  /** Most degrees that it turns, either way. 0 … 180 */
  readonly rotate?: number
  /** Most that its size changes, relatively: 0.1 for 0.9 … 1.1. 0 … 0.9 */
  readonly scale?: number
  /** Most degrees that it leans along the horizontal axis, either way, as in torchvision's RandomAffine. 0 … 60 */
  readonly shear?: number
  /**
   * Elastic distortion (Simard, Steinkraus, Platt 2003): how far a pixel moves along each axis, in pixels, as a root mean
   * square. The displacements are normal and smooth as under a Gaussian whose deviation is 1/7 of the side, 4 pixels of
   * 28: there, the paper's α = 34 is 1.4. 0 … 100
   */
  readonly elastic?: number
  /**
   * Probability of Random Erasing (Zhong et al. 2020): a rectangle becomes black, of 2 … 33 % of the image and with sides
   * 0.3 … 3.3 to 1, as torchvision's. 0 … 1
   */
  readonly erase?: number
  /** Mirrors every other image, by chance, left to right: not for digits or letters. */
  readonly flip?: boolean
  /** α of mixup (Zhang et al. 2018): an image becomes its mean with another of its batch, weighted by Beta(α, α). 0 … 100 */
  readonly mixup?: number
  /**
   * α of CutMix (Yun et al. 2019): a rectangle of the image, of a share of its area that Beta(α, α) gives, comes from
   * another of its batch. Beside `mixup` a coin decides for each image which of the two. 0 … 100
   */
  readonly cutmix?: number
}

/** The largest value of each number; the smallest is 0. */
export const MOST_AUGMENT = {
  shift: 1,
  rotate: 180,
  scale: 0.9,
  shear: 60,
  elastic: 100,
  erase: 1,
  mixup: 100,
  cutmix: 100,
} as const satisfies Record<Exclude<keyof AugmentOptions, 'flip'>, number>

/** @throws UserError for a setting that is unknown or out of its range */
export function checkOption(name: string, value: unknown): void {
  if (name === 'flip') {
    if (typeof value !== 'boolean') throw new UserError(`augment: flip ${value} is neither true nor false`)
    return
  }
  if (!isKey(MOST_AUGMENT, name)) {
    const known = [...Object.keys(MOST_AUGMENT), 'flip'].join(', ')
    throw new UserError(`augment: unknown setting ${name}; the settings are ${known}`)
  }
  const most = MOST_AUGMENT[name]
  if (typeof value !== 'number' || !(value >= 0 && value <= most)) {
    throw new UserError(`augment: ${name} ${value} is not a number in 0 … ${most}`)
  }
}
