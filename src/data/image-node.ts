import { readFile, stat } from 'node:fs/promises'
import type sharp from 'sharp'
import type { Sharp } from 'sharp'
import { UserError } from '../graph/errors.ts'
import { printable } from '../graph/printable.ts'
import { centreDigit, type Gray, isBlank, lightOnDark } from './digit.ts'
import { reason } from './files-node.ts'

/** A picture with more pixels is refused before it is unpacked: 100 megapixels. */
const MAX_PIXELS = 100_000_000

/** So is one with a longer side, for rows are unpacked whole and many at once; no JPEG is as long. */
const MAX_SIDE = 2 ** 16

/** A larger file is refused before it is read. */
const MAX_BYTES = 2 ** 28

/** A picture that takes longer to unpack is made to keep programs busy. */
const MAX_SECONDS = 20

/** A larger grayscale picture is made smaller before anything else, unless the model takes as many pixels. */
const MOST_SIDE = 1024

/**
 * How files of pictures begin. Only these are given to their decoders: what else libvips reads (SVG, PDF, …) may be a program, or
 * refer to other files.
 */
const KINDS: readonly RegExp[] = [
  /^\x89PNG\r\n/,
  /^\xff\xd8\xff/,
  /^RIFF....WEBP/s,
  /^GIF8[79]a/,
  /^(II\*\0|MM\0\*)/,
  /^....ftypavi[fs]/s,
]

/**
 * sharp, which is large: only programs with pictures load it.
 * @throws UserError where its library for this platform is missing, as after `npm install --omit=optional`
 */
export async function loadSharp(): Promise<typeof sharp> {
  try {
    return (await import('sharp')).default
  } catch (error) {
    throw new UserError(
      `pictures need sharp, which cannot be loaded (${reason(error).split('\n')[0]}); run: npm install --include=optional`,
    )
  }
}

export interface ImageShape {
  readonly height: number
  readonly width: number
  /** 1 (grayscale) or 3 (RGB). */
  readonly channels: number
}

/**
 * Reads a picture (PNG, JPEG, WebP, GIF, TIFF or AVIF; of several frames the first) as a model's input: `[channels, height, width]`, values in [0, 1].
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
  if (entry.size > MAX_BYTES)
    throw new UserError(`${path}: has ${number(entry.size)} bytes, ${number(MAX_BYTES)} are allowed`)
  try {
    const bytes = await readFile(path)
    const start = bytes.toString('latin1', 0, 16)
    if (!KINDS.some(kind => kind.test(start)))
      throw new UserError(`${path}: is not a picture (PNG, JPEG or WebP is expected)`)
    // A camera's pictures are turned upright; a truncated file is an error, an odd tag is not.
    const sharp = await loadSharp()
    const opened = sharp(bytes, { limitInputPixels: MAX_PIXELS, failOn: 'error' })
    const size = await opened.metadata()
    if (size.width > MAX_SIDE || size.height > MAX_SIDE)
      throw new UserError(
        `${path}: has ${number(size.width)} × ${number(size.height)} pixels, ${number(MAX_SIDE)} are allowed in a row: make it smaller`,
      )
    const picture = opened.timeout({ seconds: MAX_SECONDS }).autoOrient().flatten({ background: 'white' })
    return channels === 1
      ? await readGray(path, picture, width, height)
      : await readColour(path, picture, width, height)
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new UserError(`${path}: ${pictureProblem(error)}`)
  }
}

async function readGray(path: string, picture: Sharp, width: number, height: number) {
  const most = Math.max(MOST_SIDE, width, height)
  const decoded = await rawPixels(
    picture.resize(most, most, { fit: 'inside', withoutEnlargement: true }).toColourspace('b-w'),
  )
  if (isBlank(decoded)) throw blank(path)
  const { gray, inverted } = lightOnDark(decoded)
  if (gray.width === width && gray.height === height) return { image: scaled(gray.pixels), inverted }
  if (width === 28 && height === 28) return { image: centreDigit(gray), inverted }
  const raw = { width: gray.width, height: gray.height, channels: 1 } as const
  const sharp = await loadSharp()
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
  if (text.includes('exceeds pixel limit')) {
    return `has more pixels than the ${number(MAX_PIXELS)} allowed: make it smaller`
  }
  return `cannot be read as a picture (${printable(text.trim().replaceAll('\n', '; ').replace(/:$/, ''), 300)})`
}

const number = (value: number): string => value.toLocaleString('en-US')
