import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import sharp from 'sharp'
import { beforeAll, describe, expect, test } from 'vitest'
import { readDigit } from '../../src/data/image-node.ts'
import { UserError } from '../../src/graph/errors.ts'
import { realDigits, temporaryFolder } from './files.ts'

const MNIST = { height: 28, width: 28, channels: 1 }
let digits: Uint8Array[] = []

beforeAll(async () => {
  const { images } = (await realDigits()).test
  digits = Array.from({ length: 20 }, (_, i) => images.subarray(i * 784, (i + 1) * 784))
})

const gray = (pixels: Uint8Array) => sharp(pixels, { raw: { width: 28, height: 28, channels: 1 } })

/** The mean absolute difference of pixels in [0, 1]. */
function distance(image: Float32Array, digit: Uint8Array): number {
  return image.reduce((sum, v, i) => sum + Math.abs(v - digit[i]! / 255), 0) / digit.length
}

/** A drawing: an SVG of this size on a ground of this colour, or on none. */
function drawing(width: number, height: number, ground: string, content: string) {
  const rect = ground && `<rect width="100%" height="100%" fill="${ground}"/>`
  return sharp(
    Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${rect}${content}</svg>`,
    ),
  )
}
const stroke = (colour: string) => `<path d="M100 20 L100 80" stroke="${colour}" stroke-width="12"/>`

describe('a digit', () => {
  test('of the size of the model comes back as it is', async () => {
    const path = join(await temporaryFolder(), 'digit.png')
    for (const digit of digits) {
      await gray(digit).png().toFile(path)
      const { image, inverted } = await readDigit(path, MNIST)
      expect(inverted).toBe(false)
      expect(image).toEqual(Float32Array.from(digit, v => v / 255))
    }
  })

  test('drawn dark on light, ten times as large and off the centre, comes back as MNIST has it', async () => {
    const path = join(await temporaryFolder(), 'digit.png')
    const distances: number[] = []
    for (const digit of digits) {
      const dark = await gray(digit).negate().resize(280, 280, { kernel: 'nearest' }).png().toBuffer()
      await sharp(dark).extend({ left: 130, bottom: 70, background: 'white' }).png().toFile(path)
      const { image, inverted } = await readDigit(path, MNIST)
      expect(inverted).toBe(true)
      distances.push(distance(image, digit))
    }
    // A shift by one pixel alone would be about 0.05.
    expect(distances.toSorted((a, b) => a - b)[15]).toBeLessThan(0.002)
  })

  test('in a JPEG of dark grey on light grey comes back as MNIST has it', async () => {
    const path = join(await temporaryFolder(), 'digit.jpg')
    const distances: number[] = []
    for (const digit of digits) {
      const paper = gray(digit.map(v => 190 - v / 2))
      await paper.resize(280, 280, { kernel: 'nearest' }).jpeg({ quality: 80 }).toFile(path)
      const { image, inverted } = await readDigit(path, MNIST)
      expect(inverted).toBe(true)
      distances.push(distance(image, digit))
    }
    expect(distances.toSorted((a, b) => a - b)[15]).toBeLessThan(0.02)
  })

  test('is read from transparent, 16-bit and CMYK pictures alike', async () => {
    const folder = await temporaryFolder()
    await drawing(200, 100, '', stroke('black')).png().toFile(join(folder, 'transparent.png'))
    await drawing(200, 100, 'white', stroke('black'))
      .toColourspace('rgb16')
      .png()
      .toFile(join(folder, 'deep.png'))
    await drawing(200, 100, 'white', stroke('black'))
      .toColourspace('cmyk')
      .jpeg()
      .toFile(join(folder, 'cmyk.jpg'))
    await drawing(200, 100, '#222', stroke('#eee')).webp().toFile(join(folder, 'dark.webp'))
    // 12 × 60 units become 4 × 20 pixels, whose centre is as near to pixel (14, 14) as can be.
    const bar = Uint8Array.from({ length: 784 }, (_, i) => {
      const [x, y] = [i % 28, Math.floor(i / 28)]
      return x >= 13 && x < 17 && y >= 5 && y < 25 ? 255 : 0
    })
    for (const [file, inverted] of [
      ['transparent.png', true],
      ['deep.png', true],
      ['cmyk.jpg', true],
      ['dark.webp', false],
    ] as const) {
      const read = await readDigit(join(folder, file), MNIST)
      expect(read.inverted, file).toBe(inverted)
      expect(distance(read.image, bar), file).toBeLessThan(0.02)
    }
  })
})

describe('other models', () => {
  test('get a colour picture as planes of red, green and blue, covering the frame', async () => {
    const path = join(await temporaryFolder(), 'halves.png')
    // 80 × 40, of which a square frame keeps the middle 40 × 40: half red, half blue.
    await drawing(80, 40, 'red', '<rect x="40" width="40" height="40" fill="blue"/>').png().toFile(path)
    const { image, inverted } = await readDigit(path, { height: 4, width: 4, channels: 3 })
    const row = (plane: number) => [0, 3].map(x => image[plane * 16 + 4 + x]!)
    expect(inverted).toBe(false)
    expect([row(0), row(1), row(2)]).toEqual([
      [1, 0],
      [0, 0],
      [0, 1],
    ])
  })

  test('of another grayscale size get the picture scaled and inverted, not centred', async () => {
    const path = join(await temporaryFolder(), 'corner.png')
    await drawing(80, 160, 'white', '<rect width="40" height="80"/>').png().toFile(path)
    const { image, inverted } = await readDigit(path, { height: 16, width: 8, channels: 1 })
    expect(inverted).toBe(true)
    expect([image[0], image[7], image[15 * 8], image[15 * 8 + 7]]).toEqual([1, 0, 0, 0])
  })
})

describe('a picture that cannot be used is refused in one line', () => {
  const problem = async (path: string, shape = MNIST): Promise<string> => {
    const error: unknown = await readDigit(path, shape).catch(e => e)
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
    await gray(digits[0]!).png().toFile(path)
    await writeFile(path, (await readFile(path)).subarray(0, 150))
    expect(await problem(path)).toMatch(/^FILE: cannot be read as a picture \(.*\)$/)
  })

  test('blank', async () => {
    const path = join(await temporaryFolder(), 'blank.png')
    await drawing(100, 100, '#eef', '').png().toFile(path)
    const blank = 'FILE: is blank: all its pixels have nearly the same value'
    expect(await problem(path)).toBe(blank)
    expect(await problem(path, { height: 8, width: 8, channels: 3 })).toBe(blank)
  })

  test('of more than 100 megapixels', async () => {
    const path = join(await temporaryFolder(), 'large.png')
    const png = await gray(digits[0]!).png().toBuffer()
    // The header of a PNG: width at byte 16, height at 20, checksum of bytes 12 to 28 at 29.
    png.writeUInt32BE(12_000, 16)
    png.writeUInt32BE(10_000, 20)
    png.writeUInt32BE(crc32(png.subarray(12, 29)), 29)
    await writeFile(path, png)
    expect(await problem(path)).toBe('FILE: has more pixels than the 100,000,000 allowed: make it smaller')
  })

  test('for a model that takes no picture', async () => {
    expect(await problem('any.png', { height: 8, width: 8, channels: 2 })).toBe(
      'FILE: a picture has 1 or 3 channels, this model takes 2',
    )
  })
})
