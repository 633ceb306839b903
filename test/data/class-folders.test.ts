import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { classFolders } from '../../src/data/class-folders-node.ts'
import { type ImageDataset, statistics } from '../../src/data/dataset.ts'
import { readPixels } from '../../src/data/image-node.ts'
import { imageShape, preprocess, RESIZE } from '../../src/data/preprocess.ts'
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
    await mkdir(join(folder, 'val/a'))
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
      `Left out 3 entries that are not pictures (png, jpg, jpeg, webp, gif, avif, tif, tiff) in class folders: README.md, other, test/b/deep/notes.txt. No pictures in 1 class folder of ${folder}/val: a`,
    )
  })

  test('with a val but no test has a fifth of train held out to test', async () => {
    const folder = await temporaryFolder()
    await write(folder, { ...numbered('train/a', 5, 10), ...numbered('train/b', 5, 30) })
    await write(folder, { 'val/a/x.png': 91, 'val/b/x.png': 92 })
    const { train, val, test: held } = await classFolders(folder, { shape: SHAPE })
    expect([train.size, val?.size, held.size]).toEqual([8, 2, 2])
  })

  test('takes the labels of a model that knows its classes, which may be more', async () => {
    const folder = await temporaryFolder()
    await write(folder, { ...numbered('b', 3, 10), ...numbered('d', 3, 30) })
    const classes = ['d', 'c', 'b']
    const { train } = await classFolders(folder, { shape: SHAPE, classes })
    expect(train.classes).toEqual(classes)
    expect(new Set(train.labels)).toEqual(new Set([0, 2]))
    await expect(classFolders(folder, { shape: SHAPE, classes: ['b', 'c'] })).rejects.toThrow(
      `${folder}: has folders for unknown classes: d; the known classes are b, c`,
    )
  })

  test('may have more classes than a byte can count', async () => {
    const folder = await temporaryFolder()
    const picture = await halves([9, 9, 9], [200, 9, 9]).png().toBuffer()
    for (let i = 0; i < 260; i++) {
      for (const split of ['train', 'test']) await mkdir(join(folder, split, `c${i}`), { recursive: true })
      await writeFile(join(folder, `train/c${i}/0.png`), picture)
    }
    await writeFile(join(folder, 'test/c99/0.png'), picture)
    const { train, test: held } = await classFolders(folder, { shape: SHAPE })
    expect([...train.labels].sort((a, b) => a - b)).toEqual([...Array(260).keys()])
    expect(Array.from(held.labels, label => held.classes[label])).toEqual(['c99'])
  })
})

const numberedReds = (name: string, count: number, from: number): string[] =>
  Array.from({ length: count }, (_, i) => `${name} ${from + i}`)

describe('pictures', () => {
  /** The one picture of class `a`, read for a shape. */
  async function read(folder: string, file: string, shape: readonly number[]): Promise<number[]> {
    const { test: held } = await classFolders(folder, { shape, classes: ['a', 'b'] })
    const picture = await readPixels(join(folder, 'test/a', file))
    // The very pixels that predict gives to the model.
    expect(held.images).toEqual(preprocess(picture, RESIZE, imageShape(shape, file)).image)
    return [...held.images]
  }

  async function folderWith(file: string, bytes: Uint8Array): Promise<string> {
    const folder = await temporaryFolder()
    await write(folder, { 'train/a/0.png': 0, 'train/b/0.png': 50 })
    for (const name of ['a', 'b']) await mkdir(join(folder, 'test', name), { recursive: true })
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
    await mkdir(join(folder, 'test/b'), { recursive: true })
    for (const path of ['train/a/0.png', 'train/b/0.png', 'test/a/it.png']) {
      await mkdir(dirname(join(folder, path)), { recursive: true })
      await writeFile(join(folder, path), dark)
    }
    expect(await read(folder, 'it.png', [1, 3, 3])).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 80])
  })
})

