import type { Rng } from '../graph/random.ts'
import { type DisplacementField, elasticField } from './augment-elastic.ts'
import type { AugmentOptions } from './augment-options.ts'
import type { ImageShape } from './preprocess.ts'

/** Changes one image in place: `[channels, height, width]` in [0, 1]. */
type Step = (pixels: Float32Array, random: Rng) => void

/** Uniform in −most … most. */
const either = (most: number, random: Rng): number => most * (2 * random.uniform() - 1)

const radians = (degrees: number): number => (degrees * Math.PI) / 180

/**
 * Mirrors, scales, shears, turns and moves an image, around its centre and in this order, and distorts it, all with a
 * single bilinear resampling, so that it is blurred once. What comes from outside is black.
 */
export function warping(shape: ImageShape, options: AugmentOptions): Step | undefined {
  const { shift = 0, rotate = 0, scale = 0, shear = 0, elastic = 0, flip = false } = options
  if (!(shift || rotate || scale || shear || elastic || flip)) return
  const [, height, width] = shape
  const field = elasticField(height, width, elastic)
  const sample = sampler(shape, field)
  const [cx, cy] = [(width - 1) / 2, (height - 1) / 2]

  return (pixels, random) => {
    const angle = radians(either(rotate, random))
    const lean = Math.tan(radians(either(shear, random)))
    const grow = 1 + either(scale, random)
    const x = cx + either(shift, random) * width
    const y = cy + either(shift, random) * height
    const mirror = flip && random.uniform() < 0.5 ? -1 : 1
    field.draw(random)

    // Where a pixel of the result comes from: scaling, shear and rotation undone, the last first.
    const [cos, sin] = [Math.cos(angle) / grow, Math.sin(angle) / grow]
    const [xx, xy, yx, yy] = [mirror * (cos - lean * sin), mirror * (sin + lean * cos), -sin, cos]
    sample(pixels, xx, xy, cx - xx * x - xy * y, yx, yy, cy - yx * x - yy * y)
  }
}

/**
 * `result(x, y) = pixels(xx·x + xy·y + x0 + dx, yx·x + yy·y + y0 + dy)`, bilinear, with the field's (dx, dy) at (x, y);
 * black outside. In place.
 */
type Sample = (
  pixels: Float32Array,
  xx: number,
  xy: number,
  x0: number,
  yx: number,
  yy: number,
  y0: number,
) => void

function sampler([channels, height, width]: ImageShape, field: DisplacementField): Sample {
  // A black margin, one pixel before and two after, instead of questions at each pixel.
  const stride = width + 3
  const plane = stride * (height + 3)
  const margin = new Float32Array(channels * plane)
  const { dx, dy } = field
  return (pixels, xx, xy, x0, yx, yy, y0) => {
    for (let c = 0, from = 0; c < channels; c++) {
      for (let y = 1; y <= height; y++) {
        const to = c * plane + y * stride + 1
        for (let x = 0; x < width; x++) margin[to + x] = Number(pixels[from++])
      }
    }
    for (let y = 0, to = 0; y < height; y++) {
      field.row(y)
      const rowX = xy * y + x0 + 1
      const rowY = yy * y + y0 + 1
      for (let x = 0; x < width; x++, to++) {
        let u = xx * x + rowX + Number(dx[x])
        let v = yx * x + rowY + Number(dy[x])
        u = u < 0 ? 0 : u > width + 1 ? width + 1 : u
        v = v < 0 ? 0 : v > height + 1 ? height + 1 : v
        const i = u | 0
        const j = v | 0
        u -= i
        v -= j
        let at = j * stride + i
        for (let c = 0; c < channels; c++, at += plane) {
          const above = Number(margin[at]) + u * (Number(margin[at + 1]) - Number(margin[at]))
          const below =
            Number(margin[at + stride]) + u * (Number(margin[at + stride + 1]) - Number(margin[at + stride]))
          pixels[c * height * width + to] = above + v * (below - above)
        }
      }
    }
  }
}

/** The rectangle's share of the image, and its height to its width. */
const AREA = [0.02, 0.33] as const
const RATIO = [0.3, 3.3] as const

/** Random Erasing: ratios uniform on a logarithmic scale; an image stays whole when ten rectangles were too long for it. */
export function erasing([channels, height, width]: ImageShape, options: AugmentOptions): Step | undefined {
  const { erase = 0 } = options
  if (!erase) return
  const [least, most] = [Math.log(RATIO[0]), Math.log(RATIO[1])]
  return (pixels, random) => {
    if (random.uniform() >= erase) return
    for (let attempt = 0; attempt < 10; attempt++) {
      const area = (AREA[0] + (AREA[1] - AREA[0]) * random.uniform()) * height * width
      const ratio = Math.exp(least + (most - least) * random.uniform())
      const h = Math.round(Math.sqrt(area * ratio))
      const w = Math.round(Math.sqrt(area / ratio))
      if (h >= height || w >= width) continue
      const left = random.int(width - w + 1)
      const top = random.int(height - h + 1)
      for (let c = 0; c < channels; c++) {
        for (let y = top; y < top + h; y++) {
          const at = (c * height + y) * width + left
          pixels.fill(0, at, at + w)
        }
      }
      return
    }
  }
}
