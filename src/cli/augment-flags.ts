import type { Options } from 'yargs'
import type { AugmentOptions } from '../data/augment.ts'

const amount = (describe: string) => ({ type: 'number', describe, group: 'Augmentation:' }) as const

/** Flags that change training images, differently in each epoch; they are the settings of `augmentation`. */
export const AUGMENT_FLAGS = {
  shift: amount('Shift images by up to this fraction of their side'),
  rotate: amount('Rotate images by up to this many degrees'),
  scale: amount('Scale images by up to this fraction'),
  shear: amount('Shear images by up to this many degrees'),
  elastic: amount('Distort images elastically: root mean square of the displacement, in pixels'),
  erase: amount('Fraction of images in which a rectangle is erased'),
  flip: { type: 'boolean', describe: 'Mirror every other image (not for digits)', group: 'Augmentation:' },
  mixup: amount('Mix images in pairs, with weights drawn from Beta(α, α): α, such as 0.2'),
  cutmix: amount('Paste a rectangle of another image, its area drawn from Beta(α, α): α, such as 1'),
} as const satisfies Record<keyof AugmentOptions, Options>

/** What the flags ask for; undefined where they ask for nothing. */
export function augmentOptions(flags: Readonly<Record<string, unknown>>): AugmentOptions | undefined {
  const given = Object.keys(AUGMENT_FLAGS).filter(key => flags[key])
  return given.length ? Object.fromEntries(given.map(key => [key, flags[key]])) : undefined
}
