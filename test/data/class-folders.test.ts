import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { classFolders } from '../../src/data/class-folders-node.ts'
import { type ImageDataset, statistics } from '../../src/data/dataset.ts'
import { readDigit } from '../../src/data/image-node.ts'
import { UserError } from '../../src/graph/errors.ts'
import { temporaryFolder } from './files.ts'

const SHAPE = [3, 2, 2] as const
type Colour = readonly [r: number, g: number, b: number]

/** Half of one colour, half of another, so that it is not blank. */
const halves = (left: Colour, right: Colour, width = 2, height = 2) =>
  sharp(
    Uint8Array.from(
      Array.from({ length: width * height }, (_, i) => (i % width < width / 2 ? left : right)).flat(),
    ),
    { raw: { width, height, channels: 3 } },
  )

/** Writes pictures: the red of `reds[path]` on the left, white on the right. */
async function write(folder: string, reds: Readonly<Record<string, number>>): Promise<void> {
  for (const [path, red] of Object.entries(reds)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await halves([red, 0, 0], [255, 255, 255]).toFile(join(folder, path))
  }
}

/** What `write` wrote: the red of each image, with the name of its class. */
const seen = ({ images, labels, classes }: ImageDataset): string[] =>
  Array.from(labels, (label, i) => `${classes[label]} ${images[i * 12]}`).sort()

