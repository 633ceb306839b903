import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { truncateSync } from 'node:fs'
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { Gzipped } from '../../src/serve/gzip.ts'
import { hostNames } from '../../src/serve/request.ts'
import { filesOf, staticServer } from '../../src/serve/server.ts'
import { temporaryFolder } from '../data/files.ts'

const TEXT = 'const answer = 42\n'.repeat(5000)
const MODEL = randomBytes(100_000)

let folder: string
let port: number
let warned: string[]
let server: ReturnType<typeof staticServer>

beforeEach(async () => {
  folder = await temporaryFolder()
  await writeFile(join(folder, 'index.html'), '<!doctype html><p>the page')
  await writeFile(join(folder, 'main.js'), TEXT)
  await writeFile(join(folder, 'model.onnx'), MODEL)
  warned = []
  server = staticServer(await filesOf(folder), {
    hosts: hostNames('localhost', '127.0.0.1', '::1'),
    warn: line => warned.push(line.replaceAll(folder, '…')),
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
})

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** What comes back for these very bytes, until the server closes the connection. */
async function raw(text: string | Uint8Array): Promise<Answer> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(text)
  const parts: Buffer[] = []
  for await (const part of socket) parts.push(part)
  return parsed(Buffer.concat(parts))
}

function parsed(bytes: Buffer): Answer {
  const end = bytes.indexOf('\r\n\r\n')
  const [first = '', ...lines] = bytes.subarray(0, Math.max(0, end)).toString('latin1').split('\r\n')
  const headers = Object.fromEntries(
    lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
  )
  const body = bytes.subarray(end + 4)
  const chunked = headers['transfer-encoding'] === 'chunked'
  return { status: Number(first.split(' ')[1] ?? 0), headers, body: chunked ? dechunked(body) : body }
}

function dechunked(body: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; ; ) {
    const line = body.indexOf('\r\n', at)
    const size = Number.parseInt(body.subarray(at, line).toString('latin1'), 16)
    if (!size) return Buffer.concat(parts)
    parts.push(body.subarray(line + 2, line + 2 + size))
    at = line + 2 + size + 2
  }
}

const ask = (target: string, headers: Readonly<Record<string, string>> = {}, method = 'GET') =>
  raw(
    [
      `${method} ${target} HTTP/1.1`,
      ...Object.entries({ Host: 'localhost', Connection: 'close', ...headers }).map(h => h.join(': ')),
      '\r\n',
    ].join('\r\n'),
  )

