import { UserError } from '../graph/errors.ts'
import { centreDigit, type Gray, isBlank, lightOnDark } from './digit.ts'

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
  try {
    return channels === 1
      ? grayPixels(bitmap, name, height, width)
      : colourPixels(bitmap, name, height, width)
  } finally {
    bitmap.close()
  }
}

function grayPixels(bitmap: ImageBitmap, name: string, height: number, width: number): Uint8Array {
  const shrink = Math.min(1, MOST_SIDE / Math.max(bitmap.width, bitmap.height))
  const whole = drawn(bitmap, Math.ceil(bitmap.height * shrink), Math.ceil(bitmap.width * shrink))
  const decoded = grayOf(whole)
  if (isBlank(decoded)) throw blank(name)
  const { gray, inverted } = lightOnDark(decoded)
  if (bitmap.width === width && bitmap.height === height) return gray.pixels
  if (width === 28 && height === 28) return Uint8Array.from(centreDigit(gray), v => Math.round(v * 255))
  const { pixels } = grayOf(drawn(bitmap, height, width))
  return inverted ? pixels.map(v => 255 - v) : pixels
}

function colourPixels(bitmap: ImageBitmap, name: string, height: number, width: number): Uint8Array {
  const { data } = drawn(bitmap, height, width)
  const plane = width * height
  const planes = Uint8Array.from(
    { length: 3 * plane },
    (_, i) => data[4 * (i % plane) + Math.floor(i / plane)]!,
  )
  const channel = (c: number): Gray => ({
    pixels: planes.subarray(c * plane, (c + 1) * plane),
    width,
    height,
  })
  if ([0, 1, 2].every(c => isBlank(channel(c)))) throw blank(name)
  return planes
}

const blank = (name: string): UserError =>
  new UserError(`${name}: is blank: all its pixels have nearly the same value`)

/** A picture on white, scaled to cover height × width, its middle in the middle. */
function drawn(bitmap: ImageBitmap, height: number, width: number): ImageData {
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })
  if (!context) throw new UserError('the browser gives no canvas to read pictures with; close other pages')
  context.fillStyle = 'white'
  context.fillRect(0, 0, width, height)
  context.imageSmoothingQuality = 'high'
  const scale = Math.max(width / bitmap.width, height / bitmap.height)
  const [w, h] = [bitmap.width * scale, bitmap.height * scale]
  context.drawImage(bitmap, (width - w) / 2, (height - h) / 2, w, h)
  return context.getImageData(0, 0, width, height)
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