describe('size and channels', () => {
  const OPEN = { shape: [1, 6, 6], follow: { size: (side: number) => side <= 10, channels: true } }
  const shapeOf = async (folder: string, options: Parameters<typeof classFolders>[1] = OPEN) =>
    (await classFolders(folder, options)).train.shape

  async function pictures(size: (i: number) => readonly [number, number], right: Colour): Promise<string> {
    const folder = await temporaryFolder()
    for (const name of ['a', 'b']) await mkdir(join(folder, name))
    for (let i = 0; i < 10; i++) {
      const picture = halves([9 + i, 9 + i, 9 + i], right, ...size(i))
      await picture.png().toFile(join(folder, 'ab'[i % 2]!, `${i}.png`))
    }
    return folder
  }
  const white: Colour = [255, 255, 255]

  test('are those of the pictures where they are left open', async () => {
    const colour = await pictures(() => [10, 10], [255, 255, 254])
    expect(await shapeOf(colour)).toEqual([3, 10, 10])
    // Their files could hold colours, and hold none.
    const gray = await pictures(() => [10, 10], white)
    expect(await shapeOf(gray)).toEqual([1, 10, 10])
    // One that has a colour makes all coloured.
    await halves([9, 9, 9], [255, 0, 0], 10, 10).toFile(join(gray, 'b/red.png'))
    expect(await shapeOf(gray)).toEqual([3, 10, 10])
  })

  test('are the model’s where nothing is left open, or flags say one of them', async () => {
    const folder = await pictures(() => [10, 10], [255, 0, 0])
    expect(await shapeOf(folder, { shape: [1, 6, 6] })).toEqual([1, 6, 6])
    expect(await shapeOf(folder, { ...OPEN, follow: { channels: true } })).toEqual([3, 6, 6])
    expect(await shapeOf(folder, { ...OPEN, follow: { size: () => true } })).toEqual([1, 10, 10])
  })

  test('are the model’s where pictures differ in size, are no squares, or are more than it takes', async () => {
    const said: string[] = []
    const log = (line: string) => void said.push(line)
    const cases: readonly [size: (i: number) => readonly [number, number], line: string][] = [
      [i => [10, i === 9 ? 11 : 10], 'pictures: of several sizes'],
      [() => [10, 8], 'pictures: all 10 × 8'],
      [() => [12, 12], 'pictures: all 12 × 12'],
    ]
    for (const [size, line] of cases) {
      const folder = await pictures(size, white)
      expect(await shapeOf(folder, { ...OPEN, log })).toEqual([1, 6, 6])
      expect(said.pop()).toBe(line)
    }
  })

  test('of pictures on their side are those that are seen', async () => {
    const folder = await pictures(i => (i % 2 ? [10, 9] : [9, 10]), white)
    for (let i = 1; i < 10; i += 2) {
      const path = join(folder, 'b', `${i}.png`)
      await writeFile(path, await sharp(path).withMetadata({ orientation: 6 }).png().toBuffer())
    }
    const said: string[] = []
    await shapeOf(folder, { ...OPEN, log: line => void said.push(line) })
    expect(said).toEqual(['pictures: all 9 × 10'])
  })
})

describe('preprocessing', () => {
  /** Four drawings of a stroke on a ground, of two classes, at the left or the right. */
  async function drawings(dark: (i: number) => boolean): Promise<string> {
    const folder = await temporaryFolder()
    for (const name of ['left', 'right']) await mkdir(join(folder, name))
    for (let i = 0; i < 10; i++) {
      const [ink, ground] = dark(i) ? [20, 235] : [235, 20]
      const x = i % 2 ? 30 : 8
      const data = Uint8Array.from({ length: 40 * 40 }, (_, p) => {
        const [column, row] = [p % 40, Math.floor(p / 40)]
        return column >= x && column < x + 3 && row > 5 + i && row < 25 + i ? ink! : ground!
      })
      await sharp(data, { raw: { width: 40, height: 40, channels: 1 } })
        .png()
        .toFile(join(folder, i % 2 ? 'right' : 'left', `${i}.png`))
    }
    return folder
  }
  const SMALL = [1, 28, 28]

  test('by default keeps place, brightness and pictures of one colour', async () => {
    const folder = await drawings(i => i < 5)
    await sharp({ create: { width: 40, height: 40, channels: 3, background: '#777' } })
      .png()
      .toFile(join(folder, 'left/plain.png'))
    const { train, test: held, preprocessing } = await classFolders(folder, { shape: SMALL })
    expect(preprocessing).toEqual({ kind: 'resize' })
    const corners = [train, held].flatMap(({ images, size }) =>
      Array.from({ length: size }, (_, i) => images[i * 784]!),
    )
    expect(corners.sort((a, b) => a - b)).toEqual([...Array(5).fill(20), 119, ...Array(5).fill(235)])
  })

  test('as digits centres the ink and makes it light, whatever it was', async () => {
    for (const [dark, ink] of [
      [() => true, 'dark'],
      [() => false, 'light'],
      [(i: number) => i !== 3, 'dark'],
    ] as const) {
      const folder = await drawings(dark)
      const { train, preprocessing } = await classFolders(folder, {
        shape: SMALL,
        preprocessing: { kind: 'digit' },
      })
      expect(preprocessing).toEqual({ kind: 'digit', ink })
      const first = train.images.subarray(0, 784)
      expect(first[14 * 28 + 14]).toBe(255)
      for (let i = 1; i < train.size; i++)
        expect(train.images.subarray(i * 784, (i + 1) * 784)).toEqual(first)
    }
  })

  test('is what a model that is trained already has', async () => {
    const folder = await drawings(() => false)
    const known = { kind: 'digit', ink: 'dark' } as const
    const { preprocessing } = await classFolders(folder, { shape: SMALL, preprocessing: known })
    expect(preprocessing).toEqual(known)
    const stretched = await classFolders(folder, { shape: SMALL, preprocessing: { kind: 'stretch' } })
    expect(stretched.preprocessing).toEqual({ kind: 'stretch' })
  })
})