describe('who is answered', () => {
  test('hosts of this machine, exactly, with any port', async () => {
    for (const host of [
      ...[
        'localhost',
        'LOCALHOST',
        'LocalHost:8765',
        '127.0.0.1',
        `127.0.0.1:${port}`,
        '[::1]',
        '[::1]:9000',
      ],
      ...['localhost:1', 'localhost:65535'],
    ])
      expect([host, (await ask('/', { Host: host })).status]).toEqual([host, 200])
  })

  test('no other host', async () => {
    for (const host of [
      ...['evil.com', `evil.com:${8765}`, 'localhost.evil.com', '127.0.0.1.evil.com', 'evil.com.localhost'],
      ...['127.0.0.1#.evil.com', '127.0.0.1/.evil.com', '127.0.0.1?.evil.com', '127.0.0.1\\.evil.com'],
      ...['a@127.0.0.1', 'a:b@127.0.0.1', 'evil.com@localhost', '@localhost', 'localhost@'],
      ...['127.0.0.1:99999', '127.0.0.1:65536', '127.0.0.1:0', '127.0.0.1:080', '127.0.0.1:', 'localhost:'],
      ...[
        '127.0.0.1:80a',
        '127.0.0.1:-1',
        '127.0.0.1:80:80',
        ':80',
        '127.0.0.1.',
        'localhost.',
        '.localhost',
      ],
      ...[
        '127.1',
        '127.0.0.2',
        '2130706433',
        '0x7f.0.0.1',
        '0177.0.0.1',
        '127.0.0.1%00',
        '127.0.0.1 evil.com',
      ],
      ...[
        '::1',
        '[::1',
        '[::1]evil',
        '[0:0:0:0:0:0:0:1]',
        '[::ffff:127.0.0.1]',
        '[::1%lo]',
        '０',
        'ｌocalhost',
      ],
      ...['localhost,evil.com', 'http://localhost', '//localhost', 'localhost/', '*', 'null', '0.0.0.0', ''],
    ]) {
      const { status, body } = await ask('/', { Host: host })
      expect([host, status, body.toString()]).toEqual([host, 403, 'This server answers to localhost only.\n'])
    }
  })

  test('no request with two hosts, or none', async () => {
    const twice = await raw(
      'GET / HTTP/1.1\r\nHost: localhost\r\nhost: evil.com\r\nConnection: close\r\n\r\n',
    )
    expect(twice.status).toBe(400)
    expect(
      (await raw('GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n')).status,
    ).toBe(400)
    expect((await raw('GET / HTTP/1.1\r\nConnection: close\r\n\r\n')).status).toBe(400)
    expect((await raw('GET / HTTP/1.0\r\n\r\n')).status).toBe(403)
    expect((await raw('GET / HTTP/1.0\r\nHost: localhost\r\n\r\n')).status).toBe(200)
  })

  test('a target that names its host, if that is this machine too', async () => {
    for (const target of [
      'http://evil.com/',
      'http://evil.com',
      'HTTP://evil.com/?/',
      'http://a@localhost/',
      'http:///',
    ])
      expect([target, (await ask(target)).status]).toEqual([target, 403])
    expect((await ask('http://localhost/', { Host: 'evil.com' })).status).toBe(403)
    for (const target of ['http://localhost/', `http://127.0.0.1:${port}/index.html?x`])
      expect([target, (await ask(target)).status]).toEqual([target, 200])
    for (const target of ['https://localhost/', 'file:///etc/passwd', '*'])
      expect([target, (await ask(target)).status]).toEqual([target, 404])
  })

  test('of methods GET and HEAD', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'PROPFIND']) {
      const { status, headers } = await ask('/', {}, method)
      expect([method, status, headers.allow]).toEqual([method, 405, 'GET, HEAD'])
    }
    expect((await ask('/', {}, 'HEAD')).body).toHaveLength(0)
  })
})

test('paths lead to the files that there are, and nowhere else', async () => {
  for (const path of [
    ...[
      '/../main.js',
      '/..%2fmain.js',
      '/%2e%2e/main.js',
      '/..%5cmain.js',
      '/..\\main.js',
      '/.//main.js',
      '//main.js',
    ],
    ...[
      '/main.js%00',
      '/main.js%00.html',
      '/main.js/',
      '/main.js/.',
      '/MAIN.JS',
      '/%',
      '/%ff',
      '/%zz',
      '/main%2ejs%',
    ],
    ...[
      '/%c0%ae%c0%ae/main.js',
      '/%c0%afmain.js',
      '/%e0%80%afmain.js',
      '/__proto__',
      '/constructor',
      '/main.js;x',
    ],
  ]) {
    const { status, body } = await ask(path)
    expect([path, status, body.toString()]).toEqual([path, 404, 'There is no such file here.\n'])
  }
  for (const path of ['/main.js', '/main%2ejs', '/main.js?v=1', '/main.js?../..', '/%6dain.js'])
    expect([path, (await ask(path)).body.toString()]).toEqual([path, TEXT])
  expect((await ask(`/${'x'.repeat(100_000)}`)).status).toBe(431)
  expect(warned).toEqual([])
})

test('every answer has the headers that isolate the page and hold it to its own files', async () => {
  const answers = [
    await ask('/'),
    await ask('/', {}, 'HEAD'),
    await ask('/main.js', { 'Accept-Encoding': 'gzip' }),
    await ask('/model.onnx', { Range: 'bytes=0-3' }),
    await ask('/model.onnx', { Range: 'bytes=999999-' }),
    await ask('/', { 'If-None-Match': '*' }),
    await ask('/nowhere'),
    await ask('/', {}, 'POST'),
    await ask('/', { Host: 'evil.com' }),
  ]
  expect(answers.map(a => a.status)).toEqual([200, 200, 200, 206, 416, 304, 404, 405, 403])
  for (const { headers } of answers) {
    expect(headers).toMatchObject({
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
      'cross-origin-resource-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-cache',
    })
    expect(headers['content-security-policy']).toMatch(/^default-src 'none';.*; frame-ancestors 'none'$/)
    expect(headers['content-security-policy']).not.toMatch(/'unsafe-(inline|eval)'|\*|https?:|blob:/)
  }
})

