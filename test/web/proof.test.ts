import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { proveFile } from '../../src/deploy/proof/prove-node.ts'
import { examples, fileOf } from '../ort/proof-files.ts'
import { noBrowser } from './browser.ts'

const profiles = () => readdirSync(tmpdir()).filter(name => name.startsWith('onnxgrad-browser-'))

test.skipIf(noBrowser)('a file is proved in a browser, which is gone afterwards', async () => {
  process.env.CHROME_PATH = process.env.CHROMIUM ?? '/usr/bin/chromium'
  const before = profiles()
  const options = { data: examples(), reference: fileOf(), seconds: 0.01, maxDrop: 3 } as const
  const proof = await proveFile(fileOf({ dtype: 'float16', batch: 5 }), {
    ...options,
    devices: ['chromium-wasm'],
  })
  expect(proof.failures).toEqual([])
  expect(proof.runtimes).toMatchObject([
    {
      runtime: 'onnxruntime-web wasm in Chromium',
      examples: 200,
      detail: expect.stringMatching(/thread.*Chromium \d/),
    },
  ])
  expect(proof.runtimes[0]?.throughput?.speedup).toBeGreaterThan(0)
  const broken = await proveFile(fileOf({ off: 2 }), { ...options, devices: ['chromium-wasm'] })
  expect(broken.failures[0]).toMatch(/in Chromium: outputs differ by up to 2\.0e\+0/)
  expect(profiles().filter(name => !before.includes(name))).toEqual([])
  // The processes, too.
  expect(execFileSync('ps', ['ax', '-o', 'command'], { encoding: 'utf8' })).not.toMatch(
    /user-data-dir=\S*onnxgrad-browser-/,
  )
})
