import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import sharp, { type Sharp } from 'sharp'
import { describe, expect, test } from 'vitest'
import { aboutPicture, readPixels } from '../../src/data/image-node.ts'
import { turned } from '../../src/data/orientation.ts'
import { readHeader } from '../../src/data/picture-header.ts'
import { isGray, MNIST_DIGIT, preprocess, RESIZE } from '../../src/data/preprocess.ts'
import type { Pixels } from '../../src/data/resample.ts'
import { UserError } from '../../src/graph/errors.ts'
import { realDigits, temporaryFolder } from './files.ts'
import { patterned, png16, tiff } from './pictures.ts'

const image = ({ data, width, height, channels }: Pixels): Sharp =>
  sharp(data, { raw: { width, height, channels } })

async function written(picture: Sharp | Uint8Array, file = 'it'): Promise<string> {
  const path = join(await temporaryFolder(), file)
  await writeFile(path, picture instanceof Uint8Array ? picture : await picture.toBuffer())
  return path
}

const read = async (picture: Sharp | Uint8Array): Promise<Pixels> => readPixels(await written(picture))

/** In three channels, whatever the file's were. */
const rgb = ({ data, channels }: Pixels): number[] =>
  channels === 3 ? [...data] : [...data].flatMap(v => [v, v, v])

const apart = (a: readonly number[], b: readonly number[]): number => {
  expect(a).toHaveLength(b.length)
  return a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i]!)), 0)
}

const colour = patterned(37, 23, 3)
const gray = patterned(37, 23, 1)
/** Without edges, which JPEG and halved colours would not keep. */
const smooth: Pixels = {
  ...colour,
  data: colour.data.map((_, i) => {
    const [x, y, c] = [Math.floor(i / 3) % 37, Math.floor(i / 111), i % 3]
    return 40 + x * [3, 1, 2][c]! + y * [1, 5, 2][c]!
  }),
}

