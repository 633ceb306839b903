import { loadSharp } from '../data/image-node.ts'
import { nth } from '../graph/present.ts'
import type { Colour } from './colour.ts'

/** A PNG as a `data:` URI. @param data bytes `[height, width, channels]` */
async function png(data: Uint8Array, width: number, height: number, channels: 1 | 3 | 4): Promise<string> {
  const raw = { width, height, channels }
  const sharp = await loadSharp()
  const bytes = await sharp(data, { raw }).png({ compressionLevel: 9 }).toBuffer()
  return `data:image/png;base64,${bytes.toString('base64')}`
}

/** A picture of coloured cells. */
export function cells(
  width: number,
  height: number,
  colour: (y: number, x: number) => Colour,
): Promise<string> {
  const data = new Uint8Array(width * height * 4)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) data.set(colour(y, x).map(Math.round), (y * width + x) * 4)
  return png(data, width, height, 4)
}

/** The colour at a place of an image, `[channels, height, width]` in [0, 1]: of one channel gray, else of the first three. */
export function pixelsOf(
  pixels: Float32Array,
  [channels = 1, height = 1, width = 1]: readonly number[],
): (y: number, x: number) => readonly [number, number, number] {
  const [second, third] = channels < 3 ? ([0, 0] as const) : ([1, 2] as const)
  const value = (channel: number, at: number) => 255 * nth(pixels, channel * height * width + at)
  return (y, x) => {
    const at = y * width + x
    return [value(0, at), value(second, at), value(third, at)]
  }
}

/** An image of a data set. @param shape `[channels, height, width]` */
export function photo(pixels: Float32Array, shape: readonly number[]): Promise<string> {
  const [channels = 1, height = 1, width = 1] = shape
  const colour = pixelsOf(pixels, shape)
  const kept = channels < 3 ? 1 : 3
  const data = new Uint8Array(height * width * kept)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      data.set(colour(y, x).slice(0, kept).map(Math.round), (y * width + x) * kept)
  return png(data, width, height, kept)
}
