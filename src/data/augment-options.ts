import { UserError } from '../graph/errors.ts'
import { isKey } from '../graph/keys.ts'

/**
 * Random changes of training images, different in each epoch. Settings that are omitted or 0 have no effect. Values are drawn
 * uniformly from the given range unless stated otherwise.
 */
export interface AugmentOptions {
  /** Largest shift along each axis, as a fraction of the side, as in torchvision's RandomAffine: 0.1 of 28 pixels is 2.8. 0 … 1 */
  readonly shift?: number
  /** Largest rotation in either direction, in degrees. 0 … 180 */
  readonly rotate?: number
  /** Largest relative change of size: 0.1 for 0.9 … 1.1. 0 … 0.9 */
  readonly scale?: number
  /** Largest horizontal shear in either direction, in degrees, as in torchvision's RandomAffine. 0 … 60 */
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
  /** Flips an image horizontally with probability 1/2: not for digits or letters. */
  readonly flip?: boolean
  /** α of mixup (Zhang et al. 2018): an image is blended with another of its batch, weighted by Beta(α, α). 0 … 100 */
  readonly mixup?: number
  /**
   * α of CutMix (Yun et al. 2019): a rectangle of the image, with an area drawn from Beta(α, α), is taken from another of its
   * batch. With `mixup` also set, one of the two is chosen at random for each image. 0 … 100
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
    if (typeof value !== 'boolean') throw new UserError(`augment: flip must be true or false, not ${value}`)
    return
  }
  if (!isKey(MOST_AUGMENT, name)) {
    const known = [...Object.keys(MOST_AUGMENT), 'flip'].join(', ')
    throw new UserError(`augment: unknown setting ${name}; the settings are ${known}`)
  }
  const most = MOST_AUGMENT[name]
  if (typeof value !== 'number' || !(value >= 0 && value <= most)) {
    throw new UserError(`augment: ${name} must be a number in 0 … ${most}, not ${value}`)
  }
}
