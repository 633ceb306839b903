import { AMBER, type Colour, SLATE } from '../../../src/report/colour.ts'

export { type Colour, glow, signed } from '../../../src/report/colour.ts'

// Colours are those of see.css.

/** What lights a patch, and what darkens it, for CSS. */
export const GLOW = AMBER.join(' ')
export const DARK = SLATE.join(' ')

/** A pixel in [0, 1] of one channel or of three: slate instead of black. */
export const ink = (red: number, green = red, blue = red): Colour => [
  SLATE[0] + (255 - SLATE[0]) * red,
  SLATE[1] + (255 - SLATE[1]) * green,
  SLATE[2] + (255 - SLATE[2]) * blue,
  255,
]

/** Largest distance from 0. */
export const reach = (values: Float32Array): number =>
  values.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
