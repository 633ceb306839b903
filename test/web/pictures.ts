import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import sharp from 'sharp'
import { build } from 'vite'
import { trainRun } from '../../src/node.ts'
import { blocksOf, check } from '../types/blocks.ts'
import { ROOT } from '../types/compile.ts'
import { launch } from './browser.ts'
import { editorPage } from './editor-page.ts'
import { serve } from './server.ts'

/** A picture of the README, made anew from what it shows. */
export interface Picture {
  readonly webp: Buffer
  /** Headings, buttons and labels in it, from top to bottom: they change when what it shows has changed. */
  readonly texts: readonly string[]
}

/** The pictures in docs/img, by name. */
export const PICTURES = ['lab', 'report', 'shape-error'] as const
export type Pictures = Readonly<Record<(typeof PICTURES)[number], Picture>>

/** Where a picture lies in the repository. */
export const pathOf = (name: string): string => join(ROOT, 'docs/img', `${name}.webp`)
export const TEXTS = join(ROOT, 'docs/img/texts.json')

/** Sharp on displays with two pixels per CSS pixel. */
const SCALE = 1.5

async function shoot(page: Page, selectors: string): Promise<Picture> {
  const png = await page.screenshot()
  const texts = await page.locator(selectors).evaluateAll(all =>
    all.filter(e => e.getBoundingClientRect().top < innerHeight).map(e => e.textContent?.trim() ?? ''),
  )
  return { webp: await sharp(png).webp({ quality: 82, effort: 6 }).toBuffer(), texts }
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
    await page.goto(`file://${join(folder, 'run/report.html')}`)
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
    return shoot(page, '.code, .message')
  })
}

/** Trains a model for the pictures and takes them: half a minute. */
export async function makePictures(): Promise<Pictures> {
  const folder = await mkdtemp(join(tmpdir(), 'onnxgrad-pictures-'))
  const browser = await launch()
  try {
    await trainRun({ model: 'vit', data: 'digits', epochs: 6, out: join(folder, 'run') })
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

/** Texts of all pictures, as they are kept beside them. */
export const textsOf = (pictures: Pictures): string =>
  `${JSON.stringify(Object.fromEntries(Object.entries(pictures).map(([name, { texts }]) => [name, texts])), undefined, 2)}\n`

export async function writePictures(): Promise<void> {
  const pictures = await makePictures()
  for (const [name, { webp }] of Object.entries(pictures)) await writeFile(pathOf(name), webp)
  await writeFile(TEXTS, textsOf(pictures))
}

export const readTexts = (): Promise<string> => readFile(TEXTS, 'utf8')
