import { stat } from 'node:fs/promises'
import sharp, { type Sharp } from 'sharp'
import { UserError } from '../graph/errors.ts'
import { centreDigit, type Gray, isBlank, lightOnDark } from './digit.ts'
import { reason } from './files-node.ts'

/** A picture with more pixels is refused before it is unpacked: 100 megapixels. */
const MAX_PIXELS = 100_000_000

export interface ImageShape {
  readonly height: number
  readonly width: number
  /** 1 (grayscale) or 3 (RGB). */
  readonly channels: number
}

/**
 * Reads a picture (PNG, JPEG, WebP, …) as a model's input: `[channels, height, width]`, values in [0, 1].
 *
 * One channel: made grayscale, transparent parts white, and inverted where the ground is light. A picture of exactly the
 * model's size is then taken as it is; another becomes an MNIST digit (`centreDigit`) where the model takes 28 × 28,
 * else it is scaled to cover height × width. Three channels: scaled to cover, sRGB.
 * Throws a `UserError` that names the file where it is no picture, is blank or too large.
 */
export async function readDigit(
  path: string,
  { height, width, channels }: ImageShape,
): Promise<{ image: Float32Array; inverted: boolean }> {
  if (channels !== 1 && channels !== 3) {
    throw new UserError(`${path}: a picture has 1 or 3 channels, this model takes ${channels}`)
  }
  const entry = await stat(path).catch(error => {
    throw new UserError(`${path}: ${reason(error)}`)
  })
  if (!entry.isFile()) throw new UserError(`${path}: is not a file`)
  try {
    // A camera's pictures are turned upright; a truncated file is an error, an odd tag is not.
    const picture = sharp(path, { limitInputPixels: MAX_PIXELS, failOn: 'error' })
      .autoOrient()
      .flatten({ background: 'white' })
    return channels === 1
      ? await readGray(path, picture, width, height)
      : await readColour(path, picture, width, height)
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new UserError(`${path}: ${pictureProblem(error)}`)
  }
}

async function readGray(path: string, picture: Sharp, width: number, height: number) {
  const decoded = await rawPixels(picture.toColourspace('b-w'))
  if (isBlank(decoded)) throw blank(path)
  const { gray, inverted } = lightOnDark(decoded)
  if (gray.width === width && gray.height === height) return { image: scaled(gray.pixels), inverted }
  if (width === 28 && height === 28) return { image: centreDigit(gray), inverted }
  const raw = { width: gray.width, height: gray.height, channels: 1 } as const
  const resized = sharp(gray.pixels, { raw }).resize(width, height, { fit: 'cover' }).toColourspace('b-w')
  return { image: scaled((await rawPixels(resized)).pixels), inverted }
}

async function readColour(path: string, picture: Sharp, width: number, height: number) {
  const { pixels } = await rawPixels(picture.toColourspace('srgb').resize(width, height, { fit: 'cover' }))
  const plane = width * height
  const planes = new Uint8Array(3 * plane)
  for (let i = 0; i < plane; i++) for (let c = 0; c < 3; c++) planes[c * plane + i] = pixels[i * 3 + c]!
  const channel = (c: number): Gray => ({
    pixels: planes.subarray(c * plane, (c + 1) * plane),
    width,
    height,
  })
  if ([0, 1, 2].every(c => isBlank(channel(c)))) throw blank(path)
  return { image: scaled(planes), inverted: false }
}

async function rawPixels(picture: Sharp): Promise<Gray> {
  const { data, info } = await picture.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
  return { pixels: data, width: info.width, height: info.height }
}

const scaled = (pixels: Uint8Array): Float32Array => Float32Array.from(pixels, v => v / 255)

const blank = (path: string): UserError =>
  new UserError(`${path}: is blank: all its pixels have nearly the same value`)

function pictureProblem(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  if (text.includes('unsupported image format')) return 'is not a picture (PNG, JPEG or WebP is expected)'
  if (text.includes('exceeds pixel limit')) {
    return `has more pixels than the ${MAX_PIXELS.toLocaleString('en-US')} allowed: make it smaller`
  }
  return `cannot be read as a picture (${text.trim().replaceAll('\n', '; ')})`
}
