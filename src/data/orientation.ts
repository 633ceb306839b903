import type { Pixels } from './resample.ts'

/**
 * A picture as it was seen, of what the camera stored and EXIF's orientation of that: 2 is mirrored, 3 upside down, 4 both; 5 … 8 lie on their
 * side.
 */
export function turned({ data, width, height, channels }: Pixels, orientation: number): Pixels {
  if (orientation <= 1 || orientation > 8) return { data, width, height, channels }
  const lies = orientation >= 5
  const right = [2, 3, 7, 8].includes(orientation)
  const down = [3, 4, 6, 7].includes(orientation)
  const [w, h] = lies ? [height, width] : [width, height]
  const out = new Uint8Array(data.length)
  for (let y = 0, at = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      const [fromX, fromY] = lies ? [y, x] : [x, y]
      const column = right ? width - 1 - fromX : fromX
      const row = down ? height - 1 - fromY : fromY
      const from = (row * width + column) * channels
      for (let c = 0; c < channels; c++) out[at++] = Number(data[from + c])
    }
  return { data: out, width: w, height: h, channels }
}