describe('a folder of pictures that cannot be used is refused in one line', () => {
  test('broken pictures by their names, all at once', async () => {
    const folder = await temporaryFolder()
    await write(folder, { ...numbered('a', 5, 10), ...numbered('b', 5, 30) })
    const path = join(folder, 'b/3.png')
    await writeFile(path, (await readFile(path)).subarray(0, 40))
    await writeFile(join(folder, 'a/1.png'), '')
    await writeFile(join(folder, 'a/text.jpg'), 'no picture')
    await writeFile(join(folder, 'b/old.bmp'), 'BM')
    expect(await problem(folder)).toMatch(
      /^DIR: 4 of 12 pictures cannot be read: a\/1\.png is empty \(0 bytes\); a\/text\.jpg is not a picture .*; b\/3\.png cannot be read as a picture \(.*\); b\/old\.bmp is not a picture .*\. Repair or remove them, or skip them with --skip-bad \(skipBad: true in a program\)$/,
    )
  })

  test('too few classes or pictures', async () => {
    const folder = await temporaryFolder()
    await write(folder, numbered('a', 2, 10))
    expect(await problem(folder)).toBe(
      'DIR: holds pictures of 1 class, a; give a folder with one subfolder of pictures per class, for at least two classes',
    )
    for (const name of ['b', 'c']) await mkdir(join(folder, name))
    expect(await problem(folder)).toBe(
      'DIR: 2 class folders have no pictures (png, jpg, jpeg, webp, gif, avif, tif, tiff): b, c; add some, remove the folder, or skip it with --skip-bad (skipBad: true in a program)',
    )
    await rm(join(folder, 'c'), { recursive: true })
    await write(folder, numbered('b', 2, 30))
    expect(await problem(folder)).toBe('DIR has 4 images; at least 5 are needed to hold out a fifth of them')
    for (const name of ['a', 'b']) await rm(join(folder, name, '1.png'))
    await write(folder, { 'c/0.png': 1, 'd/0.png': 2, 'e/0.png': 3 })
    expect(await problem(folder)).toMatch(
      /^DIR has one image per class, and each class keeps one for training/,
    )
  })

  test.skipIf(process.platform === 'win32')('links that lead in a circle, or nowhere', async () => {
    const folder = await temporaryFolder()
    await write(folder, { ...numbered('a', 5, 10), ...numbered('b', 5, 30) })
    await symlink(folder, join(folder, 'b/again'))
    await symlink(join(folder, 'none.png'), join(folder, 'b/link.png'))
    await symlink(join(folder, 'b/self.png'), join(folder, 'b/self.png'))
    expect(await problem(folder)).toMatch(
      /^DIR: 3 of 13 pictures cannot be read: b\/again is a link to a folder that contains it; b\/link\.png does not exist; b\/self\.png is a link that leads back to itself\. /,
    )
    for (const name of ['again', 'link.png', 'self.png']) await rm(join(folder, 'b', name))
    // A link to pictures elsewhere is followed.
    const elsewhere = await temporaryFolder()
    await write(elsewhere, { 'x.png': 77 })
    await symlink(elsewhere, join(folder, 'b/more'))
    const { train, test: held } = await classFolders(folder, { shape: SHAPE })
    expect([...seen(train), ...seen(held)]).toContain('b 77')
  })

  test('a model that takes no pictures', async () => {
    const folder = await temporaryFolder()
    await write(folder, { ...numbered('a', 5, 10), ...numbered('b', 5, 30) })
    expect(await problem(folder, [2, 4, 4])).toMatch(/a picture has 1 or 3 channels, but this model takes 2/)
  })
})

