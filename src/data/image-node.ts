import { readFile, stat } from 'node:fs/promises'
import type sharp from 'sharp'
import type { Metadata, Sharp } from 'sharp'
import { UserError } from '../graph/errors.ts'
import { printable } from '../graph/printable.ts'
import { reason } from './files-node.ts'
import { mixed, opaque } from './opaque.ts'
import type { Pixels } from './resample.ts'

/** A picture with more pixels is refused before it is unpacked: 100 megapixels. */
const MAX_PIXELS = 100_000_000

/** So is one with a longer side, for rows are unpacked whole and many at once; no JPEG is as long. */
const MAX_SIDE = 2 ** 16

/** A larger file is refused before it is read. */
const MAX_BYTES = 2 ** 28

/** A picture that takes longer to unpack is made to keep programs busy. */
const MAX_SECONDS = 20

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

/** What is read of a picture without unpacking it. */
export interface PictureAbout {
  /** In pixels, as it is seen: a camera's pictures turned upright. */
  readonly width: number
  readonly height: number
  /** Whether the file can hold gray only; one that can hold colours may be gray, too. */
  readonly isGray: boolean
}

/** Reads a picture's size. @throws UserError naming the file if it is not a picture or is too large */
export const aboutPicture = (path: string): Promise<PictureAbout> =>
  opened(path, async (_, { autoOrient, space }) => ({ ...autoOrient, isGray: GRAY.includes(space) }))

/** Upright, in sRGB, transparent parts on white. */
async function unpacked(name: string, picture: Sharp, { space, depth, channels }: Metadata): Promise<Pixels> {
  if (depth !== 'uchar' && depth !== 'ushort')
    throw new UserError(`${name}: has pixels of type ${depth}; expected 8 or 16 bits per channel`)
  const upright = picture.timeout({ seconds: MAX_SECONDS }).autoOrient()
  // Inks are mixed as browsers and Pillow do, not by a profile of some press.
  const isCmyk = space === 'cmyk'
  const decoded = isCmyk
    ? upright.pipelineColourspace('cmyk').toColourspace('cmyk')
    : upright.toColourspace(space === 'b-w' && channels === 1 ? 'b-w' : 'srgb')
  const { data, info } = await decoded.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
  return (isCmyk ? mixed : opaque)(data, info)
}

/**
 * The pixels of a picture (PNG, JPEG, WebP, GIF, TIFF or AVIF; of several frames the first): upright, in sRGB, transparent parts on
 * white. A page has the same (`pixelsOf`) of JPEG, PNG, WebP and GIF, but for 1 of 255 where an ICC profile or inks are converted.
 * @throws UserError naming the file if it is not a picture, is damaged or is too large
 */
export const readPixels = (path: string): Promise<Pixels> =>
  opened(path, (picture, about) => unpacked(path, picture, about))

/** As {@link readPixels}, of a picture's bytes. @param name what errors call it */
export const decodePixels = (name: string, bytes: Uint8Array): Promise<Pixels> =>
  decoded(name, bytes, (picture, about) => unpacked(name, picture, about))

const GRAY: readonly unknown[] = ['b-w', 'grey16']

/** Opens a picture within limits. */
async function opened<T>(path: string, use: (picture: Sharp, about: Metadata) => Promise<T>): Promise<T> {
  const entry = await stat(path).catch(error => {
    throw new UserError(`${path}: ${reason(error)}`)
  })
  if (!entry.isFile()) throw new UserError(`${path}: is not a file`)
  refuseSize(path, entry.size)
  const bytes = await readFile(path).catch(error => {
    throw new UserError(`${path}: ${reason(error)}`)
  })
  return decoded(path, bytes, use)
}

function refuseSize(name: string, size: number): void {
  if (size > MAX_BYTES)
    throw new UserError(`${name}: has ${number(size)} bytes; at most ${number(MAX_BYTES)} are allowed`)
}

async function decoded<T>(
  name: string,
  bytes: Uint8Array,
  use: (picture: Sharp, about: Metadata) => Promise<T>,
): Promise<T> {
  refuseSize(name, bytes.length)
  try {
    const start = Buffer.from(bytes.subarray(0, 16)).toString('latin1')
    if (!KINDS.some(kind => kind.test(start)))
      throw new UserError(`${name}: is not a picture (PNG, JPEG or WebP is expected)`)
    // A truncated file is an error, an odd tag is not.
    const sharp = await loadSharp()
    const picture = sharp(bytes, { limitInputPixels: MAX_PIXELS, failOn: 'error' })
    const about = await picture.metadata()
    if (about.width > MAX_SIDE || about.height > MAX_SIDE)
      throw new UserError(
        `${name}: has ${number(about.width)} × ${number(about.height)} pixels; at most ${number(MAX_SIDE)} per side are allowed: make it smaller`,
      )
    return await use(picture, about)
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new UserError(`${name}: ${pictureProblem(error)}`)
  }
}

function pictureProblem(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  if (text.includes('exceeds pixel limit')) {
    return `has more pixels than the ${number(MAX_PIXELS)} allowed: make it smaller`
  }
  return `cannot be read as a picture (${printable(text.trim().replaceAll('\n', '; ').replace(/:$/, ''), 300)})`
}

const number = (value: number): string => value.toLocaleString('en-US')
