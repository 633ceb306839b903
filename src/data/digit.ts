import type { Pixels, Size, Window } from './resample.ts'

/** Classes of digits. */
export const DIGITS = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'] as const

/** Light ink on a dark ground, as in MNIST, or dark ink on a light ground, as on paper. */
export type Ink = 'light' | 'dark'

/** A grayscale picture. */
export type Gray = Pixels & { readonly channels: 1 }

/** Pictures whose lightest and darkest pixels are closer than this hold no ink, only noise. */
const LEAST_CONTRAST = 16

/** Share of the border pixels that must agree before they say what the ground is. */
const CLEAR = 0.75

/**
 * What counts as ink, as a share of the strongest ink, where the bounding box is sought: on a clean ground the least, for MNIST's faint outer
 * pixels belong to its boxes; on a noisy ground more, up to the most.
 */
const LEAST_INK = 0.1
const MOST_INK = 0.4

/** MNIST's frame, and the box in it that a digit fills. */
const FRAME = 28
const BOX = 20

/** Whether all pixels have nearly the same value. */
export function isBlank({ data }: Gray): boolean {
  const [least, most] = range(data)
  return most - least < LEAST_CONTRAST
}

/** The ink of a drawing, whose ground is what its border shows; undefined where the border does not say it clearly. */
export function inkOf(drawing: Gray): Ink | undefined {
  const [least, most] = range(drawing.data)
  if (most - least < LEAST_CONTRAST) return undefined
  const border = borderOf(drawing)
  const light = border.filter(v => v > (least + most) / 2).length / border.length
  if (light >= CLEAR) return 'dark'
  return light <= 1 - CLEAR ? 'light' : undefined
}

/** What most drawings have; where as many have the one as the other, or none says it, as MNIST has it. */
export const mostOf = (inks: readonly (Ink | undefined)[]): Ink =>
  inks.filter(ink => ink === 'dark').length > inks.filter(ink => ink === 'light').length ? 'dark' : 'light'

/**
 * A drawing of one digit, of any size, as MNIST's makers prepared theirs, light on dark: the ink's bounding box is scaled to fit the
 * middle 20 × 20 of 28 × 28 pixels (as much of another frame), each pixel the mean of the area that it covers, and put with its centre of
 * mass into the middle. The strongest ink becomes 255, the ground 0; a blank drawing becomes ground.
 * A digit of MNIST's comes back as it is.
 *
 * Source: Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998, section III.A.
 * @returns `height × width`, 0 … 255
 */
export function centreDigit(drawing: Gray, drawn: Ink, { width, height }: Size): Uint8Array {
  const digit = new Uint8Array(width * height)
  const data = drawn === 'light' ? drawing.data : drawing.data.map(v => 255 - v)
  const light: Gray = { ...drawing, data }
  const border = borderOf(light)
  const ground = quantile(border, 0.5)
  const [darkest, lightest] = range(data)
  const strongest = lightest - ground
  // Blank, or ink all around and nothing lighter: there is no digit in it.
  if (lightest - darkest < LEAST_CONTRAST || strongest <= 0) return digit
  // Noise goes both ways from the ground, ink only one; where the ground is as dark as can be, the border alone shows it.
  const noise = Math.max(
    quantile(
      border.map(v => Math.abs(v - ground)),
      0.95,
    ),
    ground - darkest,
  )
  const least = Math.min(Math.max(2 * noise, LEAST_INK * strongest), MOST_INK * strongest)
  const box = boundingBox(light, ground + least)
  const scale = Math.min((BOX * width) / FRAME / box.width, (BOX * height) / FRAME / box.height)
  const w = Math.max(1, Math.round(box.width * scale))
  const h = Math.max(1, Math.round(box.height * scale))
  const small = areaMeans(light, box, { width: w, height: h }, ground)

  let mass = 0
  let momentX = 0
  let momentY = 0
  let most = 0
  small.forEach((v, i) => {
    mass += v
    momentX += v * (i % w)
    momentY += v * Math.floor(i / w)
    most = Math.max(most, v)
  })
  // A lopsided digit would leave the frame, hence the limits.
  const left = Math.min(Math.max(Math.round(width / 2 - momentX / mass), 0), width - w)
  const top = Math.min(Math.max(Math.round(height / 2 - momentY / mass), 0), height - h)
  small.forEach((v, i) => {
    digit[(top + Math.floor(i / w)) * width + left + (i % w)] = Math.round((255 * v) / most)
  })
  return digit
}

/** The ink in a box, which is what is lighter than the ground, in another size: each pixel is the mean of the area that it covers. */
function areaMeans({ data, width }: Gray, box: Window, to: Size, ground: number): Float64Array {
  const columns = shares(box.width, to.width)
  const rows = shares(box.height, to.height)
  const means = new Float64Array(to.width * to.height)
  const line = new Float64Array(to.width)
  for (const row of rows) {
    const start = (box.top + row.from) * width + box.left
    line.fill(0)
    for (const { from, part, share } of columns) {
      const ink = Number(data[start + from]) - ground
      if (ink > 0) line[part] = Number(line[part]) + share * ink
    }
    for (let x = 0, i = row.part * to.width; x < to.width; x++, i++)
      means[i] = Number(means[i]) + row.share * Number(line[x])
  }
  return means
}

/** A pixel of a line, one of the equal parts that it is cut into, and the pixel's share of that part. */
interface Share {
  readonly from: number
  readonly part: number
  readonly share: number
}

/** For each of `to` equal parts of a line of `from` pixels: the pixels it touches and their shares, which add up to 1. */
function shares(from: number, to: number): readonly Share[] {
  const step = from / to
  return Array.from({ length: to }, (_, part) => {
    const start = part * step
    const end = Math.min((part + 1) * step, from)
    const touched: Share[] = []
    for (let p = Math.floor(start); p < end; p++)
      touched.push({ from: p, part, share: (Math.min(p + 1, end) - Math.max(p, start)) / step })
    return touched
  }).flat()
}

/** The smallest box that holds all pixels above the threshold, of which there is at least one. */
function boundingBox({ data, width, height }: Gray, threshold: number) {
  let left = width
  let right = -1
  let top = height
  let bottom = -1
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (Number(data[y * width + x]) <= threshold) continue
      if (x < left) left = x
      if (x > right) right = x
      if (y < top) top = y
      bottom = y
    }
  }
  return { left, top, width: right - left + 1, height: bottom - top + 1 }
}

function borderOf({ data, width, height }: Gray): Uint8Array {
  const border = new Uint8Array(2 * width + 2 * height)
  border.set(data.subarray(0, width))
  border.set(data.subarray((height - 1) * width), width)
  for (let y = 0; y < height; y++) {
    border[2 * width + 2 * y] = Number(data[y * width])
    border[2 * width + 2 * y + 1] = Number(data[y * width + width - 1])
  }
  return border
}

/** The value that a share `q` of all values is below. */
function quantile(values: Uint8Array, q: number): number {
  const counts = new Uint32Array(256)
  for (const v of values) counts[v] = Number(counts[v]) + 1
  let below = 0
  return counts.findIndex(count => {
    below += count
    return below > q * (values.length - 1)
  })
}

function range(pixels: Uint8Array): [least: number, most: number] {
  let least = 255
  let most = 0
  // An iterator takes several times as long, which large pictures feel.
  for (let i = 0; i < pixels.length; i++) {
    const v = Number(pixels[i])
    if (v < least) least = v
    if (v > most) most = v
  }
  return [least, most]
}
