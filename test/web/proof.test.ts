import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { proveFile } from '../../src/deploy/proof/prove-node.ts'
import { start } from '../cli/program.ts'
import { examples, fileOf } from '../ort/proof-files.ts'
import { noBrowser } from './browser.ts'

const folder = await mkdtemp(join(tmpdir(), 'onnxgrad-proof-'))
const tmp = await mkdtemp(join(folder, 'tmp-'))
// Browsers of this file, and nobody else's, have their profiles here.
process.env.TMPDIR = tmp
process.env.CHROME_PATH = process.env.CHROMIUM ?? '/usr/bin/chromium'
afterAll(() => rm(folder, { recursive: true, force: true }))

const profiles = () => readdirSync(tmp).filter(name => name.startsWith('onnxgrad-browser-'))
const processes = () =>
  execFileSync('ps', ['ax', '-o', 'command'], { encoding: 'utf8' })
    .split('\n')
    .filter(line => line.includes(`--user-data-dir=${tmp}`))

test.skipIf(noBrowser)('a file is proved in a browser, which is gone afterwards', async () => {
  const options = { data: examples(), reference: fileOf(), seconds: 0.01, maxDrop: 3 } as const
  const devices = ['chromium-wasm'] as const
  const proof = await proveFile(fileOf({ dtype: 'float16', batch: 5 }), { ...options, devices })
  expect(proof.failures).toEqual([])
  expect(proof.runtimes).toMatchObject([
    {
      runtime: 'onnxruntime-web wasm in Chromium',
      examples: 200,
      detail: expect.stringMatching(/thread.*Chromium \d/),
    },
  ])
  expect(proof.runtimes[0]?.throughput?.speedup).toBeGreaterThan(0)
  const broken = await proveFile(fileOf({ off: 2 }), { ...options, devices })
  expect(broken.failures[0]).toMatch(/in Chromium: outputs differ by up to 2;/)
  expect([profiles(), processes()]).toEqual([[], []])
})

test.skipIf(noBrowser)('Ctrl-C takes the browser and its profile with it', async () => {
  const file = join(folder, 'file.onnx')
  await writeFile(file, fileOf())
  const { child, finished } = start(['verify', file, '--device', 'chromium-wasm', '--seconds', '60'])
  await expect.poll(() => processes().length, { timeout: 30_000 }).toBeGreaterThan(0)
  child.kill('SIGINT')
  await finished
  expect(child.signalCode).toBe('SIGINT')
  await expect.poll(() => [profiles(), processes()], { timeout: 10_000 }).toEqual([[], []])
})