describe('parts of a file', () => {
  const size = MODEL.length
  const part = async (range: string, more = {}) => {
    const { status, headers, body } = await ask('/model.onnx', { Range: range, ...more })
    if (status !== 416) expect(headers['content-length']).toBe(String(body.length))
    return [status, headers['content-range'], body.toString('base64')] as const
  }

  test('are sent as they are asked for', async () => {
    for (const [range, start, end] of [
      ['bytes=0-0', 0, 0],
      ['bytes=10-19', 10, 19],
      ['bytes=99990-', 99_990, size - 1],
      ['bytes=-10', size - 10, size - 1],
      ['bytes=-1000000', 0, size - 1],
      ['bytes=5-99999999999999999999', 5, size - 1],
      ['Bytes=0-', 0, size - 1],
    ] as const)
      expect([range, ...(await part(range))]).toEqual([
        ...[range, 206, `bytes ${start}-${end}/${size}`, MODEL.subarray(start, end + 1).toString('base64')],
      ])
  })

  test('are refused where the file has none of them', async () => {
    for (const range of [
      `bytes=${size}-`,
      `bytes=${size}-${size + 5}`,
      'bytes=99999999999999999999-',
      'bytes=-0',
    ])
      expect([range, ...(await part(range))]).toEqual([range, 416, `bytes */${size}`, ''])
  })

  test('are the whole where they are no single range of bytes', async () => {
    for (const range of [
      'bytes=5-2',
      'bytes=-',
      'bytes=a-b',
      'bytes=0-1,5-6',
      'items=0-1',
      'bytes',
      'bytes=1 2-3',
      '0-5',
    ])
      expect([range, ...(await part(range))]).toEqual([range, 200, undefined, MODEL.toString('base64')])
    expect((await ask('/model.onnx', { Range: 'bytes=0-1' }, 'HEAD')).status).toBe(200)
  })

  test('are of the state that If-Range names, else the whole', async () => {
    const { etag = '' } = (await ask('/model.onnx')).headers
    expect((await part('bytes=0-9', { 'If-Range': etag }))[0]).toBe(206)
    for (const other of ['"other"', `W/${etag}`, 'Wed, 21 Oct 2015 07:28:00 GMT', ''])
      expect([other, (await part('bytes=0-9', { 'If-Range': other }))[0]]).toEqual([other, 200])
  })

  test('are not compressed', async () => {
    const { status, headers, body } = await ask('/main.js', {
      Range: 'bytes=6-11',
      'Accept-Encoding': 'gzip',
    })
    expect([status, headers['content-encoding'], body.toString()]).toEqual([206, undefined, 'answer'])
  })
})

describe('a file that the client has', () => {
  test('is not sent again until it changes', async () => {
    const { etag = '' } = (await ask('/model.onnx')).headers
    expect(etag).toMatch(/^"[\w-]+"$/)
    for (const tags of [etag, `W/${etag}`, `"a", ${etag}`, '*']) {
      const { status, body, headers } = await ask('/model.onnx', { 'If-None-Match': tags })
      expect([tags, status, body.length, headers.etag]).toEqual([tags, 304, 0, etag])
    }
    expect((await ask('/model.onnx', { 'If-None-Match': '"a", "b"' })).status).toBe(200)
    // In place, with the same length.
    await writeFile(
      join(folder, 'model.onnx'),
      MODEL.map(byte => byte ^ 1),
    )
    expect((await ask('/model.onnx', { 'If-None-Match': etag })).status).toBe(200)
    // By renaming, as training does.
    await writeFile(join(folder, 'new'), MODEL)
    await rename(join(folder, 'new'), join(folder, 'model.onnx'))
    const again = await ask('/model.onnx', { 'If-None-Match': etag })
    expect([again.status, again.body.equals(MODEL)]).toEqual([200, true])
  })

  test('is another one compressed', async () => {
    const plain = (await ask('/main.js')).headers
    const gzip = (await ask('/main.js', { 'Accept-Encoding': 'gzip' })).headers
    expect([plain.vary, gzip.vary]).toEqual(['Accept-Encoding', 'Accept-Encoding'])
    expect(gzip.etag).not.toBe(plain.etag)
    const has = (tag: string, encoding: string) =>
      ask('/main.js', { 'If-None-Match': tag, 'Accept-Encoding': encoding }).then(a => a.status)
    expect(await has(gzip.etag!, 'gzip')).toBe(304)
    expect(await has(plain.etag!, 'gzip')).toBe(200)
    expect(await has(gzip.etag!, 'identity')).toBe(200)
  })
})

