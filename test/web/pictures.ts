import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import sharp from 'sharp'
import { build } from 'vite'
import { type Settings, trainRun } from '../../src/node.ts'
import { blocksOf, check } from '../types/blocks.ts'
import { ROOT } from '../types/compile.ts'
import { launch } from './browser.ts'
import { editorPage } from './editor-page.ts'
import { serve } from './server.ts'

/** A screenshot for the documentation. */
interface Picture {
  readonly webp: Buffer
  /** Headings and buttons of the page: they differ when the page has changed, but not from one machine to another. */
  readonly texts: readonly string[]
}

export type Pictures = Readonly<Record<'lab' | 'report' | 'shape-error', Picture>>

const IMAGES = join(ROOT, 'docs/img')
export const TEXTS = join(IMAGES, 'texts.json')

/** Device pixels per CSS pixel: sharp on most displays, and small enough as a file. */
const SCALE = 1.5

async function shoot(page: Page, named: string, height?: number): Promise<Picture> {
  const width = page.viewportSize()?.width ?? 0
  const png = await page.screenshot(height === undefined ? {} : { clip: { x: 0, y: 0, width, height } })
  const texts = (await page.locator(named).allTextContents()).map(text => text.trim())
  return { webp: await sharp(png).webp({ quality: 82, effort: 6 }).toBuffer(), texts: texts.filter(Boolean) }
}

async function withPage<T>(
  browser: Browser,
  width: number,
  height: number,
  use: (page: Page) => Promise<T>,
): Promise<T> {
  const context = await browser.newContext({
    viewport: { width, height },
    deviceScaleFactor: SCALE,
    reducedMotion: 'reduce',
  })
  try {
    return await use(await context.newPage())
  } finally {
    await context.close()
  }
}

/** The lab's view into a trained model. */
async function lab(browser: Browser, folder: string): Promise<Picture> {
  const site = join(folder, 'lab')
  await build({ configFile: join(ROOT, 'lab/vite.config.ts'), logLevel: 'error', build: { outDir: site } })
  await copyFile(join(folder, 'run/model.onnx'), join(site, 'vit.onnx'))
  const server = await serve(site)
  try {
    return await withPage(browser, 1200, 860, async page => {
      await page.goto(`${server.origin}/?model=vit.onnx#see`)
      await page.waitForSelector('.see-scores')
      return shoot(page, '[role=tab], h2, h3, main button')
    })
  } finally {
    await server.close()
  }
}

/** The report of a run. */
const report = (browser: Browser, folder: string): Promise<Picture> =>
  withPage(browser, 1200, 860, async page => {
    await page.goto(pathToFileURL(join(folder, 'run/report.html')).href)
    return shoot(page, 'h2, h3')
  })

/** The README's block with a shape error, in an editor, with what the compiler says of it. */
async function shapeError(browser: Browser): Promise<Picture> {
  const block = blocksOf('README.md').find(({ shown }) => shown.length)
  if (!block) throw new Error('README.md shows no error of the compiler')
  const [[error] = []] = await check([block])
  if (!error) throw new Error(`${block.place}: the compiler finds no error`)
  const html = editorPage(block.code, error)
  return withPage(browser, 860, 300, async page => {
    await page.setContent(html)
    const height = await page.evaluate(() => Math.ceil(document.body.getBoundingClientRect().height))
    return shoot(page, '.code div, .message', height)
  })
}

/** Trains a ViT and takes the pictures. @param settings what the run has beside the command of the README */
export async function makePictures(settings: Settings = {}): Promise<Pictures> {
  const folder = await mkdtemp(join(tmpdir(), 'onnxgrad-pictures-'))
  const browser = await launch()
  try {
    await trainRun({ model: 'vit', ...settings, out: join(folder, 'run') })
    return {
      lab: await lab(browser, folder),
      report: await report(browser, folder),
      'shape-error': await shapeError(browser),
    }
  } finally {
    await browser.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** The texts of all pictures, as docs/img keeps them. */
export const textsOf = (pictures: Pictures): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(Object.entries(pictures).map(([name, { texts }]) => [name, texts]))

/** Takes the pictures of the documentation, of a run on all of MNIST. */
export async function writePictures(): Promise<void> {
  const pictures = await makePictures()
  for (const [name, { webp }] of Object.entries(pictures)) await writeFile(join(IMAGES, `${name}.webp`), webp)
  await writeFile(TEXTS, `${JSON.stringify(textsOf(pictures), undefined, 2)}\n`)
}
