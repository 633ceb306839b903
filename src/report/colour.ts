/** Red, green, blue and opacity, 0 … 255. */
export type Colour = readonly [number, number, number, number]

const POSITIVE = [36, 120, 214] as const
const NEGATIVE = [226, 104, 32] as const
export const SLATE = [22, 32, 46] as const
export const AMBER = [255, 178, 36] as const

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
