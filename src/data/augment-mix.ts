import type { Rng } from '../graph/random.ts'
import type { AugmentOptions } from './augment-options.ts'
import type { ImageShape } from './preprocess.ts'

/** What each image of a batch was mixed with. */
export interface Mixed {
  /** Class of the other image, `[count]`. */
  readonly label: Int32Array
  /** Share of the image itself, in [0, 1], `[count]`. */
  readonly share: Float32Array
}

/**
 * Mixes each image of a batch with the one that stands as far from the end as it does from the start, as timm does, but with a
 * separate weight for each.
 * @param input `[count, channels, height, width]`, changed in place
 * @param label `[count]`
 * @param mixed is filled
 */
export type Mix = (input: Float32Array, label: Int32Array, mixed: Mixed, random: Rng) => void

/** Mixup, CutMix or, if both are enabled, one of them for each image. */
export function mixing([channels, height, width]: ImageShape, options: AugmentOptions): Mix | undefined {
  const { mixup = 0, cutmix = 0 } = options
  if (!(mixup || cutmix)) return
  const plane = height * width
  const size = channels * plane
  const kept = new Float32Array(size)

  /** Changes the image at `to` with `other`; gives the share of it that is left. */
  const mixed = (input: Float32Array, to: number, other: Float32Array, from: number, random: Rng): number => {
    const cut = mixup && cutmix ? random.uniform() < 0.5 : cutmix > 0
    if (cut) {
      const box = cutout(height, width, beta(cutmix, random), random)
      for (let c = 0; c < channels; c++) paste(input, to + c * plane, other, from + c * plane, width, box)
      return 1 - ((box.bottom - box.top) * (box.right - box.left)) / plane
    }
    const share = beta(mixup, random)
    blend(input, to, other, from, size, share)
    return share
  }

  return (input, label, { label: others, share }, random) => {
    for (let i = 0, j = label.length - 1; i <= j; i++, j--) {
      kept.set(input.subarray(i * size, (i + 1) * size))
      others[i] = Number(label[j])
      others[j] = Number(label[i])
      share[i] = mixed(input, i * size, input, j * size, random)
      if (i < j) share[j] = mixed(input, j * size, kept, 0, random)
    }
  }
}

function blend(
  into: Float32Array,
  to: number,
  other: Float32Array,
  from: number,
  size: number,
  share: number,
): void {
  for (let p = 0; p < size; p++)
    into[to + p] = share * Number(into[to + p]) + (1 - share) * Number(other[from + p])
}

interface Box {
  readonly top: number
  readonly bottom: number
  readonly left: number
  readonly right: number
}

/** A box in the image's proportions with 1 − `left` of its area and its centre anywhere; what lies outside is cut off. */
function cutout(height: number, width: number, left: number, random: Rng): Box {
  const side = Math.sqrt(1 - left)
  const [x, y] = [random.int(width), random.int(height)]
  const [w, h] = [Math.floor(width * side), Math.floor(height * side)]
  const within = (at: number, size: number) => Math.min(Math.max(at, 0), size)
  const [l, t] = [x - (w >> 1), y - (h >> 1)]
  return {
    top: within(t, height),
    bottom: within(t + h, height),
    left: within(l, width),
    right: within(l + w, width),
  }
}

function paste(
  into: Float32Array,
  to: number,
  other: Float32Array,
  from: number,
  width: number,
  { top, bottom, left, right }: Box,
): void {
  for (let y = top; y < bottom; y++) {
    for (let p = y * width + left; p < y * width + right; p++) into[to + p] = Number(other[from + p])
  }
}

/**
 * Beta(α, α): of two Gamma(α) numbers, the share of the first; by their logarithms, as with a small α both are often too
 * small for a double.
 */
export function beta(alpha: number, random: Rng): number {
  const one = logGamma(alpha, random)
  return 1 / (1 + Math.exp(logGamma(alpha, random) - one))
}

/** The logarithm of a Gamma(α) number: of Gamma(α + 1) · uniform^(1/α). G. Marsaglia and W. Tsang 2000. */
function logGamma(alpha: number, random: Rng): number {
  const d = alpha + 1 - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const x = random.normal()
    const v = (1 + c * x) ** 3
    if (v <= 0) continue
    if (Math.log(1 - random.uniform()) >= (x * x) / 2 + d - d * v + d * Math.log(v)) continue
    return Math.log(d * v) + Math.log(1 - random.uniform()) / alpha
  }
}
