import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { mlp } from '../../models/index.ts'
import { WEB_FILES } from '../../src/runtime/web-files.ts'
import { initialize, layoutOf } from '../../src/train/layout.ts'
import { toOnnx } from '../../src/train/trained.ts'
import { complaintsOf, launch, noBrowser } from './browser.ts'
import { installed } from './package.ts'

const runtime = fileURLToPath(new URL('../../node_modules/onnxruntime-web/dist', import.meta.url))
const model = mlp({ image: 28, channels: 1, classes: 10, hidden: [4] })
const bytes = toOnnx({ model, params: initialize(layoutOf(model.parameters), 1) })

let place: Awaited<ReturnType<typeof installed>>
let run: string

beforeAll(async () => {
  place = await installed({ lab: 'lab/vite.config.ts' })
  run = place.folder
  await writeFile(join(run, 'model.onnx'), bytes)
  await writeFile(join(run, 'last.safetensors'), 'a checkpoint')
  await writeFile(join(run, 'config.json'), '{"secret": "of the run"}')
  await symlink(join(run, 'config.json'), join(place.own, 'dist/lab/link.json'))
}, 120_000)
afterAll(() => place?.remove())

/** Starts the program as it is installed. */
function start(...args: string[]) {
  const program = join(place.own, 'bin/onnxgrad.js')
  const env = { ...process.env, PATH: `${join(run, 'bin')}:${process.env.PATH}` }
  const child = spawn(process.execPath, [program, 'serve', '--json', ...args], { env })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  let stderr = ''
  child.stderr.on('data', d => {
    stderr += d
  })
  const closed = new Promise<number | null>(resolve => child.on('close', resolve))
  return { child, closed, stderr: () => stderr }
}

/** Its answer once it listens. */
async function answerOf({ stdout }: ChildProcess): Promise<{ url: string; port: number; host: string }> {
  for await (const line of createInterface(stdout!)) return JSON.parse(line)
  throw new Error('it said nothing')
}

const serve = async (...args: string[]) => {
  const started = start(...args)
  return { ...started, ...(await answerOf(started.child)) }
}

/** A failed start: one line on stderr. */
async function complaint(...args: string[]): Promise<string> {
  const { closed, stderr } = start(...args)
  expect(await closed).toBe(1)
  expect(stderr().trim().split('\n')).toHaveLength(1)
  return stderr().replaceAll(run, '…')
}

/** A request whose path and headers are sent as they are given. */
const ask = (port: number, path: string, { method = 'GET', host = `localhost:${port}` } = {}) =>
  new Promise<{ status: number; headers: Readonly<Record<string, unknown>>; body: string }>(
    (resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, path, method, headers: { host } }, async response => {
        let body = ''
        response.setEncoding('latin1')
        for await (const part of response) body += part
        resolve({ status: response.statusCode!, headers: response.headers, body })
      })
      asked.on('error', reject).end()
    },
  )