const numbered = (folder: string, count: number, from: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${folder}/${i}.png`, from + i]))

async function problem(folder: string, shape: readonly number[] = SHAPE): Promise<string> {
  const error: unknown = await classFolders(folder, { shape }).catch(e => e)
  expect(error).toBeInstanceOf(UserError)
  return (error as UserError).message.replaceAll(folder, 'DIR')
}

describe('a folder of pictures for each class', () => {
  test('is data: a fifth of each class is held out, and each picture keeps its class', async () => {
    const folder = await temporaryFolder()
    await write(folder, { ...numbered('dog', 10, 10), ...numbered('Cat', 5, 30), ...numbered('ant', 5, 50) })
    const { train, test: held, normalization, notice } = await classFolders(folder, { shape: SHAPE })
    // Code-unit order, as torchvision sorts them.
    expect(train.classes).toEqual(['Cat', 'ant', 'dog'])
    expect(train.shape).toEqual(SHAPE)
    const all = [...numberedReds('dog', 10, 10), ...numberedReds('Cat', 5, 30), ...numberedReds('ant', 5, 50)]
    expect([...seen(train), ...seen(held)].sort()).toEqual(all.sort())
    expect([0, 1, 2].map(label => held.labels.filter(l => l === label).length)).toEqual([1, 1, 2])
    expect(normalization).toEqual(statistics(train))
    expect(notice).toBeUndefined()
    const again = await classFolders(folder, { shape: SHAPE })
    expect([again.train.images, again.train.labels]).toEqual([train.images, train.labels])
  })

  test('may come in parts, of which test and val are left as they are', async () => {
    const folder = await temporaryFolder()
    await write(folder, { ...numbered('train/a', 9, 10), ...numbered('train/b', 7, 30) })
    await write(folder, { 'test/a/x.png': 91, 'test/b/deep/y.webp': 92, 'val/b/z.png': 93 })
    await writeFile(join(folder, 'test/b/deep/notes.txt'), '')
    await writeFile(join(folder, 'README.md'), '')
    await writeFile(join(folder, 'train/a/.DS_Store'), '')
    await mkdir(join(folder, 'other'))
    const { train, test: held, val, notice, origin } = await classFolders(folder, { shape: SHAPE })
    expect(seen(train)).toEqual([...numberedReds('a', 9, 10), ...numberedReds('b', 7, 30)].sort())
    // Classes are mixed, so that the first images are of more than one.
    expect(new Set(train.labels.subarray(0, 8)).size).toBe(2)
    expect(held.labels).toHaveLength(2)
    expect(seen(held)[0]).toBe('a 91')
    expect(seen(val as ImageDataset)).toEqual(['b 93'])
    expect(origin).toBe(`16 + 2 images from 2 classes in the folder ${folder}`)
    expect(notice).toBe(
      'Left out, being no pictures (png, jpg, jpeg, webp, gif, avif, tif, tiff) in the folder of a class: 2, other, test/b/deep/notes.txt',
    )
  })

  test('with a val but no test has a fifth of train held out to test', async () => {
    const folder = await temporaryFolder()
    await write(folder, { ...numbered('train/a', 5, 10), ...numbered('train/b', 5, 30), 'val/a/x.png': 91 })
    const { train, val, test: held } = await classFolders(folder, { shape: SHAPE })
    expect([train.size, val?.size, held.size]).toEqual([8, 1, 2])
  })

  test('takes the labels of a model that knows its classes, which may be more', async () => {
    const folder = await temporaryFolder()
    await write(folder, { ...numbered('b', 3, 10), ...numbered('d', 3, 30) })
    const classes = ['d', 'c', 'b']
    const { train } = await classFolders(folder, { shape: SHAPE, classes })
    expect(train.classes).toEqual(classes)
    expect(new Set(train.labels)).toEqual(new Set([0, 2]))
    await expect(classFolders(folder, { shape: SHAPE, classes: ['b', 'c'] })).rejects.toThrow(
      `${join(folder, 'd')}: is no class that is trained; those are b, c`,
    )
  })

  test('may have more classes than a byte can count', async () => {
    const folder = await temporaryFolder()
    const picture = await halves([9, 9, 9], [200, 9, 9]).png().toBuffer()
    for (let i = 0; i < 300; i++) {
      await mkdir(join(folder, `c${i}`))
      await writeFile(join(folder, `c${i}/0.png`), picture)
    }
    const { train, test: held } = await classFolders(folder, { shape: SHAPE })
    const labels = [...train.labels, ...held.labels].sort((a, b) => a - b)
    expect(labels).toEqual([...Array(300).keys()])
  })
})

const numberedReds = (name: string, count: number, from: number): string[] =>
  Array.from({ length: count }, (_, i) => `${name} ${from + i}`)

describe('pictures', () => {
  /** The one picture of class `a`, read for a shape. */
  async function read(folder: string, file: string, shape: readonly number[]): Promise<number[]> {
    const { test: held } = await classFolders(folder, { shape, classes: ['a', 'b'] })
    const { image } = await readDigit(join(folder, 'test/a', file), {
      channels: shape[0]!,
      height: shape[1]!,
      width: shape[2]!,
    })
    // The very pixels that predict gives to the model, as bytes.
    expect([...held.images]).toEqual(Array.from(image, v => Math.round(v * 255)))
    return [...held.images]
  }

  async function folderWith(file: string, bytes: Uint8Array): Promise<string> {
    const folder = await temporaryFolder()
    await write(folder, { 'train/a/0.png': 0, 'train/b/0.png': 50 })
    await mkdir(join(folder, 'test/a'), { recursive: true })
    await writeFile(join(folder, 'test/a', file), bytes)
    return folder
  }
  const [red, blue]: Colour[] = [
    [255, 0, 0],
    [0, 0, 255],
  ]

  test('of another size are scaled with their aspect kept, and cut to the middle', async () => {
    // 120 × 40, of which a square frame keeps the middle: half red, half blue; the sides are green.
    const wide = await halves(red!, blue!, 40, 40)
      .extend({ left: 40, right: 40, background: '#0f0' })
      .png()
      .toBuffer()
    const folder = await folderWith('wide.png', wide)
    const pixels = await read(folder, 'wide.png', [3, 8, 8])
    const row = (plane: number) => [0, 2, 5, 7].map(x => Math.round(pixels[plane * 64 + 24 + x]! / 255))
    expect([row(0), row(1), row(2)]).toEqual([
      [1, 1, 0, 0],
      [0, 0, 0, 0],
      [0, 0, 1, 1],
    ])
  })

  test('are turned upright as the camera held them', async () => {
    // Stored with red on the left; orientation 6 is shown turned by 90° clockwise: red on top.
    const turned = await halves(red!, blue!, 32, 32)
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
      .toBuffer()
    const folder = await folderWith('photo.jpeg', turned)
    const pixels = await read(folder, 'photo.jpeg', [3, 4, 2])
    const rows = [0, 3].map(y => [0, 1, 2].map(c => Math.round(pixels[c * 8 + y * 2]! / 255)))
    expect(rows).toEqual([
      [1, 0, 0],
      [0, 0, 1],
    ])
  })

  test('are put on white where they are transparent', async () => {
    const raw = Uint8Array.from([255, 0, 0, 255, 0, 0, 0, 0, 255, 0, 0, 255, 0, 0, 0, 0])
    const bytes = await sharp(raw, { raw: { width: 2, height: 2, channels: 4 } })
      .webp({ lossless: true })
      .toBuffer()
    const folder = await folderWith('clear.webp', bytes)
    expect(await read(folder, 'clear.webp', [3, 2, 2])).toEqual([
      255, 255, 255, 255, 0, 255, 0, 255, 0, 255, 0, 255,
    ])
  })

  test('are gray for a model of one channel', async () => {
    const dark = await sharp(Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 80]), {
      raw: { width: 3, height: 3, channels: 1 },
    })
      .png()
      .toBuffer()
    const folder = await temporaryFolder()
    for (const path of ['train/a/0.png', 'train/b/0.png', 'test/a/it.png']) {
      await mkdir(dirname(join(folder, path)), { recursive: true })
      await writeFile(join(folder, path), dark)
    }
    expect(await read(folder, 'it.png', [1, 3, 3])).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 80])
  })
})

describe('a folder of pictures that cannot be used is refused in one line', () => {
  test('a broken picture by its name', async () => {
    const folder = await temporaryFolder()
    await write(folder, { ...numbered('a', 5, 10), ...numbered('b', 5, 30) })
    const path = join(folder, 'b/3.png')
    await writeFile(path, (await readFile(path)).subarray(0, 40))
    expect(await problem(folder)).toMatch(
      /^DIR\/b\/3\.png: cannot be read as a picture \(.*\); repair the file or take it out of the folder$/,
    )
    await writeFile(path, 'no picture')
    expect(await problem(folder)).toMatch(/^DIR\/b\/3\.png: is not a picture .*; repair the file or take it/)
  })

  test('too few classes or pictures', async () => {
    const folder = await temporaryFolder()
    await write(folder, numbered('a', 2, 10))
    expect(await problem(folder)).toBe(
      'DIR: holds pictures of 1 class, a; give a folder that has a folder of pictures for each of two classes or more',
    )
    await mkdir(join(folder, 'b'))
    await writeFile(join(folder, 'b/0.bmp'), '')
    expect(await problem(folder)).toBe(
      'DIR/b: has no pictures (png, jpg, jpeg, webp, gif, avif, tif, tiff); put some there or remove the folder',
    )
    await write(folder, numbered('b', 2, 30))
    expect(await problem(folder)).toMatch(/ has 4 images; it takes 5 to hold out a fifth of them$/)
  })

  test('a test set without pictures, or of a class that is not trained', async () => {
    const folder = await temporaryFolder()
    await write(folder, { ...numbered('train/a', 2, 10), ...numbered('train/b', 2, 30) })
    await mkdir(join(folder, 'test/a'), { recursive: true })
    expect(await problem(folder)).toMatch(/^DIR\/test: has no pictures \(.*\) in the folders of classes$/)
    await write(folder, { 'test/c/0.png': 1 })
    expect(await problem(folder)).toBe('DIR/test/c: is no class that is trained; those are a, b')
  })

  test.skipIf(process.platform === 'win32')('links that lead in a circle, or nowhere', async () => {
    const folder = await temporaryFolder()
    await write(folder, { ...numbered('a', 5, 10), ...numbered('b', 5, 30) })
    await symlink(folder, join(folder, 'b/again'))
    expect(await problem(folder)).toBe('DIR/b/again: leads back to DIR, in which it lies; remove the link')
    await rm(join(folder, 'b/again'))
    await symlink(join(folder, 'none.png'), join(folder, 'b/link.png'))
    expect(await problem(folder)).toBe('DIR/b/link.png: does not exist')
    // A link to pictures elsewhere is followed.
    await rm(join(folder, 'b/link.png'))
    const elsewhere = await temporaryFolder()
    await write(elsewhere, { 'x.png': 77 })
    await symlink(elsewhere, join(folder, 'b/more'))
    const { train, test: held } = await classFolders(folder, { shape: SHAPE })
    expect([...seen(train), ...seen(held)]).toContain('b 77')
  })

  test('a model that takes no pictures', async () => {
    const folder = await temporaryFolder()
    await write(folder, { ...numbered('a', 5, 10), ...numbered('b', 5, 30) })
    expect(await problem(folder, [2, 4, 4])).toMatch(/a picture has 1 or 3 channels, this model takes 2/)
  })
})
