import type { Options } from 'yargs'
import type { AugmentOptions } from '../data/augment.ts'

const amount = (describe: string) => ({ type: 'number', describe, group: 'Augmentation:' }) as const

/** Flags that change training images, each time anew; they are the settings of `augmentation`. */
export const AUGMENT_FLAGS = {
  shift: amount('Move images by up to this share of their side'),
  rotate: amount('Turn images by up to so many degrees'),
  scale: amount('Change their size by up to this share'),
  shear: amount('Lean them by up to so many degrees'),
  elastic: amount('Distort them elastically: root mean square of a displacement, in pixels'),
  erase: amount('Share of images in which a rectangle is erased'),
  flip: { type: 'boolean', describe: 'Mirror every other image (not for digits)', group: 'Augmentation:' },
  mixup: amount('Mix images in pairs, by shares of Beta(α, α): α, such as 0.2'),
  cutmix: amount('Paste a rectangle of another image, of a share of Beta(α, α): α, such as 1'),
} as const satisfies Record<keyof AugmentOptions, Options>

/** What the flags ask for; undefined where they ask for nothing. */
export function augmentOptions(flags: Readonly<Record<string, unknown>>): AugmentOptions | undefined {
  const given = Object.keys(AUGMENT_FLAGS).filter(key => flags[key])
  return given.length ? Object.fromEntries(given.map(key => [key, flags[key]])) : undefined
}