describe('serve', () => {
  test('gives the page, isolated and with the right types, and the model and checkpoint of a run', async () => {
    const { port, url, child, closed } = await serve(run)
    expect(url).toBe(`http://127.0.0.1:${port}/`)
    const page = await ask(port, '/?model=model.onnx')
    expect(page.status).toBe(200)
    expect(page.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
    })
    for (const file of await readdir(join(place.own, 'dist/lab/assets'))) {
      const { status, headers } = await ask(port, `/assets/${file}`, { method: 'HEAD' })
      const type = file.endsWith('.js') ? /^text\/javascript/ : /./
      expect([file, status]).toEqual([file, 200])
      expect(headers['content-type']).toMatch(type)
    }
    // onnxruntime-web's files are not copied: they are those of the installed package.
    expect(await readdir(join(place.own, 'dist/lab'))).not.toContain('runtime')
    for (const file of Object.values(WEB_FILES).flatMap(files => Object.values(files))) {
      const { status, headers } = await ask(port, `/runtime/${file}`, { method: 'HEAD' })
      const { size } = await stat(join(runtime, file))
      expect([file, status, headers['content-length']]).toEqual([file, 200, String(size)])
      expect(headers['content-type']).toMatch(file.endsWith('.wasm') ? 'application/wasm' : 'text/javascript')
    }
    const served = await ask(port, '/model.onnx')
    expect(Buffer.from(served.body, 'latin1').equals(bytes)).toBe(true)
    expect((await ask(port, '/checkpoint.safetensors')).body).toBe('a checkpoint')
    expect((await ask(port, '/digits.bin')).headers['content-type']).toBe('application/octet-stream')

    const head = await ask(port, '/model.onnx', { method: 'HEAD' })
    expect([head.status, head.headers['content-length'], head.body]).toEqual([200, String(bytes.length), ''])
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'])
      expect((await ask(port, '/', { method })).status).toBe(405)

    child.kill('SIGINT')
    expect(await closed).toBe(0)
    await expect(ask(port, '/')).rejects.toThrow('ECONNREFUSED')
  })

  test('shows nothing else of the disk, however it is asked', async () => {
    const { port } = await serve(join(run, 'model.onnx'))
    expect((await ask(port, '/model.onnx')).status).toBe(200)
    expect((await ask(port, '/checkpoint.safetensors')).body).not.toBe('a checkpoint')
    for (const path of [
      '/config.json',
      '/link.json',
      '/../package.json',
      '/assets/../../package.json',
      '/%2e%2e/package.json',
      '/..%2fpackage.json',
      '/..%5cpackage.json',
      '/..\\package.json',
      '/%252e%252e/package.json',
      '//etc/passwd',
      '/etc/passwd',
      'file:///etc/passwd',
      '/index.html%00.js',
      '/index.html/',
      '/assets',
      '/assets/',
      '/%',
      '/%ff',
      '/constructor',
      '/__proto__',
      '*',
    ]) {
      const { status, body } = await ask(port, path)
      expect([path, status, body]).toEqual([path, 404, 'There is no such file here.\n'])
    }
  })

  test('answers to names of this machine only, so that no page of the web can reach it', async () => {
    const { port } = await serve()
    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      '192.168.1.2',
      'a b',
    ])
      expect([host, (await ask(port, '/', { host })).status]).toEqual([host, 403])
    for (const host of ['localhost', `127.0.0.1:${port}`, `[::1]:${port}`, 'lab.localhost', 'LOCALHOST'])
      expect([host, (await ask(port, '/', { host })).status]).toEqual([host, 200])
    // Without any Host, as HTTP/1.0 allows.
    const socket = connect(port, '127.0.0.1')
    socket.end('GET / HTTP/1.0\r\n\r\n')
    let answer = ''
    for await (const part of socket) answer += part
    expect(answer).toMatch(/^HTTP\/1\.1 403/)
  })

  test('takes another port where its own is taken, but not where the user named it', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await new Promise(resolve => other.once('listening', resolve))
    onTestFinished(() => {
      other.close()
    })
    const { port } = other.address() as { port: number }
    expect(await complaint('--port', String(port))).toBe(
      `onnxgrad: cannot listen at 127.0.0.1, port ${port}: another program does already; give another --port, or none\n`,
    )
    const [first, second] = [await serve(), await serve()]
    expect(first.port).not.toBe(second.port)
    expect((await ask(second.port, '/')).status).toBe(200)
    expect(await complaint('--port', '70000')).toContain('--port must be a whole number from 0 to 65535')
    expect(await complaint('--host', '203.0.113.1')).toContain('this machine has no such address')
  })

  test('says what is missing: a model, a whole one, the built page', async () => {
    expect(await complaint(join(run, 'nowhere'))).toContain('…/nowhere does not exist')
    await writeFile(join(run, 'half.onnx'), bytes.subarray(0, 100))
    expect(await complaint(join(run, 'half.onnx'))).toContain('…/half.onnx: ')
    const lab = join(place.own, 'dist/lab')
    await rename(lab, `${lab}-away`)
    onTestFinished(() => rename(`${lab}-away`, lab))
    expect(await complaint()).toMatch(
      /^onnxgrad: the lab is not built: .* build it .* with: npm run build\n$/,
    )
  })

  test.runIf(process.platform === 'linux')('opens the browser where that is asked for', async () => {
    await mkdir(join(run, 'bin'))
    const told = join(run, 'told')
    await writeFile(join(run, 'bin/xdg-open'), `#!/bin/sh\necho "$@" > ${told}`, { mode: 0o755 })
    await serve()
    const { url } = await serve('--open')
    await expect.poll(() => readFile(told, 'utf8').catch(() => '')).toBe(`${url}\n`)
  })

  test('a model that is written anew is served anew', async () => {
    const { port } = await serve(run)
    const other = toOnnx({ model, params: initialize(layoutOf(model.parameters), 2) })
    await writeFile(join(run, 'model.onnx'), other)
    onTestFinished(() => writeFile(join(run, 'model.onnx'), bytes))
    const { body } = await ask(port, '/model.onnx')
    expect(Buffer.from(body, 'latin1').equals(other)).toBe(true)
    expect(Buffer.from(await readFile(join(run, 'model.onnx'))).equals(other)).toBe(true)
  })

  test.skipIf(noBrowser)(
    `a browser may use threads in the page${noBrowser ? ` (${noBrowser})` : ''}`,
    async () => {
      const { url } = await serve(run)
      const browser = await launch()
      onTestFinished(() => browser.close())
      const page = await browser.newPage()
      const complaints = complaintsOf(page, new URL(url).origin)
      await page.goto(url, { waitUntil: 'networkidle' })
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(true)
      expect(complaints).toEqual([])
    },
  )
})
