import { UserError } from '../graph/errors.ts'
import { blobOf } from './blob-web.ts'
import { turned } from './orientation.ts'
import { readHeader } from './picture-header.ts'
import { type ImageShape, imageShape, type Preprocessing, preprocessInked, RESIZE } from './preprocess.ts'
import type { Pixels } from './resample.ts'

/** A picture: a file, a canvas, an image or video element, or pixels. */
export type Picture = ImageBitmapSource

/** A picture with more pixels is refused, as in Node: 100 megapixels. */
const MAX_PIXELS = 100_000_000

/** Pixels are taken from a bitmap by parts of at most this side: browsers limit their canvases. */
const PART = 2048

/**
 * A picture as a model's input: `[channels, height, width]`, values 0 … 255, the same as `onnxgrad predict` makes in Node.
 * @param name its name in error messages
 * @param shape what the model takes
 * @param preprocessing how the model's pictures are preprocessed. @default { kind: 'resize' }
 * @throws UserError when it is not a picture, is too large, or is a blank drawing where a digit is expected
 */
export async function readPicture(
  picture: Picture,
  name: string,
  shape: ImageShape,
  preprocessing: Preprocessing = RESIZE,
): Promise<Uint8Array> {
  const wanted = imageShape(shape, name)
  return preprocessInked(name, await pixelsOf(picture, name), preprocessing, wanted).image
}

/**
 * The pixels of a picture: upright, in sRGB, transparent parts on white.
 * @throws UserError when it is not a picture, or too large
 */
export async function pixelsOf(picture: Picture, name: string): Promise<Pixels> {
  const { source, orientation, hasProfile } =
    picture instanceof Blob
      ? await fileOf(picture, name)
      : { source: picture, orientation: 1, hasProfile: true }
  const bitmap = await createImageBitmap(source, {
    premultiplyAlpha: 'none',
    // Without a profile, colours stay as they are stored, as in Node.
    colorSpaceConversion: hasProfile ? 'default' : 'none',
  }).catch(() => {
    throw new UserError(
      `${name}: is not a picture that this browser can read (PNG, JPEG or WebP is expected)`,
    )
  })
  try {
    if (bitmap.width * bitmap.height > MAX_PIXELS)
      throw new UserError(
        `${name}: has more pixels than the ${MAX_PIXELS.toLocaleString('en-US')} allowed: make it smaller`,
      )
    return turned(onWhite(bitmap), orientation)
  } finally {
    bitmap.close()
  }
}

/** A file as all browsers decode it alike: each turns other kinds of pictures upright, so that it is left to us. */
async function fileOf(file: Blob, name: string) {
  const bytes = await file.arrayBuffer().catch(() => {
    throw new UserError(`${name}: the browser cannot read it; choose it again`)
  })
  const { orientation, hasProfile, upright } = readHeader(new Uint8Array(bytes))
  return { source: orientation === 1 ? file : blobOf(upright()), orientation, hasProfile }
}

function onWhite(bitmap: ImageBitmap): Pixels {
  const { width, height } = bitmap
  const canvas = new OffscreenCanvas(Math.min(width, PART), Math.min(height, PART))
  const context = canvas.getContext('2d', { willReadFrequently: true })
  if (!context) throw new UserError('the browser cannot create a canvas to read pictures; close other pages')
  context.fillStyle = 'white'
  context.imageSmoothingEnabled = false
  const data = new Uint8Array(width * height * 3)
  for (let top = 0; top < height; top += PART)
    for (let left = 0; left < width; left += PART) {
      const [w, h] = [Math.min(PART, width - left), Math.min(PART, height - top)]
      context.fillRect(0, 0, w, h)
      context.drawImage(bitmap, left, top, w, h, 0, 0, w, h)
      const part = context.getImageData(0, 0, w, h).data
      for (let y = 0, from = 0; y < h; y++) {
        let at = ((top + y) * width + left) * 3
        for (let x = 0; x < w; x++, from += 4) {
          data[at++] = Number(part[from])
          data[at++] = Number(part[from + 1])
          data[at++] = Number(part[from + 2])
        }
      }
    }
  return { data, width, height, channels: 3 }
}
