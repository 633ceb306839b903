// Lossless compression of small gray images, for the digits bundled with the package. A binary arithmetic coder gives
// every bit of a pixel an adaptive probability, which depends on the pixels around it. MNIST's digits take 118 bytes each
// (gzip: 159, xz: 135). All arithmetic is exact in every engine, so the same bytes decode to the same pixels everywhere.
//
// Source: the coder is that of M. Mahoney's lpaq, "Adaptive Weighing of Context Models for Lossless Data Compression", 2005.

/** A bit whose probability to be 1 is `p / ONE`: writes `bit`, or reads one whatever `bit` is. Returns it. */
type Coder = (bit: number, p: number) => number

const ONE = 2 ** 16
/** No bit is certain: an unexpected one costs 11.4 bits at most. */
const LEAST = 24
/** A probability is the mean over so many of its bits at most, so that it follows the images. */
const MEMORY = 250
const RATE = Float64Array.from({ length: MEMORY + 1 }, (_, seen) => Math.floor(ONE / (seen + 1.6)) / ONE)

/** What a pixel's neighbours say of it: black, dark, bright or white. */
const LEVEL = Uint8Array.from({ length: 256 }, (_, v) => (v === 0 ? 0 : v < 128 ? 1 : v < 252 ? 2 : 3))
/** W, N, NE, NW, and the second pixels to the north and west. */
const CONTEXTS = 4 ** 6
/** The lowest bits of a pixel hardly depend on its neighbours, only on the bits above them. */
const LOW_BITS = 3

/** Codes all pixels: `pixels` is read where the coder writes, and filled where it reads. */
function codePixels(pixels: Uint8Array, side: number, code: Coder): void {
  const chance = new Uint16Array((CONTEXTS + 1) * 256).fill(ONE / 2)
  const seen = new Uint8Array(chance.length)
  const adaptive = (slot: number, bit: number): number => {
    const p = Number(chance[slot])
    const n = Number(seen[slot])
    const got = code(bit, p)
    const next = p + Math.floor(((got ? ONE : 0) - p) * Number(RATE[n]))
    chance[slot] = next < LEAST ? LEAST : next > ONE - LEAST ? ONE - LEAST : next
    if (n < MEMORY) seen[slot] = n + 1
    return got
  }
  // First whether it is black, then its bits from the highest: `node` is 1 and the bits so far.
  const pixel = (context: number, value: number): number => {
    if (!adaptive(context, value ? 1 : 0)) return 0
    let node = 1
    for (let bit = 7; bit >= 0; bit--)
      node = node * 2 + adaptive((bit < LOW_BITS ? CONTEXTS * 256 : context) + node, (value >> bit) & 1)
    return node - 256
  }
  // Levels of one image, with a border of black above, left and right.
  const stride = side + 3
  const levels = new Uint8Array(stride * (side + 2))
  for (let at = 0; at < pixels.length; ) {
    for (let i = 2 * stride + 2; i < levels.length; i += stride - side)
      for (const end = i + side; i < end; i++, at++) {
        const context =
          Number(levels[i - 1]) |
          (Number(levels[i - stride]) << 2) |
          (Number(levels[i - stride + 1]) << 4) |
          (Number(levels[i - stride - 1]) << 6) |
          (Number(levels[i - 2 * stride]) << 8) |
          (Number(levels[i - 2]) << 10)
        const value = pixel(context * 256, Number(pixels[at]))
        pixels[at] = value
        levels[i] = Number(LEVEL[value])
      }
  }
}

/** The state of the arithmetic coder: what is coded lies in [low, high], 32 bits each. */
class Interval {
  low = 0
  high = 0xffffffff

  /** The last number of the part that stands for a 1. */
  middle(p: number): number {
    return this.low + Math.floor(((this.high - this.low) * p) / ONE)
  }

  /** Takes one part; `shift` is called for each leading byte that is settled by then. */
  take(bit: number, middle: number, shift: (byte: number) => void): void {
    if (bit) this.high = middle
    else this.low = middle + 1
    while (((this.low ^ this.high) & 0xff000000) === 0) {
      shift(this.high >>> 24)
      this.low = (this.low << 8) >>> 0
      this.high = ((this.high << 8) | 255) >>> 0
    }
  }
}

/** @param images any number of images of `side` × `side` pixels, one after the other */
export function packPixels(images: Uint8Array, side: number): Uint8Array {
  const interval = new Interval()
  const bytes: number[] = []
  const write = (byte: number): void => {
    bytes.push(byte)
  }
  codePixels(images.slice(), side, (bit, p) => {
    interval.take(bit, interval.middle(p), write)
    return bit
  })
  const { high } = interval
  bytes.push(high >>> 24, (high >>> 16) & 255, (high >>> 8) & 255, high & 255)
  return Uint8Array.from(bytes)
}

/** The pixels that `packPixels` was given; bytes that it did not write give some pixels or other. */
export function unpackPixels(packed: Uint8Array, count: number, side: number): Uint8Array {
  const interval = new Interval()
  let next = 0
  let window = 0
  const read = (): void => {
    window = ((window << 8) | (packed[next++] ?? 0)) >>> 0
  }
  for (let i = 0; i < 4; i++) read()
  const pixels = new Uint8Array(count * side * side)
  codePixels(pixels, side, (_, p) => {
    const middle = interval.middle(p)
    const bit = window <= middle ? 1 : 0
    interval.take(bit, middle, read)
    return bit
  })
  return pixels
}
