import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import { build, defaultClientConditions } from 'vite'
import { UserError } from '../../src/graph/errors.ts'
import { lookup, nth } from '../../src/graph/present.ts'
import { ISOLATION } from '../../src/serve/headers.ts'
import { launch, noBrowser } from '../../test/web/browser.ts'
import { serve } from '../../test/web/server.ts'
import { type Comparison, compare, type Missing, orMissing, recorded } from './compare.ts'
import { type PeerOptions, requestFor } from './compare-peers.ts'
import { PEERS } from './peers/index.ts'
import type { Participant } from './peers/protocol.ts'
import { interleaved, median } from './timing.ts'
import type { WorkloadName } from './workloads.ts'

/** Our step in a page; beside that of jax-js, where it is installed. */
export interface PageResult {
  readonly threads: number
  readonly oursMs: number
  readonly jaxJs: Comparison | Missing
}

export interface PageResults {
  /** With one thread as in any page, with two in one that is cross-origin isolated. */
  readonly page: readonly PageResult[] | Missing
}

declare global {
  // What page/main.ts puts into its page.
  var bench: typeof import('./page/main.ts').bench
}

/** The page in a folder that can be served. */
const buildPage = (folder: string): Promise<unknown> =>
  build({
    root: fileURLToPath(new URL('page', import.meta.url)),
    base: './',
    configFile: false,
    logLevel: 'error',
    build: { outDir: folder, target: 'es2022', assetsInlineLimit: 0 },
    // As the lab does it: onnxruntime-web loads its WebAssembly from a URL of ours.
    resolve: { conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions] },
  })

/** The folder of jax-js's modules. @throws UserError where it is not installed */
function jaxFolder(folder: string): string {
  try {
    return dirname(createRequire(join(resolve(folder), 'package.json')).resolve('@jax-js/jax'))
  } catch (error) {
    throw new UserError(nth((error as Error).message.split('\n'), 0))
  }
}

/** One that trains in a page of its own. */
async function openPage(browser: Browser, origin: string, name: string): Promise<Participant> {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(origin)
  await page
    .evaluate(trainer => bench.load(trainer), name)
    .catch(async (error: Error) => {
      await context.close()
      throw new UserError(nth(error.message.split('\n'), 0))
    })
  return {
    version: `Chromium ${browser.version()}`,
    step: () => page.evaluate(() => bench.step()),
    close: () => context.close(),
  }
}

type Open = (name: string) => Promise<Participant>

async function measurePage(open: Open, jax: string | Missing): Promise<Omit<PageResult, 'threads'>> {
  const ourselves = await open('onnxgrad')
  const ours = recorded(ourselves)
  const alone = async () => median((await interleaved([ours.turn], { rounds: 20 }))[0])
  try {
    if (typeof jax !== 'string') return { oursMs: await alone(), jaxJs: jax }
    const other = await open('jax-js')
    const jaxJs = await compare(ours, 'jax-js', other).finally(() => other.close())
    return { oursMs: jaxJs.oursMs, jaxJs }
  } finally {
    await ourselves.close()
  }
}

/** Runs a workload's training step in Chromium beside that of jax-js, both on WASM. */
export async function comparePages(
  workload: WorkloadName,
  { places }: Pick<PeerOptions, 'places'>,
): Promise<PageResults> {
  if (noBrowser) return { page: { missing: noBrowser } }
  const folder = await mkdtemp(join(tmpdir(), 'onnxgrad-bench-'))
  const browser = await launch()
  try {
    await buildPage(folder)
    const jax = await orMissing(lookup(PEERS, 'jax-js').install, async () => jaxFolder(places.folder))
    if (typeof jax === 'string') await cp(jax, join(folder, 'jax-js'), { recursive: true })
    const page: PageResult[] = []
    for (const threads of [1, 2]) {
      process.stderr.write(`${workload}: in a page, ${threads > 1 ? 'isolated' : 'one thread'} …\n`)
      await writeFile(
        join(folder, 'request.json'),
        JSON.stringify(await requestFor(workload, folder, threads)),
      )
      const server = await serve(folder, threads > 1 ? ISOLATION : {})
      const open: Open = name => openPage(browser, server.origin, name)
      const result = await measurePage(open, jax).finally(() => server.close())
      page.push({ threads, ...result })
    }
    return { page }
  } finally {
    await browser.close()
    await rm(folder, { recursive: true })
  }
}
