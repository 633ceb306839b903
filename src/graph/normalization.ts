/** Mean and standard deviation of each channel of an image, whose pixels are in [0, 1]. */
export interface Normalization {
  /** One per channel. */
  readonly mean: readonly number[]
  /** One per channel, above 0. */
  readonly std: readonly number[]
}
