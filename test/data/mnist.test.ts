import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { cacheFolder, DownloadCache } from '../../src/data/cache-node.ts'
import { COLLECTIONS, type IdxFiles } from '../../src/data/collections.ts'
import type { Labels } from '../../src/data/dataset.ts'
import { fromCache, labelNames, loadMnist } from '../../src/data/mnist-node.ts'
import { UserError } from '../../src/graph/errors.ts'
import { deadMirror, idx, mirror, mnistFolder, temporaryFolder, tiny, writeTiny } from './files.ts'

/** The message of the UserError that this must fail with, the folder written as DIR. */
async function problem(folder: string): Promise<string> {
  const error: unknown = await loadMnist({ data: folder, env: {} }).catch(e => e)
  expect(error).toBeInstanceOf(UserError)
  return (error as UserError).message.replaceAll(folder, 'DIR')
}

const shares = (labels: Labels): number[] =>
  Array.from({ length: 10 }, (_, digit) => labels.filter(label => label === digit).length / labels.length)

describe('a folder with the four files', () => {
  test('is read, raw or gzip, under each of the usual names', async () => {
    const folder = await temporaryFolder()
    await writeTiny(folder)
    await rm(join(folder, 'train-images-idx3-ubyte'))
    await writeFile(join(folder, 'train-images.idx3-ubyte.gz'), gzipSync(tiny(5).images))
    // Browsers unpack a download and keep its name.
    await rm(join(folder, 't10k-labels-idx1-ubyte'))
    await writeFile(join(folder, 't10k-labels-idx1-ubyte.gz'), tiny(2).labels)
    const { train, test: held, origin, notice } = await loadMnist({ data: folder })
    expect([train.size, held.size, train.shape]).toEqual([5, 2, [1, 2, 3]])
    expect([...held.labels]).toEqual([0, 1])
    expect([...train.images]).toEqual([...Array(30).keys()])
    expect(origin).toBe(`5 + 2 images from the folder ${folder}`)
    expect(notice).toBeUndefined()
  })

  test('has file names in any case, of which the usual one comes first', async () => {
    const folder = await temporaryFolder()
    await writeTiny(folder)
    await rename(join(folder, 't10k-images-idx3-ubyte'), join(folder, 'T10K-Images.IDX3-ubyte'))
    expect((await loadMnist({ data: folder })).test.size).toBe(2)
    await writeFile(join(folder, 't10k-images-idx3-ubyte'), idx(0x803, [2, 2, 3], Array(12).fill(9)))
    expect((await loadMnist({ data: folder })).test.images[0]).toBe(9)
  })

  test('may be called anything: what the labels mean is found in them', async () => {
    const [one, two] = [await temporaryFolder(), join(await temporaryFolder(), 'fashion-mnist')]
    await mkdir(two)
    for (const folder of [one, two]) await writeTiny(folder)
    const [a, b] = [await loadMnist({ data: one }), await loadMnist({ data: two })]
    expect(b.train).toEqual(a.train)
    const labels = { name: 'labels', bytes: tiny(5).labels }
    const sha256 = createHash('sha256').update(labels.bytes).digest('hex')
    const known = { classes: ['shirt', 'shoe'], files: { 'train-labels-idx1-ubyte': sha256 } }
    const names = (bytes: Uint8Array) =>
      labelNames({ 'train-labels-idx1-ubyte': { ...labels, bytes } }, [known])
    expect(names(labels.bytes)).toEqual(known.classes)
    expect(names(tiny(6).labels)).toEqual([...'0123456789'])
  })

  test('may be named by ONNXGRAD_DATA, which an explicit folder overrides', async () => {
    const [named, given] = [await temporaryFolder(), await temporaryFolder()]
    await writeTiny(named)
    await writeTiny(given)
    const env = { ONNXGRAD_DATA: named }
    expect((await loadMnist({ data: 'mnist', env })).origin).toContain(named)
    expect((await loadMnist({ data: given, env })).origin).toContain(given)
  })

  test.runIf(mnistFolder)('holds MNIST with its published statistics', async () => {
    const { train, test: held, normalization } = await loadMnist({ data: mnistFolder! })
    expect([train.size, held.size, train.shape]).toEqual([60_000, 10_000, [1, 28, 28]])
    expect(normalization).toEqual({ mean: [0.1307], std: [0.3081] })
    expect([...train.labels.subarray(0, 5), ...held.labels.subarray(0, 5)]).toEqual([
      5, 0, 4, 1, 9, 7, 2, 1, 0, 4,
    ])
  })
})

