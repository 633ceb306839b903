import { nth } from '../graph/present.ts'

/** A decoded picture: upright, 8 bits, sRGB, without transparency; row-major, channels interleaved. */
export interface Pixels {
  /** `height × width × channels`, 0 … 255. */
  readonly data: Uint8Array
  readonly width: number
  readonly height: number
  /** 1: grayscale, 3: RGB. */
  readonly channels: 1 | 3
}

export interface Size {
  readonly width: number
  readonly height: number
}

/** A part of a picture, in whole pixels. */
export interface Window extends Size {
  readonly left: number
  readonly top: number
}

/** Bits of a weight behind the point, as in Pillow: 32 less 8 of a pixel, less 2 of headroom. */
const BITS = 22
const HALF = 2 ** (BITS - 1)

/** For each output pixel of a line: the first input pixel that it reads, how many, and their weights as fixed-point numbers. */
interface Taps {
  readonly first: Int32Array
  readonly count: Int32Array
  /** `stride` of them for each output pixel. */
  readonly weights: Int32Array
  readonly stride: number
}

/**
 * A picture in another size, to the bit as Pillow's `Image.resize(size, BILINEAR)`, which is torchvision's `Resize` on PIL images:
 * a triangle filter, as wide as what a pixel covers where the picture shrinks (antialiasing), along rows and then along columns, each pass
 * rounded to 8 bits.
 * @param window the part of the result that is wanted; nothing else is computed. @default all of it
 */
export function resample(picture: Pixels, to: Size, window: Window = { left: 0, top: 0, ...to }): Pixels {
  const rows = taps(picture.height, to.height, window.top, window.height)
  const columns = taps(picture.width, to.width, window.left, window.width)
  // Since version 13 Pillow turns the passes round where the second has less to do then; that shifts roundings.
  const shorter = picture.height - to.height
  if (shorter > 0 && shorter > 2 * (picture.width - to.width))
    return horizontal(vertical(picture, rows, 0), columns, 0, window.height)
  const top = Number(rows.first[0])
  const bottom = nth(rows.first, -1) + nth(rows.count, -1)
  return vertical(horizontal(picture, columns, top, bottom), rows, top)
}

/** Pillow's `precompute_coeffs` for the outputs `start … start + length` of `to` equal parts of a line of `from` pixels. */
function taps(from: number, to: number, start: number, length: number): Taps {
  const scale = from / to
  const support = Math.max(1, scale)
  const stride = 2 * Math.ceil(support) + 1
  const first = new Int32Array(length)
  const count = new Int32Array(length)
  const weights = new Int32Array(length * stride)
  for (let i = 0; i < length; i++) {
    const centre = (start + i + 0.5) * scale
    const low = Math.max(0, Math.trunc(centre - support + 0.5))
    const high = Math.min(from, Math.trunc(centre + support + 0.5))
    const raw = Array.from({ length: high - low }, (_, k) =>
      Math.max(0, 1 - Math.abs((low + k - centre + 0.5) * (1 / support))),
    )
    const sum = raw.reduce((a, b) => a + b, 0)
    raw.forEach((w, k) => {
      weights[i * stride + k] = Math.trunc(0.5 + (w / sum) * 2 ** BITS)
    })
    first[i] = low
    count[i] = high - low
  }
  return { first, count, weights, stride }
}

/** The rows `top … bottom` in their new width. */
function horizontal(
  picture: Pixels,
  { first, count, weights, stride }: Taps,
  top: number,
  bottom: number,
): Pixels {
  const { data, channels } = picture
  const width = first.length
  const height = bottom - top
  const out = new Uint8Array(height * width * channels)
  let at = 0
  for (let y = top; y < bottom; y++) {
    const row = y * picture.width
    for (let x = 0; x < width; x++) {
      const start = (row + Number(first[x])) * channels
      const taps = Number(count[x])
      const weight = x * stride
      for (let c = 0; c < channels; c++) {
        let sum = HALF
        for (let k = 0, from = start + c; k < taps; k++, from += channels)
          sum += Number(data[from]) * Number(weights[weight + k])
        out[at++] = clipped(sum)
      }
    }
  }
  return { data: out, width, height, channels }
}

/** @param top the row of the whole picture that `picture` begins with */
function vertical(picture: Pixels, { first, count, weights, stride }: Taps, top: number): Pixels {
  const { data, width, channels } = picture
  const height = first.length
  const row = width * channels
  const out = new Uint8Array(height * row)
  const sums = new Float64Array(row)
  for (let y = 0; y < height; y++) {
    sums.fill(HALF)
    for (let k = 0; k < Number(count[y]); k++) {
      const weight = Number(weights[y * stride + k])
      const from = (Number(first[y]) - top + k) * row
      for (let x = 0; x < row; x++) sums[x] = Number(sums[x]) + Number(data[from + x]) * weight
    }
    for (let x = 0; x < row; x++) out[y * row + x] = clipped(Number(sums[x]))
  }
  return { data: out, width, height, channels }
}

/** Weights add up to 1 but for their rounding: sums stay below 2 ** 31. */
const clipped = (sum: number): number => Math.min(255, sum >> BITS)
