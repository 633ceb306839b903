import type { Pixels, Size } from './resample.ts'

export interface Decoded extends Size {
  /** Of each pixel: 1 and 2 are gray, 3 and 4 red, green and blue; the second and the fourth say how opaque it is. */
  readonly channels: number
}

/** Decoded pixels without transparency, in the same memory: on white, as browsers round. */
export function opaque(data: Uint8Array, { width, height, channels }: Decoded): Pixels {
  const colours = channels < 3 ? 1 : 3
  const size = width * height * colours
  if (channels > colours)
    for (let from = 0, at = 0; at < size; from += channels) {
      const alpha = Number(data[from + colours])
      const white = 255 * (255 - alpha) + 127
      for (let c = 0; c < colours; c++) data[at++] = (Number(data[from + c]) * alpha + white) / 255
    }
  return { data: data.subarray(0, size), width, height, channels: colours }
}

/** Four inks (CMYK), 0 … 255 of each for nothing … all, mixed as browsers and Pillow do without a profile, in the same memory. */
export function mixed(data: Uint8Array, { width, height, channels }: Decoded): Pixels {
  const size = width * height * 3
  for (let from = 0, at = 0; at < size; from += channels) {
    const light = 255 - Number(data[from + 3])
    for (let c = 0; c < 3; c++) data[at++] = Math.round(((255 - Number(data[from + c])) * light) / 255)
  }
  return { data: data.subarray(0, size), width, height, channels: 3 }
}