describe('a folder that cannot be used is refused in one line, never passed over', () => {
  const gzipped = gzipSync(tiny(5).images)
  const broken = Buffer.from(gzipped)
  broken.writeUInt8(broken.readUInt8(20) ^ 0xff, 20)

  test.each([
    [
      'truncated images',
      { 'train-images-idx3-ubyte': tiny(5).images.subarray(0, 40) },
      'DIR/train-images-idx3-ubyte: has 40 bytes, but its header declares 46 (5 × 2 × 3): the file is truncated',
    ],
    [
      'truncated gzip',
      { 'train-images-idx3-ubyte': gzipped.subarray(0, -12) },
      'DIR/train-images-idx3-ubyte: its gzip data ends early: the file is truncated',
    ],
    [
      'gzip bomb',
      { 'train-images-idx3-ubyte': gzipSync(Buffer.concat([tiny(5).images, Buffer.alloc(10_000_000)])) },
      'DIR/train-images-idx3-ubyte: unpacks to more bytes than its header declares',
    ],
    [
      'gzip of something else',
      { 'train-images-idx3-ubyte': gzipSync('<html>') },
      'DIR/train-images-idx3-ubyte: not an IDX file: it starts with 0x3c68746d; images start with 0x00000803 and labels with 0x00000801',
    ],
    [
      'labels of another set',
      { 't10k-labels-idx1-ubyte': tiny(3).labels },
      'DIR/t10k-labels-idx1-ubyte: has 3 labels for the 2 images of DIR/t10k-images-idx3-ubyte',
    ],
    [
      'test images of another size',
      { 't10k-images-idx3-ubyte': idx(0x803, [2, 1, 1], [1, 2]) },
      'the folder DIR: training images are 2 × 3, but test images are 1 × 1',
    ],
  ])('%s', async (_, changed, message) => {
    const folder = await temporaryFolder()
    await writeTiny(folder, changed)
    expect(await problem(folder)).toBe(message)
  })

  test('corrupt gzip data', async () => {
    const folder = await temporaryFolder()
    await writeTiny(folder, { 'train-images-idx3-ubyte': broken })
    expect(await problem(folder)).toMatch(/^DIR\/train-images-idx3-ubyte: /)
  })

  test('missing folder, missing file, a file as folder, a folder as file', async () => {
    const folder = await temporaryFolder()
    expect(await problem(join(folder, 'none'))).toBe('data folder DIR: does not exist')
    expect(await problem(folder)).toBe(
      'data folder DIR: has no train-images-idx3-ubyte (or train-images-idx3-ubyte.gz)',
    )
    await writeFile(join(folder, 'file'), '')
    expect(await problem(join(folder, 'file'))).toBe('data folder DIR: is not a folder')
    await mkdir(join(folder, 'train-images-idx3-ubyte'))
    expect(await problem(folder)).toBe('DIR/train-images-idx3-ubyte is a folder, not a file')
  })

  test('ONNXGRAD_DATA is named where it is the cause', async () => {
    const folder = join(await temporaryFolder(), 'none')
    await expect(loadMnist({ env: { ONNXGRAD_DATA: folder } })).rejects.toThrow(
      `ONNXGRAD_DATA ${folder}: does not exist`,
    )
  })
})

test.runIf(mnistFolder)(
  'MNIST is downloaded into the cache once, and what is broken there once more',
  async () => {
    const asked: (string | undefined)[] = []
    const address = await mirror(async (request, response) => {
      asked.push(request.url)
      response.end(await readFile(join(mnistFolder!, basename(request.url ?? ''))))
    })
    const env = { XDG_CACHE_HOME: await temporaryFolder() }
    const load = () => loadMnist({ env, mirrors: [address], timeoutMs: 20_000 })

    const { train, test: held, origin, notice } = await load()
    expect([train.size, held.size, notice]).toEqual([60_000, 10_000, undefined])
    expect(origin).toBe(`60,000 + 10,000 images from the cache folder ${cacheFolder(env)}`)
    expect(asked).toHaveLength(4)

    await writeFile(join(cacheFolder(env)!, 't10k-labels-idx1-ubyte.gz'), 'broken')
    expect((await load()).test.labels).toEqual(held.labels)
    expect(asked.slice(4)).toEqual(['/mnist/t10k-labels-idx1-ubyte.gz'])

    expect((await loadMnist({ env, offline: true })).train.size).toBe(60_000)
  },
)

