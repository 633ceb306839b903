import { crc32 } from 'node:zlib'
import sharp, { type Sharp } from 'sharp'
import { patterned, png16 } from '../data/pictures.ts'

/** A picture, and what its decoders may differ by. */
export interface PictureCase {
  readonly name: string
  readonly bytes: Uint8Array
  /** In each channel, of 255. @default 0 */
  readonly most?: number
}

/** Colours with edges and noise, as a photograph has them. */
function photo(width: number, height: number): Sharp {
  const { data } = patterned(width, height, 3)
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++, at++) {
        const wave = 128 + 100 * Math.sin(x / (7 + 3 * c)) * Math.cos(y / (11 - 2 * c))
        data[at] = (x + y) % 97 < 40 ? wave : 0.8 * wave + 0.2 * data[at]!
      }
  return sharp(data, { raw: { width, height, channels: 3 } })
}

const gray = (): Sharp => photo(120, 80).toColourspace('b-w')
const clear = (): Sharp => {
  const data = Uint8Array.from({ length: 90 * 60 * 4 }, (_, i) => (i % 4 === 3 ? i / 85 : i * 7))
  return sharp(data, { raw: { width: 90, height: 60, channels: 4 } })
}

/** With a chunk of how light its values are, which Node and browsers must take for the same. */
function withGamma(png: Buffer): Uint8Array {
  const body = Buffer.concat([Buffer.from('gAMA'), Buffer.from([0, 1, 134, 160])])
  const chunk = Buffer.concat([Buffer.from([0, 0, 0, 4]), body, Buffer.alloc(4)])
  chunk.writeUInt32BE(crc32(body), 12)
  return Buffer.concat([png.subarray(0, 33), chunk, png.subarray(33)])
}

const JPEG = {
  'quality 50': { quality: 50 },
  '4:2:0': { quality: 85, chromaSubsampling: '4:2:0' },
  '4:4:4': { quality: 95, chromaSubsampling: '4:4:4' },
  progressive: { quality: 85, progressive: true },
} as const

export async function pictureCases(): Promise<readonly PictureCase[]> {
  const cases: [name: string, picture: Sharp, most?: number][] = []
  for (const [name, options] of Object.entries(JPEG))
    cases.push([`JPEG ${name}`, photo(211, 143).jpeg(options)])
  cases.push(['WebP, lossy', photo(211, 143).webp({ quality: 80 })])
  for (const [width, height] of [
    [1, 1],
    [1, 500],
    [500, 1],
    [17, 33],
    [720, 477],
  ] as const) {
    const size = `${width} × ${height}`
    cases.push([`PNG ${size}`, photo(width, height).png()])
    cases.push([`JPEG ${size}`, photo(width, height).jpeg()])
    cases.push([`WebP ${size}`, photo(width, height).webp({ lossless: true })])
  }
  cases.push(['JPEG 3000 × 2000', photo(3000, 2000).jpeg()])
  for (let orientation = 1; orientation <= 8; orientation++)
    for (const kind of ['jpeg', 'webp', 'png'] as const)
      cases.push([
        `${kind}, orientation ${orientation}`,
        photo(31, 20).withMetadata({ orientation }).toFormat(kind),
      ])
  cases.push(['gray PNG', gray().png()], ['gray JPEG', gray().jpeg()])
  cases.push(['gray PNG with alpha', gray().ensureAlpha(0.4).png()])
  cases.push(['palette', photo(60, 40).png({ palette: true, colours: 16 })], ['GIF', photo(60, 40).gif()])
  cases.push(['clear PNG', clear().png()], ['clear WebP', clear().webp()])
  cases.push(['clear WebP, lossless', clear().webp({ lossless: true, exact: true })])
  cases.push(['inks', photo(60, 40).toColourspace('cmyk').jpeg(), 1])
  cases.push(['inks with a profile', photo(60, 40).withIccProfile('cmyk').jpeg(), 1])
  // Profiles are applied by other programs: lcms in Node, skcms in Chromium.
  for (const kind of ['jpeg', 'png', 'webp'] as const)
    cases.push([`P3 ${kind}`, photo(120, 80).withIccProfile('p3').toFormat(kind), 1])
  const made: PictureCase[] = []
  for (const [name, picture, most = 0] of cases) made.push({ name, bytes: await picture.toBuffer(), most })
  const deep = Array.from({ length: 40 * 30 * 3 }, (_, i) => (i * 7919) % 65536)
  return [
    ...made,
    { name: 'PNG of 16 bits', bytes: png16(40, 30, 3, deep) },
    { name: 'gray PNG of 16 bits', bytes: png16(40, 90, 1, deep) },
    { name: 'PNG with a gamma', bytes: withGamma(await photo(60, 40).png().toBuffer()) },
  ]
}
