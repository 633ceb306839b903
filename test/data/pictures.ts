import { crc32, deflateSync } from 'node:zlib'
import type { Pixels } from '../../src/data/resample.ts'

/** A picture by a formula, so that other programs can make the same one. */
export function patterned(width: number, height: number, channels: 1 | 3): Pixels {
  const data = new Uint8Array(width * height * channels)
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++) data[at++] = (x * 37 + y * 91 + c * 53 + x * y * 7) % 256
  return { data, width, height, channels }
}

/** A PNG of 16 bits for each channel, put together by hand. @param values row-major, channels interleaved */
export function png16(width: number, height: number, channels: 1 | 3, values: readonly number[]): Uint8Array {
  const chunk = (type: string, data: Uint8Array): Uint8Array => {
    const body = Buffer.concat([Buffer.from(type), data])
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
    length.writeUInt32BE(data.length)
    sum.writeUInt32BE(crc32(body))
    return Buffer.concat([length, body, sum])
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header[8] = 16
  header[9] = channels === 3 ? 2 : 0
  const row = width * channels
  // Each row begins with a byte that names its filter: none.
  const rows = Buffer.alloc(height * (1 + 2 * row))
  values.forEach((v, i) => {
    rows.writeUInt16BE(v, Math.floor(i / row) * (1 + 2 * row) + 1 + 2 * (i % row))
  })
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', new Uint8Array()),
  ])
}

/** A TIFF without compression. @param photometric 1 gray, 2 RGB, 5 CMYK @param format 1 integers, 3 floating point */
export function tiff(
  [width, height, channels]: readonly [number, number, number],
  { photometric, bits, format = 1 }: { photometric: number; bits: number; format?: number },
  pixels: Uint8Array,
): Uint8Array {
  const LONG = 4
  const tags: readonly (readonly [tag: number, value: number])[] = [
    [256, width],
    [257, height],
    [258, bits],
    [259, 1],
    [262, photometric],
    [273, 8],
    [277, channels],
    [278, height],
    [279, pixels.length],
    [339, format],
  ]
  const values = tags.map(([tag, value]) => {
    const many = (tag === 258 || tag === 339) && channels > 1
    return { tag, many, value }
  })
  const start = 8 + pixels.length
  const directory = Buffer.alloc(2 + 12 * values.length + 4)
  const lists: Buffer[] = []
  let end = start + directory.length
  directory.writeUInt16LE(values.length, 0)
  values.forEach(({ tag, many, value }, i) => {
    const at = 2 + 12 * i
    directory.writeUInt16LE(tag, at)
    directory.writeUInt16LE(many ? 3 : LONG, at + 2)
    directory.writeUInt32LE(many ? channels : 1, at + 4)
    if (!many) directory.writeUInt32LE(value, at + 8)
    else if (channels === 2) directory.writeUInt32LE(value * 65537, at + 8)
    else {
      const list = Buffer.alloc(2 * channels)
      for (let c = 0; c < channels; c++) list.writeUInt16LE(value, 2 * c)
      directory.writeUInt32LE(end, at + 8)
      lists.push(list)
      end += list.length
    }
  })
  const head = Buffer.from('II*\0\0\0\0\0', 'latin1')
  head.writeUInt32LE(start, 4)
  return Buffer.concat([head, pixels, directory, ...lists])
}
