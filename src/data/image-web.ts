import { UserError } from '../graph/errors.ts'
import { centreDigit, type Gray, isBlank, lightOnDark, resampled, type Size } from './digit.ts'

/** What a picture may be: a file, a canvas, an image or video of the page, or pixels. */
export type Picture = ImageBitmapSource

/** A larger picture is made smaller before anything else: no model here takes as many pixels. */
const MOST_SIDE = 1024

export type ImageShape = readonly [channels: number, height: number, width: number]

/**
 * A picture as a model's input: `[channels, height, width]`, values 0 … 255, prepared as `onnxgrad predict` does in Node.
 *
 * One channel: made grayscale, transparent parts white, and inverted where the ground is light. A picture of exactly the
 * model's size is then taken as it is; another becomes an MNIST digit (`centreDigit`) where the model takes 28 × 28,
 * else it is scaled to cover height × width. Three channels: scaled to cover, sRGB.
 * @param name what errors call it
 * @throws UserError when it is no picture or is blank
 */
export async function readPicture(
  picture: Picture,
  name: string,
  [channels, height, width]: ImageShape,
): Promise<Uint8Array> {
  if (channels !== 1 && channels !== 3)
    throw new UserError(`${name}: a picture has 1 or 3 channels, this model takes ${channels}`)
  const bitmap = await createImageBitmap(picture).catch(() => {
    throw new UserError(
      `${name}: is not a picture that this browser can read (PNG, JPEG or WebP is expected)`,
    )
  })
  const whole = pixelsOf(bitmap)
  bitmap.close()
  const size = { width, height }
  return channels === 1 ? grayPixels(whole, name, size) : colourPixels(whole, name, size)
}

/** A picture on white. */
function pixelsOf(bitmap: ImageBitmap): ImageData {
  const shrink = Math.min(1, MOST_SIDE / Math.max(bitmap.width, bitmap.height))
  const [width, height] = [Math.ceil(bitmap.width * shrink), Math.ceil(bitmap.height * shrink)]
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })
  if (!context) throw new UserError('the browser gives no canvas to read pictures with; close other pages')
  context.fillStyle = 'white'
  context.fillRect(0, 0, width, height)
  context.imageSmoothingQuality = 'high'
  context.drawImage(bitmap, 0, 0, width, height)
  return context.getImageData(0, 0, width, height)
}

function grayPixels(whole: ImageData, name: string, size: Size): Uint8Array {
  const decoded = grayOf(whole)
  if (isBlank(decoded)) throw blank(name)
  const { gray } = lightOnDark(decoded)
  if (gray.width === size.width && gray.height === size.height) return gray.pixels
  if (size.width === 28 && size.height === 28)
    return Uint8Array.from(centreDigit(gray), v => Math.round(v * 255))
  return covering(gray, size, i => gray.pixels[i]!)
}

function colourPixels(whole: ImageData, name: string, size: Size): Uint8Array {
  const planes = [0, 1, 2].map(c => covering(whole, size, i => whole.data[4 * i + c]!))
  if (planes.every(pixels => isBlank({ ...size, pixels }))) throw blank(name)
  return Uint8Array.from(planes.flatMap(p => [...p]))
}

const blank = (name: string): UserError =>
  new UserError(`${name}: is blank: all its pixels have nearly the same value`)

/** The middle of a picture, as much of it as has the shape of `to`, in that size. @param at its pixel i */
function covering(whole: Size, to: Size, at: (i: number) => number): Uint8Array {
  const scale = Math.max(to.width / whole.width, to.height / whole.height)
  const width = Math.min(whole.width, Math.round(to.width / scale))
  const height = Math.min(whole.height, Math.round(to.height / scale))
  const start = ((whole.height - height) >> 1) * whole.width + ((whole.width - width) >> 1)
  const pixels = resampled({ width, height }, to, (x, y) => at(start + y * whole.width + x))
  return Uint8Array.from(pixels, v => Math.round(v))
}

/** Light of an sRGB value, 0 … 1 (IEC 61966-2-1). */
const LIGHT = Float64Array.from({ length: 256 }, (_, v) =>
  v <= 0.04045 * 255 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4,
)

/** Luminance (ITU-R BT.709) as an sRGB value. */
function grayOf({ data, width, height }: ImageData): Gray {
  const pixels = new Uint8Array(width * height)
  for (let i = 0; i < pixels.length; i++) {
    const [r, g, b] = [data[4 * i]!, data[4 * i + 1]!, data[4 * i + 2]!]
    pixels[i] = r === g && g === b ? r : encoded(0.2126 * LIGHT[r]! + 0.7152 * LIGHT[g]! + 0.0722 * LIGHT[b]!)
  }
  return { pixels, width, height }
}

const encoded = (light: number): number =>
  Math.round(255 * (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055))
