/** Red, green, blue and opacity, 0 … 255. */
export type Colour = readonly [number, number, number, number]

// Those of see.css.
const POSITIVE = [36, 120, 214] as const
const NEGATIVE = [226, 104, 32] as const
const SLATE = [22, 32, 46] as const
const AMBER = [255, 178, 36] as const

/** What lights a patch, and what darkens it, for CSS. */
export const GLOW = AMBER.join(' ')
export const DARK = SLATE.join(' ')

/** Blue above 0, orange below, clear at 0, full at ±`limit`: on light and on dark ground. */
export const signed =
  (limit: number) =>
  (v: number): Colour => [...(v < 0 ? NEGATIVE : POSITIVE), 255 * Math.min(1, Math.abs(v) / (limit || 1))]

/** Slate at 0, amber at 1. */
export const glow = (share: number): Colour => [
  SLATE[0] + (AMBER[0] - SLATE[0]) * share,
  SLATE[1] + (AMBER[1] - SLATE[1]) * share,
  SLATE[2] + (AMBER[2] - SLATE[2]) * share,
  255,
]

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