describe('with skipBad', () => {
  test('pictures that cannot be read are left out, and the rest is the same as without them', async () => {
    const [folder, clean] = [await temporaryFolder(), await temporaryFolder()]
    const pictures = { ...numbered('a', 9, 10), ...numbered('b', 9, 30), ...numbered('fox', 2, 60) }
    await write(folder, pictures)
    for (const path of ['a/bad.png', 'b/2.png', 'fox/0.png', 'fox/1.png'])
      await writeFile(join(folder, path), '')
    await mkdir(join(folder, 'empty'))
    const { 'b/2.png': _, 'fox/0.png': _0, 'fox/1.png': _1, ...good } = pictures
    await write(clean, good)
    const log: string[] = []
    const options = { shape: SHAPE, log: (line: string) => log.push(line) }
    await expect(classFolders(folder, options)).rejects.toThrow('a class folder has no pictures')
    const source = await classFolders(folder, { ...options, skipBad: true })
    const expected = await classFolders(clean, options)
    expect([source.train, source.test]).toEqual([expected.train, expected.test])
    expect(source.skipped).toEqual(['a/bad.png', 'b/2.png', 'empty', 'fox', 'fox/0.png', 'fox/1.png'])
    expect(source.notice).toBe(
      'Skipped 4 of 21 pictures, which cannot be read: a/bad.png, b/2.png, fox/0.png, fox/1.png. Skipped 2 classes without pictures: empty, fox',
    )
    expect([expected.skipped, expected.notice]).toEqual([undefined, undefined])
  })

  test('more than can be named in a line are told one by one', async () => {
    const folder = await temporaryFolder()
    await write(folder, { ...numbered('a', 5, 10), ...numbered('b', 5, 30) })
    for (let i = 0; i < 30; i++) await writeFile(join(folder, `a/bad${i}.png`), '')
    const log: string[] = []
    const load = classFolders(folder, { shape: SHAPE, log: line => log.push(line) })
    await expect(load).rejects.toThrow(/30 of 40 pictures .*; and 10 more, listed above/)
    expect(log).toHaveLength(30)
    expect(log[0]).toBe('unreadable: a/bad0.png is empty (0 bytes)')
  })

  test('a split does not become a class when its pictures are left out', async () => {
    const folder = await temporaryFolder()
    await write(folder, { ...numbered('train/a', 5, 10), ...numbered('train/b', 5, 30), 'test/a/0.png': 1 })
    await mkdir(join(folder, 'test/b'))
    await writeFile(join(folder, 'test/a/0.png'), '')
    await expect(classFolders(folder, { shape: SHAPE, skipBad: true })).rejects.toThrow(
      `${folder}/test: has no pictures (png, jpg, jpeg, webp, gif, avif, tif, tiff) in its class folders`,
    )
  })
})

test('what systems leave in folders never counts', async () => {
  const folder = await temporaryFolder()
  await write(folder, { ...numbered('a', 5, 10), ...numbered('b', 5, 30) })
  const paths = ['__MACOSX/a/._1.png', '@eaDir/a.png', 'a/@eaDir/1.png/thumb.jpg', 'b/Thumbs.db', 'a/._1.png']
  const more = ['.ipynb_checkpoints/1-checkpoint.png', '$RECYCLE.BIN/x.png', 'System Volume Information/y']
  for (const path of [...paths, ...more, 'lost+found/z.png', 'b/desktop.ini', 'a/.DS_Store']) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), 'system')
  }
  const { train, test: held, notice } = await classFolders(folder, { shape: SHAPE })
  expect([train.classes, train.size + held.size, notice]).toEqual([['a', 'b'], 10, undefined])
})