describe('pixels', () => {
  test('are those of the file, whatever its kind', async () => {
    for (const [file, want] of [
      [image(colour).png(), colour],
      [image(colour).png({ progressive: true }), colour],
      [image(colour).webp({ lossless: true }), colour],
      [image(colour).tiff({ compression: 'lzw' }), colour],
      [image(gray).png(), gray],
      [image(gray).tiff({ compression: 'none' }), gray],
    ] as const) {
      const got = await read(file)
      expect([got.width, got.height]).toEqual([37, 23])
      expect(rgb(got)).toEqual(rgb(want))
    }
  })

  test('are the same in a PNG and in a JPEG of full quality, but for the roundings of its colours', async () => {
    const jpeg = await read(image(smooth).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }))
    expect(apart(rgb(jpeg), rgb(smooth))).toBeLessThanOrEqual(3)
    // Of a large picture, too, which a decoder might make smaller by itself.
    const large = { width: 1200, height: 900 }
    const photo = image(smooth).resize({ ...large, fit: 'fill', kernel: 'cubic' })
    const png = await read(photo.clone().png())
    const jpg = await read(photo.clone().jpeg({ quality: 100, chromaSubsampling: '4:4:4' }))
    const small = (picture: Pixels) => [...preprocess(picture, RESIZE, [3, 32, 32]).image]
    expect(apart(small(jpg), small(png))).toBeLessThanOrEqual(1)
  })

  test('of one bit, of a palette, and gray ones with an alpha channel are read right', async () => {
    const two = { ...gray, data: gray.data.map(v => (v < 128 ? 0 : 255)) }
    for (const file of [
      image(two).png({ palette: true, colours: 2, dither: 0 }),
      image(two).tiff({ bitdepth: 1, compression: 'none' }),
      image(two).ensureAlpha(1).png(),
      image(two).toColourspace('b-w').ensureAlpha(1).png(),
    ])
      expect(rgb(await read(file))).toEqual(rgb(two))
  })

  test('of 16 bits lose the lower 8, in gray and in colour', async () => {
    const values = Array.from({ length: 4 * 4 * 3 }, (_, i) => (i * 1361) % 65536)
    const upper = values.map(v => v >> 8)
    expect(rgb(await read(png16(4, 4, 3, values)))).toEqual(upper)
    const gray = png16(4, 12, 1, values)
    expect(rgb(await read(gray))).toEqual(upper.flatMap(v => [v, v, v]))
    // 12 bits of a camera in 16: dark, but a picture.
    const dark = values.map(v => v >> 4)
    expect(rgb(await read(png16(4, 4, 3, dark)))).toEqual(dark.map(v => v >> 8))
    const tiff = sharp(png16(4, 4, 3, values))
      .toColourspace('rgb16')
      .tiff({ compression: 'none' })
    expect(rgb(await read(tiff))).toEqual(upper)
  })

  test('of inks are mixed as browsers and Pillow do', async () => {
    const inks = Uint8Array.from([
      0, 0, 0, 0, 255, 0, 0, 0, 0, 128, 0, 0, 0, 0, 64, 128, 10, 20, 30, 40, 9, 9, 9, 255,
    ])
    const got = await read(tiff([6, 1, 4], { photometric: 5, bits: 8 }, inks))
    const want = Array.from({ length: 6 }, (_, i) => {
      const [c, m, y, k] = inks.subarray(4 * i, 4 * i + 4)
      return [c!, m!, y!].map(ink => Math.round(((255 - ink) * (255 - k!)) / 255))
    })
    expect(rgb(got)).toEqual(want.flat())
  })

  test('are put on white where they are transparent', async () => {
    const data = Uint8Array.from([255, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 128, 200, 100, 50, 51])
    const picture = sharp(data, { raw: { width: 4, height: 1, channels: 4 } })
    const want = [255, 0, 0, 255, 255, 255, 127, 127, 127, 244, 224, 214]
    for (const file of [picture.clone().png(), picture.clone().webp({ lossless: true, exact: true })])
      expect(apart(rgb(await read(file)), want)).toBeLessThanOrEqual(1)
  })

  test('are turned upright as the camera held them, in JPEG, WebP and PNG', async () => {
    for (let orientation = 1; orientation <= 8; orientation++)
      for (const kind of ['png', 'webp', 'jpeg'] as const) {
        const options =
          kind === 'jpeg' ? { quality: 100, chromaSubsampling: '4:4:4' } : { lossless: kind === 'webp' }
        const file = await image(smooth).withMetadata({ orientation }).toFormat(kind, options).toBuffer()
        expect(readHeader(file).orientation, kind).toBe(orientation)
        const got = await read(file)
        const want = turned(smooth, orientation)
        expect([got.width, got.height]).toEqual([want.width, want.height])
        expect(apart(rgb(got), rgb(want)), `${kind} ${orientation}`).toBeLessThanOrEqual(
          kind === 'jpeg' ? 3 : 0,
        )
      }
  })

  test('of floating point are refused, with what is expected', async () => {
    const values = Float32Array.from({ length: 6 }, (_, i) => i / 5)
    const bytes = new Uint8Array(values.buffer)
    const path = await written(tiff([3, 2, 1], { photometric: 1, bits: 32, format: 3 }, bytes))
    await expect(readPixels(path)).rejects.toThrow(
      `${path}: has pixels of type float; expected 8 or 16 bits per channel`,
    )
    const whole = tiff([3, 2, 1], { photometric: 1, bits: 8 }, Uint8Array.from([0, 51, 102, 153, 204, 255]))
    expect([...(await read(whole)).data]).toEqual([0, 51, 102, 153, 204, 255])
  })
})

test('a picture’s size is known upright, and whether it can have colours', async () => {
  const about = async (picture: Sharp) => aboutPicture(await written(picture))
  expect(await about(image(colour).png())).toEqual({ width: 37, height: 23, isGray: false })
  expect(await about(image(gray).toColourspace('b-w').png())).toEqual({ width: 37, height: 23, isGray: true })
  expect(await about(image(colour).withMetadata({ orientation: 6 }).jpeg())).toMatchObject({
    width: 23,
    height: 37,
  })
  const asRgb = await read(image(gray).toColourspace('srgb').png())
  expect([isGray(asRgb), isGray(colour)]).toEqual([true, false])
})

describe('a file’s header', () => {
  test('tells of a profile, but not of one of inks', async () => {
    const plain = await image(colour).jpeg().toBuffer()
    expect(readHeader(plain).hasProfile).toBe(false)
    for (const kind of ['jpeg', 'png', 'webp'] as const)
      expect(readHeader(await image(colour).withIccProfile('p3').toFormat(kind).toBuffer()).hasProfile).toBe(
        true,
      )
    const inks = await image(colour).withIccProfile('cmyk').jpeg().toBuffer()
    expect((await sharp(inks).metadata()).hasProfile).toBe(true)
    expect(readHeader(inks).hasProfile).toBe(false)
  })

  test('can be made to say that the picture is upright', async () => {
    for (const kind of ['jpeg', 'png', 'webp'] as const) {
      const file = await image(colour).withMetadata({ orientation: 6 }).toFormat(kind).toBuffer()
      const upright = readHeader(file).upright()
      expect([readHeader(upright).orientation, upright.length]).toEqual([1, file.length])
      expect(readHeader(file).orientation).toBe(6)
    }
  })

  test('that is cut anywhere, or of no picture, tells nothing and does not fail', async () => {
    const file = await image(colour).withMetadata({ orientation: 8 }).jpeg().toBuffer()
    for (let end = 0; end < Math.min(file.length, 400); end++)
      expect([1, 8]).toContain(readHeader(file.subarray(0, end)).orientation)
    expect(readHeader(new TextEncoder().encode('no picture'))).toMatchObject({
      orientation: 1,
      hasProfile: false,
    })
  })
})