test('Fashion-MNIST is downloaded into a cache of its own, or refused with the reasons', async () => {
  const asked: (string | undefined)[] = []
  const wrong = await mirror((request, response) => {
    asked.push(request.url)
    response.end(gzipSync(tiny(5).images))
  })
  const env = { XDG_CACHE_HOME: await temporaryFolder() }
  const mirrors = [wrong, await deadMirror()]
  await expect(
    loadMnist({ data: 'fashion-mnist', env, mirrors, system: '', timeoutMs: 20_000 }),
  ).rejects.toThrow(
    /^Fashion-MNIST could not be downloaded \(127\.0\.0\.1:\d+: sent a file with the wrong SHA-256 checksum; 127\.0\.0\.1:\d+: connection refused\); give a folder with its four files: --data DIR$/,
  )
  expect(asked).toEqual(['/mnist/train-images-idx3-ubyte.gz'])
  expect(await readdir(cacheFolder(env, process.platform, 'fashion-mnist')!)).toEqual([])
})

describe("the files of the system's package", () => {
  const files = async (folder: string) => {
    const names = (await readdir(folder)).sort()
    const known: Record<string, string> = {}
    for (const name of names) {
      const bytes = await readFile(join(folder, name))
      known[name] = createHash('sha256').update(bytes).digest('hex')
      await writeFile(join(folder, `${name}.gz`), gzipSync(bytes))
      await rm(join(folder, name))
    }
    return known as IdxFiles['files']
  }
  const classes = [...'abcdefghij']

  test('are read after the cache folder and before a download, and named', async () => {
    const [system, cache] = [await temporaryFolder(), await temporaryFolder()]
    await writeTiny(system)
    const collection = { classes, files: await files(system), mirrors: [await deadMirror()], system }
    const load = () => fromCache('things', collection, { env: {}, cache })
    const { train, origin, location } = await load()
    expect([train.size, train.classes[1], location]).toEqual([5, 'b', 'things'])
    expect(origin).toBe(`5 + 2 images from the folder ${system}`)
    // Nothing was downloaded or copied; a file in the cache comes first.
    expect(await readdir(cache)).toEqual([])
    await mkdir(join(cache, 'things'))
    const [name] = (await readdir(system)).sort()
    await rename(join(system, name!), join(cache, 'things', name!))
    expect((await load()).origin).toBe(
      `5 + 2 images from the folder ${system} and the cache folder ${join(cache, 'things')}`,
    )
  })

  test('are not used with another checksum, or where there are none', async () => {
    const [system, cache] = [await temporaryFolder(), await temporaryFolder()]
    await writeTiny(system)
    const collection = { classes, files: await files(system), mirrors: [] }
    const load = (folder: string) =>
      fromCache('things', { ...collection, system: folder }, { env: {}, cache })
    expect((await load(system)).train.size).toBe(5)
    await writeFile(join(system, 't10k-labels-idx1-ubyte.gz'), gzipSync(tiny(3).labels))
    await expect(load(system)).rejects.toThrow('downloads are disabled')
    await expect(load(join(system, 'none'))).rejects.toThrow('downloads are disabled')
  })

  const debian = '/usr/share/datasets/fashion-mnist'
  test('are looked for where Debian puts those of Fashion-MNIST', () => {
    expect(COLLECTIONS['fashion-mnist'].idx.system).toBe(debian)
  })

  test.runIf(existsSync(debian))('are Fashion-MNIST where the package is installed', async () => {
    const options = { env: {}, cache: await temporaryFolder(), offline: true }
    const { origin, normalization, train } = await loadMnist({ data: 'fashion-mnist', ...options })
    expect(origin).toBe(`60,000 + 10,000 images from the folder ${debian}`)
    expect(normalization).toEqual({ mean: [0.286], std: [0.353] })
    expect(train.classes[9]).toBe('Ankle boot')
  })
})