describe('compression', () => {
  test('is for those that take it', async () => {
    for (const [accept, encoding] of [
      ...[
        ['gzip', 'gzip'],
        ['GZIP', 'gzip'],
        ['br, gzip;q=0.1', 'gzip'],
        ['gzip ; q=1', 'gzip'],
        ['*', 'gzip'],
      ],
      ...[
        ['', undefined],
        ['br', undefined],
        ['gzip;q=0', undefined],
        ['gzip;q=0.000', undefined],
      ],
      ...[
        ['*;q=0', undefined],
        ['identity', undefined],
        ['*, gzip;q=0', undefined],
        ['xgzip', undefined],
      ],
    ] as const) {
      const { headers, body } = await ask('/main.js', { 'Accept-Encoding': accept! })
      expect([accept, headers['content-encoding']]).toEqual([accept, encoding])
      expect((encoding ? gunzipSync(body) : body).toString()).toBe(TEXT)
    }
  })

  test('is of what gets shorter by it, and is told by HEAD', async () => {
    for (const path of ['/', '/model.onnx'])
      expect((await ask(path, { 'Accept-Encoding': 'gzip' })).headers['content-encoding']).toBeUndefined()
    const head = () => ask('/main.js', { 'Accept-Encoding': 'gzip' }, 'HEAD').then(a => a.headers)
    expect(await head()).toMatchObject({ 'content-encoding': 'gzip' })
    const { body } = await ask('/main.js', { 'Accept-Encoding': 'gzip' })
    expect(body.length).toBeLessThan(TEXT.length / 10)
    expect((await head())['content-length']).toBe(String(body.length))
  })

  test('gives its beginning before it has come to its end, while other work goes on', async () => {
    const bytes = randomBytes(4_000_000)
    const gzipped = new Gzipped(bytes)
    let turns = 0
    const turn = setInterval(() => turns++, 0)
    const unknown: boolean[] = []
    const parts: Buffer[] = []
    for await (const part of gzipped) {
      unknown.push(gzipped.length === undefined)
      parts.push(part)
    }
    clearInterval(turn)
    expect(unknown[0]).toBe(true)
    expect(turns).toBeGreaterThan(5)
    expect(gunzipSync(Buffer.concat(parts)).equals(bytes)).toBe(true)
    expect(gzipped.length).toBe(Buffer.concat(parts).length)
  })

  test('is done once for all that ask, whoever leaves before its end', async () => {
    const big = randomBytes(3_000_000)
    await writeFile(join(folder, 'main.js'), big)
    const gone = connect(port, '127.0.0.1')
    gone.write('GET /main.js HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n')
    gone.once('data', () => gone.destroy())
    const all = await Promise.all(
      Array.from({ length: 4 }, () => ask('/main.js', { 'Accept-Encoding': 'gzip' })),
    )
    for (const { body } of all) expect(gunzipSync(body).equals(big)).toBe(true)
    // Its length is known by now.
    const again = await ask('/main.js', { 'Accept-Encoding': 'gzip' })
    expect(again.headers['content-length']).toBe(String(again.body.length))
    expect(again.body.equals(all[0]!.body)).toBe(true)
  })

  test('follows the file', async () => {
    await ask('/main.js', { 'Accept-Encoding': 'gzip' })
    const other = TEXT.replaceAll('42', '43')
    await writeFile(join(folder, 'main.js'), other)
    const { body } = await ask('/main.js', { 'Accept-Encoding': 'gzip' })
    expect(gunzipSync(body).toString()).toBe(other)
  })
})