describe('a drawing of a digit', async () => {
  const { images } = (await realDigits()).test
  const digits = Array.from({ length: 20 }, (_, i): Pixels => {
    const data = images.subarray(i * 784, (i + 1) * 784)
    return { data, width: 28, height: 28, channels: 1 }
  })
  const drawn = async (picture: Sharp) => preprocess(await read(picture), MNIST_DIGIT, [1, 28, 28])
  const distance = (a: Uint8Array, b: Uint8Array): number =>
    a.reduce((sum, v, i) => sum + Math.abs(v - b[i]!), 0) / a.length

  test('in a JPEG of dark gray on light gray comes back as MNIST has it', async () => {
    const distances: number[] = []
    for (const digit of digits) {
      const paper = image({ ...digit, data: digit.data.map(v => 190 - v / 2) })
      const { image: got, inverted } = await drawn(
        paper.resize(280, 280, { kernel: 'nearest' }).jpeg({ quality: 80 }),
      )
      expect(inverted).toBe(true)
      distances.push(distance(got, digit.data))
    }
    expect(distances.toSorted((a, b) => a - b)[15]).toBeLessThan(5)
  })

  test('is read from transparent, 16-bit and CMYK pictures alike', async () => {
    const drawing = (ground: string, stroke: string) => {
      const rect = ground && `<rect width="100%" height="100%" fill="${ground}"/>`
      return sharp(
        Buffer.from(
          `<svg xmlns="http://www.w3.org/2000/svg" width="200" height="100">${rect}<path d="M100 20 L100 80" stroke="${stroke}" stroke-width="12"/></svg>`,
        ),
      )
    }
    const want = (await drawn(drawing('black', 'white').png())).image
    // 12 × 60 units become 4 × 20 pixels in the middle.
    expect([...want.keys()].filter(i => want[i] === 255)).toEqual(
      Array.from({ length: 20 }, (_, y) => [13, 14, 15, 16].map(x => (y + 5) * 28 + x)).flat(),
    )
    for (const [file, inverted] of [
      [drawing('', 'black').png(), true],
      [drawing('white', 'black').toColourspace('rgb16').png(), true],
      [drawing('white', 'black').toColourspace('cmyk').jpeg(), true],
      [drawing('#222', '#eee').webp(), false],
    ] as const) {
      const got = await drawn(file)
      expect(got.inverted).toBe(inverted)
      expect(distance(got.image, want)).toBeLessThan(5)
    }
  })
})

describe('a picture that cannot be used is refused in one line', () => {
  const problem = async (path: string): Promise<string> => {
    const error: unknown = await readPixels(path).catch(e => e)
    expect(error).toBeInstanceOf(UserError)
    const { message } = error as UserError
    expect(message).not.toContain('\n')
    return message.replace(path, 'FILE')
  }

  test('missing, a folder, no picture, empty, truncated', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'digit.png')
    expect(await problem(path)).toBe('FILE: does not exist')
    expect(await problem(folder)).toBe('FILE: is not a file')
    for (const text of ['no picture', '']) {
      await writeFile(path, text)
      expect(await problem(path)).toBe('FILE: is not a picture (PNG, JPEG or WebP is expected)')
    }
    await image(gray).png().toFile(path)
    expect((await readPixels(path)).width).toBe(37)
    await writeFile(path, (await readFile(path)).subarray(0, 150))
    expect(await problem(path)).toMatch(/^FILE: cannot be read as a picture \(.*\)$/)
  })

  test('of more than 100 megapixels', async () => {
    const png = await image(gray).png().toBuffer()
    // The header of a PNG: width at byte 16, height at 20, checksum of bytes 12 to 28 at 29.
    png.writeUInt32BE(12_000, 16)
    png.writeUInt32BE(10_000, 20)
    png.writeUInt32BE(crc32(png.subarray(12, 29)), 29)
    expect(await problem(await written(png))).toBe(
      'FILE: has more pixels than the 100,000,000 allowed: make it smaller',
    )
  })
})
