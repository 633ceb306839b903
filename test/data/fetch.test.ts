import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { fetchIdx, UnwritableError } from '../../src/data/fetch-node.ts'
import { type DownloadLimits, LIMITS } from '../../src/data/watchdog-node.ts'
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
  { log = (_: string) => {}, ...limits }: Partial<DownloadLimits> & { log?: (line: string) => void } = {},
) => {
  const options = { ...LIMITS, timeoutMs: 20_000, ...limits, mirrors, log }
  return fetchIdx('labels.gz', join(folder, 'labels.gz'), { sha256, bytes: unpacked.length }, options)
}

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
  await mkdir(join(folder, 'new'))
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
  await expect(attempt(folder, [wrong])).rejects.toThrow('sent a file with the wrong SHA-256 checksum')
  expect(await readdir(folder)).toEqual([])
  const right = await mirror(serving(gzipped))
  expect(Buffer.compare((await attempt(folder, [wrong, right])).bytes, unpacked)).toBe(0)
})

test('each mirror that fails is named with its reason, one that stops answering too', async () => {
  const silent = await mirror(() => {})
  const stalling = await mirror((_, response) => response.writeHead(200).write(gzipped.subarray(0, 100)))
  const failing = await mirror((_, response) => response.writeHead(503).end())
  const mirrors = [await deadMirror(), silent, stalling, failing]
  const hosts = mirrors.map(address => new URL(address).host)
  await expect(attempt(await temporaryFolder(), mirrors, { timeoutMs: 800 })).rejects.toThrow(
    `${hosts[0]}: connection refused; ${hosts[1]}: no response in 0.8 s; ${hosts[2]}: no response in 0.8 s; ` +
      `${hosts[3]}: responded with 503 Service Unavailable`,
  )
})

/** Sends some bytes again and again, until nobody listens. */
const dripping =
  (bytes: Uint8Array, everyMs: number, sent: { bytes: number } = { bytes: 0 }): RequestListener =>
  async (_, response) => {
    response.writeHead(200)
    while (!response.destroyed) {
      const flushed = response.write(bytes)
      sent.bytes += bytes.length
      await setTimeout(everyMs)
      while (!flushed && response.writableNeedDrain && !response.destroyed) await setTimeout(1)
    }
  }

test('a mirror that sends too slowly is given up, by rate or in all, and the next one asked', async () => {
  const folder = await temporaryFolder()
  const slow = await mirror(dripping(gzipped.subarray(0, 20), 20))
  const rate = { minRate: 10_000, windowMs: 300 }
  await expect(attempt(folder, [slow], rate)).rejects.toThrow(
    /: sent \d+ bytes in 0\.3 s; at least 3000 were expected$/,
  )
  // One that is fast enough is not given up for that.
  await expect(attempt(folder, [slow], { minRate: 10, windowMs: 100, totalMs: 500 })).rejects.toThrow(
    /: did not finish within 0\.5 s$/,
  )
  const whole = await mirror(serving(gzipped))
  expect(Buffer.compare((await attempt(folder, [slow, whole], rate)).bytes, unpacked)).toBe(0)
  expect(await readdir(folder)).toEqual(['labels.gz'])
})

test('an answer that is larger than the file can be is cut off, and nothing of it stays', async () => {
  const folder = await temporaryFolder()
  const sent = { bytes: 0 }
  const endless = await mirror(dripping(Buffer.alloc(2 ** 16), 0, sent))
  await expect(attempt(folder, [endless])).rejects.toThrow('sent more than the 101133 bytes expected')
  // What is on its way comes on top of what was read.
  expect(sent.bytes).toBeLessThan(10e6)
  const announcing = await mirror((_, response) =>
    response.writeHead(200, { 'content-length': 2 ** 40 }).write(gzipped),
  )
  await expect(attempt(folder, [announcing])).rejects.toThrow(
    'announced 1099511627776 bytes; at most 101133 were expected',
  )
  expect(await readdir(folder)).toEqual([])
  // As large as it can be is not too large: a server may unpack what it sends.
  const unpacking = await mirror(serving(unpacked))
  expect(Buffer.compare((await attempt(folder, [unpacking])).bytes, unpacked)).toBe(0)
})

test('the page of a login or an error is refused at its first byte', async () => {
  const folder = await temporaryFolder()
  const page = await mirror((_, response) => response.end('<html>Please log in</html>'))
  await expect(attempt(folder, [page])).rejects.toThrow('sent a file that is not gzip')
  expect(await readdir(folder)).toEqual([])
})

test('parts that nobody resumes are removed: old ones, and those of a file that is there', async () => {
  const folder = await temporaryFolder()
  const old = new Date(Date.now() - 48 * 3600 * 1000)
  for (const name of ['labels.gz.abc.part', 'images.gz.old.part', 'images.gz.new.part'])
    await writeFile(join(folder, name), 'x')
  await utimes(join(folder, 'images.gz.old.part'), old, old)
  await attempt(folder, [await mirror(serving(gzipped))])
  expect((await readdir(folder)).sort()).toEqual(['images.gz.new.part', 'labels.gz'])
})

test('a folder that cannot be written is said to be the cause, not the mirror', async () => {
  const folder = await temporaryFolder()
  await writeFile(join(folder, 'file'), '')
  let asked = 0
  const whole = await mirror((request, response) => {
    asked++
    serving(gzipped)(request, response)
  })
  const error = await attempt(join(folder, 'file'), [whole, whole]).catch((e: unknown) => e)
  expect(error).toBeInstanceOf(UnwritableError)
  expect((error as Error).message).toMatch(
    /file\/labels\.gz\..*\.part cannot be written: a file is in the place of its folder$/,
  )
  expect(asked).toBe(1)
})
