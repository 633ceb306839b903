import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { mlp } from '../../models/index.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { initialized } from '../../src/nn/trained.ts'
import { WEB_FILES } from '../../src/runtime/web-files.ts'
import { filesOf } from '../../src/serve/server.ts'
import { complaintsOf, launch, noBrowser } from './browser.ts'
import { choose, drawOne, ends, goTo, reaches, ready, shows, startButton } from './lab-page.ts'
import { installed } from './package.ts'

const runtime = fileURLToPath(new URL('../../node_modules/onnxruntime-web/dist', import.meta.url))
const model = mlp({ image: 28, channels: 1, classes: 10, hidden: [4] })
const bytes = exportOnnx(initialized(model, 1))

let place: Awaited<ReturnType<typeof installed>>
let run: string

beforeAll(async () => {
  place = await installed('lab')
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
const ask = (
  port: number,
  path: string,
  { method = 'GET', host = `localhost:${port}`, encoding = 'identity' } = {},
) =>
  new Promise<{ status: number; headers: Readonly<Record<string, unknown>>; body: string }>(
    (resolve, reject) => {
      const asked = request(
        { host: '127.0.0.1', port, path, method, headers: { host, 'accept-encoding': encoding } },
        async response => {
          let body = ''
          response.setEncoding('latin1')
          for await (const part of response) body += part
          resolve({ status: response.statusCode!, headers: response.headers, body })
        },
      )
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
      `evil.example:${port}`,
      '127.0.0.1.evil.example',
      '127.0.0.1#.evil.example',
      'a@127.0.0.1',
      'lab.localhost',
    ])
      expect([host, (await ask(port, '/', { host })).status]).toEqual([host, 403])
    for (const host of ['localhost', `127.0.0.1:${port}`, `[::1]:${port}`, 'LOCALHOST'])
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

  test.skipIf(process.platform === 'win32')(
    'serves a model, not what is put in its place, and says so',
    async () => {
      const own = await mkdtemp(join(run, 'run-'))
      const file = join(own, 'model.onnx')
      await writeFile(file, bytes)
      const { port, stderr } = await serve(own)
      const take = async (make: () => unknown) => {
        await rm(file)
        await make()
      }
      await take(() => symlink('/etc/passwd', file))
      expect((await ask(port, '/model.onnx')).status).toBe(403)
      await expect.poll(stderr).toContain(`not served: ${file} is a link, not a file\n`)
      await take(() => execFileSync('mkfifo', [file]))
      // Each would take a thread for good, of the four that Node has for files.
      const all = await Promise.all(Array.from({ length: 6 }, () => ask(port, '/model.onnx')))
      expect(all.map(a => a.status)).toEqual(Array(6).fill(403))
      expect((await ask(port, '/')).status).toBe(200)
      await expect.poll(stderr).toContain(`not served: ${file} is a named pipe, not a file\n`)

      const elsewhere = join(run, 'elsewhere.onnx')
      await writeFile(elsewhere, bytes)
      await take(() => symlink(elsewhere, file))
      expect(await complaint(own)).toMatch(/^onnxgrad: …\/run-\w+\/model\.onnx is a link, not a file\n$/)
      // One that the user names is followed.
      const named = await serve(file)
      expect((await ask(named.port, '/model.onnx')).status).toBe(200)
      await rm(elsewhere)
      await symlink('/etc/passwd', elsewhere)
      expect((await ask(named.port, '/model.onnx')).status).toBe(403)
    },
  )

  test('sends a quarter of the bytes to those that take gzip', async () => {
    const { port } = await serve()
    const lab = await filesOf(join(place.own, 'dist/lab'))
    let [whole, sent] = [0, 0]
    for (const path of [...lab.keys(), ...Object.values(WEB_FILES.wasm).map(file => `/runtime/${file}`)]) {
      if (!/\.(js|mjs|css|wasm|html)$/.test(path) || path.includes('asyncify')) continue
      const plain = await ask(port, path, { encoding: 'identity' })
      const gzip = await ask(port, path, { encoding: 'br, gzip' })
      const body = Buffer.from(gzip.body, 'latin1')
      const unpacked = gzip.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
      expect([path, unpacked.equals(Buffer.from(plain.body, 'latin1'))]).toEqual([path, true])
      whole += plain.body.length
      sent += body.length
    }
    expect(whole).toBeGreaterThan(14e6)
    expect(sent / whole).toBeLessThan(0.3)
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
    const other = exportOnnx(initialized(model, 2))
    await writeFile(join(run, 'model.onnx'), other)
    onTestFinished(() => writeFile(join(run, 'model.onnx'), bytes))
    const { body } = await ask(port, '/model.onnx')
    expect(Buffer.from(body, 'latin1').equals(other)).toBe(true)
    expect(Buffer.from(await readFile(join(run, 'model.onnx'))).equals(other)).toBe(true)
  })

  test.skipIf(noBrowser)(
    `a browser trains in the page, looks inside, reads pictures and keeps files, with threads and within its policy${noBrowser ? ` (${noBrowser})` : ''}`,
    async () => {
      const { url } = await serve(run)
      const browser = await launch()
      onTestFinished(() => browser.close())
      const page = await browser.newPage()
      const complaints = complaintsOf(page, new URL(url).origin)
      let received = 0
      page.on('requestfinished', async request => {
        received += (await request.sizes()).responseBodySize
      })
      await page.goto(url)
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(true)
      await shows(page, '#model').toContain('model.onnx')
      await goTo(page, 'train')
      await ready(page)
      await startButton(page).click()
      await reaches(page, 3)
      await page.getByRole('button', { name: 'Stop' }).click()
      await ends(page)
      await goTo(page, 'see')
      await page.locator('.see-maps canvas').first().waitFor()
      await goTo(page, 'try')
      await drawOne(page)
      await shows(page, '#certainty').toMatch(/%$/)
      const bar = sharp({ create: { width: 40, height: 200, channels: 3, background: 'black' } })
        .extend({ top: 60, bottom: 60, left: 140, right: 140, background: 'white' })
        .png()
      await choose(page, 'bar.png', await bar.toBuffer(), '#picture')
      await shows(page, '#board-title').toBe('bar.png')
      await page.locator('#shown canvas').waitFor()
      await shows(page, '#certainty').toMatch(/%$/)
      await choose(page, 'other.onnx', bytes)
      await shows(page, '#model').toContain('other.onnx')
      await goTo(page, 'keep')
      const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save-onnx')])
      expect((await readFile(await download.path())).equals(bytes)).toBe(true)
      expect(complaints).toEqual([])
      // 1.6 MB of them are digits, which are compressed already.
      expect(received).toBeGreaterThan(4e6)
      expect(received).toBeLessThan(6.5e6)

      // Where a script is put into the page, the policy is what stops it.
      const refused = page.waitForEvent('console', message => /Content Security Policy/.test(message.text()))
      await page.evaluate(() => {
        const script = document.createElement('script')
        script.textContent = 'window.injected = true'
        document.body.append(script)
      })
      await refused
      expect(await page.evaluate(() => 'injected' in window)).toBe(false)
    },
    120_000,
  )
})
