import { createHash } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { fetchIdx } from '../../src/data/fetch-node.ts'
import { deadMirror, idx, mirror, temporaryFolder } from './files.ts'

const unpacked = idx(
  0x801,
  [100_000],
  Array.from({ length: 100_000 }, (_, i) => (i * i) % 10),
)
const gzipped = gzipSync(unpacked, { level: 0 })
const sha256 = createHash('sha256').update(unpacked).digest('hex')

/** Serves these bytes as a web server that knows ranges does, and notes the ranges asked for. */
function serving(bytes: Uint8Array, ranges: (string | undefined)[] = []): RequestListener {
  return (request, response) => {
    ranges.push(request.headers.range)
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    if (start >= bytes.length) {
      response.writeHead(416).end()
    } else if (start > 0) {
      response.writeHead(206, { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` })
      response.end(bytes.subarray(start))
    } else {
      response.end(bytes)
    }
  }
}

/** Promises the whole file, sends its first bytes and hangs up when they have arrived in the folder's `.part` file. */
const breakingOff =
  (count: number, folder: string): RequestListener =>
  async (_, response) => {
    response.writeHead(200, { 'content-length': gzipped.length }).write(gzipped.subarray(0, count))
    while ((await partSize(folder)) < count) await setTimeout(5)
    response.destroy()
  }

async function partSize(folder: string): Promise<number> {
  const part = (await readdir(folder)).find(name => name.endsWith('.part'))
  return part ? (await stat(join(folder, part))).size : 0
}

const attempt = (
  folder: string,
  mirrors: readonly string[],
  { timeoutMs = 20_000, log = (_: string) => {} } = {},
) => fetchIdx('labels.gz', join(folder, 'labels.gz'), sha256, { mirrors, timeoutMs, log })

test('a file is downloaded from the first mirror that has it, and kept', async () => {
  const folder = await temporaryFolder()
  const missing = await mirror((_, response) => response.writeHead(404).end())
  const paths: (string | undefined)[] = []
  const having = await mirror((request, response) => {
    paths.push(request.url)
    serving(gzipped)(request, response)
  })
  const dead = await deadMirror()
  const log: string[] = []
  const file = await attempt(join(folder, 'new'), [dead, missing, having], { log: line => log.push(line) })
  expect(Buffer.compare(file.bytes, unpacked)).toBe(0)
  expect(paths).toEqual(['/mnist/labels.gz'])
  expect(await readdir(join(folder, 'new'))).toEqual(['labels.gz'])
  expect(Buffer.compare(await readFile(join(folder, 'new', 'labels.gz')), gzipped)).toBe(0)
  expect(log[0]).toBe(`downloading labels.gz from ${new URL(dead).host}`)
})

test('a download that broke off goes on where it ended', async () => {
  const folder = await temporaryFolder()
  let answer = breakingOff(60_000, folder)
  const address = await mirror((request, response) => answer(request, response))
  await expect(attempt(folder, [address])).rejects.toThrow()
  expect(await readdir(folder)).toEqual([expect.stringMatching(/^labels\.gz\..*\.part$/)])

  const ranges: (string | undefined)[] = []
  answer = serving(gzipped, ranges)
  expect(Buffer.compare((await attempt(folder, [address])).bytes, unpacked)).toBe(0)
  expect(ranges).toEqual(['bytes=60000-'])
  expect(await readdir(folder)).toEqual(['labels.gz'])
})

test('a mirror that ignores ranges sends the file from its beginning', async () => {
  const folder = await temporaryFolder()
  let answer = breakingOff(60_000, folder)
  const address = await mirror((request, response) => answer(request, response))
  await expect(attempt(folder, [address])).rejects.toThrow()
  answer = (_, response) => response.end(gzipped)
  expect(Buffer.compare((await attempt(folder, [address])).bytes, unpacked)).toBe(0)
})

test('the part of one mirror is not continued with the bytes of another', async () => {
  const folder = await temporaryFolder()
  const broken = await mirror(breakingOff(60_000, folder))
  const ranges: (string | undefined)[] = []
  const whole = await mirror(serving(gzipSync(unpacked, { level: 9 }), ranges))
  expect(Buffer.compare((await attempt(folder, [broken, whole])).bytes, unpacked)).toBe(0)
  expect(ranges).toEqual([undefined])
})

test('a part of a file that has changed since is thrown away', async () => {
  for (const stale of [Buffer.alloc(500, 7), Buffer.alloc(gzipped.length + 10, 7)]) {
    const folder = await temporaryFolder()
    let answer = breakingOff(10, folder)
    const address = await mirror((request, response) => answer(request, response))
    await expect(attempt(folder, [address])).rejects.toThrow()
    const [part] = await readdir(folder)
    await writeFile(join(folder, part!), stale)

    const ranges: (string | undefined)[] = []
    answer = serving(gzipped, ranges)
    expect(Buffer.compare((await attempt(folder, [address])).bytes, unpacked)).toBe(0)
    expect(ranges).toEqual([`bytes=${stale.length}-`, undefined])
  }
})

test('a file with another checksum is refused, and the next mirror asked', async () => {
  const folder = await temporaryFolder()
  const wrong = await mirror(serving(gzipSync(unpacked.map(v => (v + 1) % 256))))
  await expect(attempt(folder, [wrong])).rejects.toThrow('sent a file with another SHA-256 checksum')
  expect(await readdir(folder)).toEqual([])
  const right = await mirror(serving(gzipped))
  expect(Buffer.compare((await attempt(folder, [wrong, right])).bytes, unpacked)).toBe(0)
})

test('each mirror that fails is named with its reason, one that stops answering too', async () => {
  const silent = await mirror(() => {})
  const stalling = await mirror((_, response) => response.writeHead(200).write('a beginning'))
  const failing = await mirror((_, response) => response.writeHead(503).end())
  const mirrors = [await deadMirror(), silent, stalling, failing]
  const hosts = mirrors.map(address => new URL(address).host)
  await expect(attempt(await temporaryFolder(), mirrors, { timeoutMs: 800 })).rejects.toThrow(
    `${hosts[0]}: connection refused; ${hosts[1]}: no answer in 0.8 s; ${hosts[2]}: no answer in 0.8 s; ` +
      `${hosts[3]}: answers 503 Service Unavailable`,
  )
})
