/** Classes of digits. */
export const DIGITS = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'] as const

/** A grayscale picture: 0 = black, 255 = white, `height × width`, row-major. */
export interface Gray {
  readonly pixels: Uint8Array
  readonly width: number
  readonly height: number
}

/** Pictures whose lightest and darkest pixels are closer than this hold nothing to see, only noise. */
const LEAST_CONTRAST = 16

/** Ink below this share of the darkest is taken for noise of the paper when the digit's bounding box is sought. */
const INK = 0.2

/** Whether all pixels have nearly the same value. */
export function isBlank({ pixels }: Gray): boolean {
  const [least, most] = range(pixels)
  return most - least < LEAST_CONTRAST
}

/**
 * White ink on a black ground, as MNIST has it: a picture with a light ground is inverted. The ground is the median of
 * the border pixels; it is light where it is nearer to the lightest pixel than to the darkest.
 */
export function lightOnDark(gray: Gray): { gray: Gray; inverted: boolean } {
  const [least, most] = range(gray.pixels)
  const ground = borderMedian(gray)
  if (ground - least <= most - ground) return { gray, inverted: false }
  return { gray: { ...gray, pixels: gray.pixels.map(v => 255 - v) }, inverted: true }
}

/**
 * A picture of one digit, light on dark and of any size, as MNIST's makers prepared theirs: the ink's bounding box is scaled so
 * that its longer side takes 20 pixels, each the mean of the area it covers, and put with its centre of mass into the
 * middle of 28 × 28 pixels. The strongest ink becomes 1. Returns `[28 × 28]` values in [0, 1].
 *
 * Source: Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998, section III.A.
 */
export function centreDigit(gray: Gray): Float32Array {
  const { pixels, width } = gray
  const ground = borderMedian(gray)
  const box = boundingBox(gray, ground + INK * (range(pixels)[1] - ground))
  const scale = 20 / Math.max(box.width, box.height)
  const w = Math.max(1, Math.round(box.width * scale))
  const h = Math.max(1, Math.round(box.height * scale))

  const ink = (x: number, y: number) => Math.max(0, pixels[(box.top + y) * width + box.left + x]! - ground)
  const small = resampled(box, { width: w, height: h }, ink)

  let mass = 0
  let momentX = 0
  let momentY = 0
  let strongest = 0
  small.forEach((v, i) => {
    mass += v
    momentX += v * (i % w)
    momentY += v * Math.floor(i / w)
    strongest = Math.max(strongest, v)
  })
  // A lopsided digit would leave the frame, hence the limits.
  const left = Math.min(Math.max(Math.round(14 - momentX / mass), 0), 28 - w)
  const top = Math.min(Math.max(Math.round(14 - momentY / mass), 0), 28 - h)
  const digit = new Float32Array(28 * 28)
  small.forEach((v, i) => {
    digit[(top + Math.floor(i / w)) * 28 + left + (i % w)] = v / strongest
  })
  return digit
}

export interface Size {
  readonly width: number
  readonly height: number
}

/** A picture in another size: each pixel is the mean of the area that it covers. Row-major. @param at a pixel of the picture */
export function resampled(from: Size, to: Size, at: (x: number, y: number) => number): Float64Array {
  const columns = areaMean(from.width, to.width)
  const rows = areaMean(from.height, to.height)
  const pixels = new Float64Array(to.width * to.height)
  for (let y = 0; y < to.height; y++)
    for (const [fromY, wy] of rows[y]!)
      for (let x = 0; x < to.width; x++)
        for (const [fromX, wx] of columns[x]!) pixels[y * to.width + x]! += wy * wx * at(fromX, fromY)
  return pixels
}

/** For each of `to` equal parts of a line of `from` pixels: the pixels it touches and their shares, which add up to 1. */
function areaMean(from: number, to: number): [pixel: number, share: number][][] {
  const step = from / to
  return Array.from({ length: to }, (_, i) => {
    const start = i * step
    const end = Math.min((i + 1) * step, from)
    const shares: [number, number][] = []
    for (let p = Math.floor(start); p < end; p++) {
      shares.push([p, (Math.min(p + 1, end) - Math.max(p, start)) / step])
    }
    return shares
  })
}

/** The smallest box that holds all pixels above the threshold, of which there is at least one. */
function boundingBox({ pixels, width, height }: Gray, threshold: number) {
  let left = width
  let right = -1
  let top = height
  let bottom = -1
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (pixels[y * width + x]! <= threshold) continue
      if (x < left) left = x
      if (x > right) right = x
      if (y < top) top = y
      bottom = y
    }
  }
  return { left, top, width: right - left + 1, height: bottom - top + 1 }
}

function borderMedian({ pixels, width, height }: Gray): number {
  const last = (height - 1) * width
  const sides = Array.from({ length: height }, (_, y) => [pixels[y * width]!, pixels[y * width + width - 1]!])
  const border = Uint8Array.from([
    ...pixels.subarray(0, width),
    ...pixels.subarray(last),
    ...sides.flat(),
  ]).sort()
  return border[border.length >> 1]!
}

function range(pixels: Uint8Array): [least: number, most: number] {
  let least = 255
  let most = 0
  for (const v of pixels) {
    if (v < least) least = v
    if (v > most) most = v
  }
  return [least, most]
}