describe('a cache folder that cannot be written', () => {
  test('is said to be the cause, and the mirrors are asked all the same', async () => {
    const file = join(await temporaryFolder(), 'file')
    await writeFile(file, '')
    let asked = 0
    const wrong = await mirror((_, response) => {
      asked++
      response.end(gzipSync(tiny(5).images))
    })
    for (const options of [{ env: { XDG_CACHE_HOME: file } }, { env: {}, cache: file }]) {
      const log: string[] = []
      const load = loadMnist({
        ...options,
        data: 'fashion-mnist',
        mirrors: [wrong],
        system: '',
        log: line => log.push(line),
      })
      await expect(load).rejects.toThrow('sent a file with the wrong SHA-256 checksum')
      expect(log[0]).toMatch(
        /^the cache folder .*file.* cannot be written: a file is in the place of its folder; downloads are kept in a temporary folder for this run only; set another folder with --cache DIR or ONNXGRAD_CACHE$/,
      )
    }
    expect(asked).toBe(2)
  })

  test('gives its place to a temporary one, which is gone in the end', async () => {
    const file = join(await temporaryFolder(), 'file')
    await writeFile(file, '')
    const kernel = process.platform === 'linux' ? ['/proc/none/deep/mnist'] : []
    for (const folder of [join(file, 'mnist'), file, undefined, ...kernel]) {
      const log: string[] = []
      const cache = new DownloadCache(folder, line => log.push(line))
      const temporary = await cache.writable()
      expect([temporary, cache.isTemporary, log.length]).toEqual([cache.folder, true, 1])
      await writeFile(join(temporary, 'a'), '')
      await cache.close()
      await expect(readdir(temporary)).rejects.toThrow('ENOENT')
    }
    const good = join(await temporaryFolder(), 'deep', 'mnist')
    const cache = new DownloadCache(good, () => expect.unreachable())
    expect([await cache.writable(), cache.isTemporary]).toEqual([good, false])
    await cache.close()
    expect(await readdir(good)).toEqual([])
  })

  test.runIf(mnistFolder)('is no reason to train on less than MNIST', async () => {
    const file = join(await temporaryFolder(), 'file')
    await writeFile(file, '')
    const address = await mirror(async (request, response) =>
      response.end(await readFile(join(mnistFolder!, basename(request.url ?? '')))),
    )
    const { train, notice, origin } = await loadMnist({ env: {}, cache: file, mirrors: [address] })
    expect([train.size, notice, origin]).toEqual([
      60_000,
      undefined,
      '60,000 + 10,000 images from a download',
    ])
  })
})

describe('without network', () => {
  test('the 10,000 digits of the package are used, which is said loudly', async () => {
    const cache = await temporaryFolder()
    const mirrors = [await deadMirror()]
    const data = await loadMnist({ env: { XDG_CACHE_HOME: cache }, mirrors })
    expect([data.train.size, data.test.size, data.train.shape]).toEqual([8000, 2000, [1, 28, 28]])
    expect(data.notice).toContain('Training uses the 10,000 MNIST digits bundled with onnxgrad')
    expect(data.notice).toContain('connection refused')
    expect(data.notice).toContain('8,000 for training, 2,000 held out')
    // Both halves hold each digit in the same share, and so do their beginnings, nearly.
    const whole = shares(data.train.labels)
    shares(data.test.labels).forEach((share, digit) => {
      expect(share).toBeCloseTo(whole[digit]!, 2)
    })
    for (const share of shares(data.test.labels.subarray(0, 500))) expect(share).toBeGreaterThan(0.05)
    expect(data.normalization.mean[0]).toBeCloseTo(0.1307, 2)
  })

  test('the split is always the same, and its halves share no image', async () => {
    const load = async () => loadMnist({ env: { XDG_CACHE_HOME: await temporaryFolder() }, offline: true })
    const [one, two] = [await load(), await load()]
    expect(Buffer.compare(one.test.images, two.test.images)).toBe(0)
    expect(one.train.labels).toEqual(two.train.labels)
    const train = new Set(prints(one.train.images))
    expect(prints(one.test.images).filter(print => train.has(print))).toEqual([])
  })

  test.runIf(mnistFolder)(
    "every digit is, to the byte and with its label, one of MNIST's training set",
    async () => {
      const mnist = await loadMnist({ data: mnistFolder! })
      const known = new Map(prints(mnist.train.images).map((print, i) => [print, mnist.train.labels[i]!]))
      const small = await loadMnist({ env: { XDG_CACHE_HOME: await temporaryFolder() }, offline: true })
      for (const { images, labels } of [small.train, small.test]) {
        expect(prints(images).map(print => known.get(print))).toEqual([...labels])
      }
    },
  )
})

test('the cache folder is where each platform keeps caches', () => {
  expect(cacheFolder({ XDG_CACHE_HOME: '/c' }, 'linux')).toBe(join('/c', 'onnxgrad', 'mnist'))
  expect(cacheFolder({ XDG_CACHE_HOME: 'relative' }, 'linux')).toBe(
    join(homedir(), '.cache', 'onnxgrad', 'mnist'),
  )
  expect(cacheFolder({}, 'darwin')).toBe(join(homedir(), 'Library', 'Caches', 'onnxgrad', 'mnist'))
  expect(cacheFolder({ ONNXGRAD_CACHE: '/own', XDG_CACHE_HOME: '/c' }, 'darwin')).toBe(join('/own', 'mnist'))
  expect(cacheFolder({ LOCALAPPDATA: '/local' }, 'win32')).toBe(join('/local', 'onnxgrad', 'mnist'))
})

/** One string per image of 784 pixels, equal where the images are. */
function prints(images: Uint8Array): string[] {
  const bytes = Buffer.from(images.buffer, images.byteOffset, images.byteLength)
  return Array.from({ length: images.length / 784 }, (_, i) =>
    bytes.toString('latin1', i * 784, (i + 1) * 784),
  )
}
