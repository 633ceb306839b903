import { crc32, deflateSync } from 'node:zlib'
import sharp, { type Sharp } from 'sharp'

function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, sum])
}

const text = (latin1: string): Uint8Array => Buffer.from(latin1, 'latin1')

/** A grayscale PNG put together by hand. */
function png(
  width: number,
  height: number,
  rows: Uint8Array,
  between: readonly Uint8Array[] = [],
): Uint8Array {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header[8] = 8
  return Buffer.concat([
    text('\x89PNG\r\n\x1a\n'),
    chunk('IHDR', header),
    ...between,
    chunk('IDAT', rows),
    chunk('IEND', new Uint8Array()),
  ])
}

/** Rows of black with a lighter box, packed. */
function box(width: number, height: number): Uint8Array {
  const rows = Buffer.alloc((width + 1) * height)
  for (let y = height >> 2; y < height >> 1; y++) {
    const start = y * (width + 1) + 1
    rows.fill(200, start + (width >> 2), start + (width >> 1))
  }
  return deflateSync(rows, { level: 9 })
}

const SIDE = 12
const digit = (): Sharp => {
  const pixels = Uint8Array.from({ length: SIDE * SIDE }, (_, i) =>
    i % SIDE > 4 && i % SIDE < 8 && i > 2 * SIDE && i < 10 * SIDE ? 255 : 0,
  )
  return sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 1 } })
}

async function frames(): Promise<Uint8Array> {
  const pixels = Buffer.alloc(SIDE * SIDE * 3 * 4, 0).fill(255, 60, 300)
  const raw = { width: SIDE, height: SIDE * 4, channels: 3, pageHeight: SIDE } as const
  return sharp(pixels, { raw }).gif().toBuffer()
}

/** A GIF that says its canvas is as large as one can be. */
async function wideGif(): Promise<Uint8Array> {
  const gif = await digit().gif().toBuffer()
  gif.writeUInt16LE(65_535, 6)
  gif.writeUInt16LE(65_535, 8)
  return gif
}

const svg = (content: string): Uint8Array =>
  text(
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="28" height="28">${content}</svg>`,
  )

export async function pictures(): Promise<Record<string, Uint8Array>> {
  const bomb = deflateSync(Buffer.alloc(2 ** 23), { level: 9 })
  const [plain, jpeg] = [box(28, 28), await digit().jpeg().toBuffer()]
  return {
    'good.png': await digit().png().toBuffer(),
    'good.jpg': jpeg,
    'good.webp': await digit().webp({ lossless: true }).toBuffer(),
    'good.gif': await digit().gif().toBuffer(),
    'good.tif': await digit().tiff().toBuffer(),
    'good.avif': await digit().avif().toBuffer(),
    'good-frames.gif': await frames(),
    'good-deep.png': await digit().toColourspace('grey16').png().toBuffer(),
    'empty.png': new Uint8Array(),
    'text.png': text('no picture'),
    'svg.png': svg('<rect width="9" height="9"/>'),
    'svg-reads-files.png': svg('<image xlink:href="file:///etc/hostname" width="28" height="28"/>'),
    'svg-includes-files.png': svg(
      '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/hostname" parse="text"/>',
    ),
    'svg-after-a-comment.png': Buffer.concat([text(`<!-- ${' '.repeat(100)} -->`), svg('<rect width="9"/>')]),
    'pdf.png': text('%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n'),
    'truncated.jpg': jpeg.subarray(0, jpeg.length - 40),
    'header-alone.png': png(28, 28, plain).subarray(0, 33),
    'pixels-missing.png': png(28, 28, box(28, 3)),
    'pixels-too-many.png': png(28, 28, bomb),
    'pixels-25-million.png': png(5000, 5000, box(5000, 5000)),
    'pixels-too-many-claimed.png': png(20_000, 20_000, plain),
    'width-of-2-billion.png': png(2 ** 31 - 1, 1, plain),
    'width-of-2-million.png': png(2 ** 21, 12, plain),
    'width-zero.png': png(0, 28, plain),
    'text-unpacks-to-8-megabytes.png': png(28, 28, plain, [
      chunk('zTXt', Buffer.concat([text('Comment\0\0'), bomb])),
    ]),
    'profile-unpacks-to-8-megabytes.png': png(28, 28, plain, [
      chunk('iCCP', Buffer.concat([text('x\0\0'), bomb])),
    ]),
    'canvas-of-65535.gif': await wideGif(),
    'blank.png': png(28, 28, deflateSync(Buffer.alloc(29 * 28))),
  }
}