describe.skipIf(process.platform === 'win32')('what takes the place of a file', () => {
  const place = () => join(folder, 'model.onnx')
  const OTHERS: Readonly<
    Record<string, readonly [make: () => Promise<unknown> | unknown, status: number, why: string]>
  > = {
    'a link to another file': [() => symlink('/etc/passwd', place()), 403, 'is a link, not a file'],
    'a link to a file beside it': [() => symlink('main.js', place()), 403, 'is a link, not a file'],
    'a link to nothing': [() => symlink('nothing', place()), 403, 'is a link, not a file'],
    'a FIFO': [() => execFileSync('mkfifo', [place()]), 403, 'is a named pipe, not a file'],
    'a folder': [() => mkdir(place()), 403, 'is a folder, not a file'],
    'a socket': [
      () =>
        new Promise<void>(resolve => {
          const socket = createServer().listen(place(), resolve)
          onTestFinished(() => {
            socket.close()
          })
        }),
      403,
      'is not a file',
    ],
    nothing: [() => {}, 404, 'does not exist'],
  }

  for (const [what, [make, status, why]] of Object.entries(OTHERS))
    test(`${what} is refused, said once, and stops no other answer`, async () => {
      expect((await ask('/model.onnx')).status).toBe(200)
      await rm(place())
      await make()
      // More than the threads that Node has for files.
      const all = await Promise.all(Array.from({ length: 12 }, () => ask('/model.onnx')))
      for (const { status: got, body } of all)
        expect([got, body.toString()]).toEqual([status, 'The file no longer exists or cannot be read.\n'])
      expect(warned).toEqual([`not served: …/model.onnx ${why}`])
      expect((await ask('/main.js')).body.toString()).toBe(TEXT)
      await rm(place(), { recursive: true, force: true })
      await writeFile(place(), MODEL)
      expect((await ask('/model.onnx')).body.equals(MODEL)).toBe(true)
    })

  test('a device is refused', async () => {
    const files = new Map([['/zero', '/dev/zero']])
    const other = staticServer(files, { warn: line => warned.push(line) })
    await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      other.close()
    })
    port = (other.address() as AddressInfo).port
    expect((await ask('/zero')).status).toBe(403)
    // Without a list of hosts any will do.
    expect((await ask('/other', { Host: 'lab.example' })).status).toBe(404)
    expect(warned).toEqual(['not served: /dev/zero is a device, not a file'])
  })

  test('a file that becomes shorter while it is sent ends the connection: the client knows', async () => {
    await writeFile(place(), randomBytes(20_000_000))
    const socket = connect(port, '127.0.0.1')
    socket.write('GET /model.onnx HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await new Promise(resolve => socket.once('readable', resolve))
    truncateSync(place(), 1000)
    let length = 0
    socket.on('error', () => {})
    await new Promise<void>(resolve => {
      socket.on('data', part => {
        length += part.length
      })
      socket.on('close', () => resolve())
    })
    expect(length).toBeLessThan(20_000_000)
    expect((await ask('/main.js')).status).toBe(200)
  })
})

test('a client that says nothing, half of something, or takes nothing is cut off', async () => {
  expect(server.headersTimeout).toBeLessThanOrEqual(30_000)
  expect(server.requestTimeout).toBeLessThanOrEqual(60_000)
  expect(server.timeout).toBeGreaterThan(0)
  await writeFile(join(folder, 'model.onnx'), randomBytes(30_000_000))
  server.timeout = 200
  const sockets = [
    '',
    'GET / HTTP/1.1\r\nHost: loc',
    'GET /model.onnx HTTP/1.1\r\nHost: localhost\r\n\r\n',
  ].map(text => {
    const socket = connect(port, '127.0.0.1').pause()
    socket.on('error', () => {}).write(text)
    return socket
  })
  const connections = () => new Promise<number>(resolve => server.getConnections((_, n) => resolve(n)))
  await Promise.all(sockets.map(socket => socket.connecting && once(socket, 'connect')))
  await expect.poll(connections, { timeout: 20_000 }).toBe(0)
  for (const socket of sockets) socket.destroy()
})

test('hundreds of clients at once are all answered', async () => {
  const all = await Promise.all(
    Array.from({ length: 300 }, (_, i) => ask(i % 2 ? '/main.js' : '/model.onnx')),
  )
  expect(new Set(all.map(a => a.status))).toEqual(new Set([200]))
})
