import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest'
import type { LabClient, Tab } from '../../lab/src/client.ts'
import { HEADERS } from '../../src/serve/headers.ts'
import { shared } from '../shared.ts'
import { complaintsOf, launch } from './browser.ts'
import { serve } from './server.ts'

declare global {
  interface Window {
    lab: LabClient
  }
}

/** Set it to a folder to look at the page as the tests leave it. */
const screenshots = process.env.ONNXGRAD_SCREENSHOTS

export interface Opening extends BrowserContextOptions {
  /** With the headers of `onnxgrad serve`. */
  readonly isolated?: boolean
  readonly path?: string
  /** What is done to the window before the page is loaded. */
  readonly prepare?: (page: Page) => unknown
}

/** The lab, built once for all test files. */
const builtLab = () =>
  shared('lab', outDir =>
    build({
      configFile: fileURLToPath(new URL('../../lab/vite.config.ts', import.meta.url)),
      logLevel: 'error',
      build: { outDir },
    }),
  )

/** A copy of the lab, to which a test file may add files, and a browser to open it in. */
export function labPage({ gpu = false } = {}) {
  let folder: string
  let browser: Browser

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'onnxgrad-lab-'))
    const copy = async () => cp(await builtLab(), folder, { recursive: true })
    ;[browser] = await Promise.all([launch({ gpu }), copy()])
  }, 120_000)

  afterAll(async () => {
    await browser?.close()
    await rm(folder, { recursive: true })
  })

  return {
    /** Puts a file beside the page. */
    put: (name: string, bytes: Uint8Array) => writeFile(join(folder, name), bytes),

    /** A file of the page, by its path. */
    read: (path: string) => readFile(join(folder, path === '/' ? 'index.html' : path)),

    /** A fresh browser window on the page, closed after the test. */
    async open({ isolated = false, path = '/', prepare, ...options }: Opening = {}) {
      const server = await serve(folder, isolated ? HEADERS : {})
      const viewport = { width: 1280, height: 900 }
      const context = await browser.newContext({ viewport, reducedMotion: 'reduce', ...options })
      onTestFinished(async () => {
        await context.close()
        await server.close()
      })
      const page = await context.newPage()
      const complaints = complaintsOf(page, server.origin)
      await prepare?.(page)
      await page.goto(server.origin + path)
      return { page, complaints, origin: server.origin }
    },
    browser: () => browser,
  }
}

export const textOf = (page: Page, selector: string) => page.locator(selector).textContent()

/** What the page shows at a place, as soon as it does. */
export const shows = (page: Page, selector: string, timeout = 20_000) =>
  expect.poll(() => textOf(page, selector), { timeout })

export const goTo = (page: Page, tab: Tab) => page.click(`#tab-${tab}`)

export async function shot(page: Page, name: string): Promise<void> {
  if (!screenshots) return
  await page.evaluate(() => scrollTo(0, 0))
  await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true })
}

/** Draws one line on the board with the mouse. @param points in fractions of the board @param steps between two points */
export async function stroke(
  page: Page,
  points: readonly (readonly [number, number])[],
  steps = 5,
): Promise<void> {
  await page.locator('#board').scrollIntoViewIfNeeded()
  const box = (await page.locator('#board').boundingBox())!
  for (const [i, [x, y]] of points.entries()) {
    await page.mouse.move(box.x + x * box.width, box.y + y * box.height, { steps: i ? steps : 1 })
    if (i === 0) await page.mouse.down()
  }
  await page.mouse.up()
}

/** Draws a one. */
export const drawOne = (page: Page): Promise<void> =>
  stroke(page, [
    [0.5, 0.2],
    [0.5, 0.8],
  ])

/** Gives the page a file as a user's choice does. */
export const choose = (page: Page, name: string, bytes: Uint8Array, input = '#file') =>
  page.setInputFiles(input, { name, mimeType: 'application/octet-stream', buffer: Buffer.from(bytes) })

/** Runs in the page: what `lab` is asked, as plain numbers. */
export const logitsOf = (page: Page, images: readonly (readonly number[])[]): Promise<number[]> =>
  page.evaluate(async images => {
    const all: number[] = []
    for (const pixels of images)
      all.push(...(await window.lab.ask('look', Float32Array.from(pixels), false)).logits)
    return all
  }, images)

/** Files as if they were dragged from a folder onto the page. */
export async function drop(page: Page, files: readonly { name: string; bytes: Uint8Array }[]) {
  const plain = files.map(({ name, bytes }) => ({ name, bytes: [...bytes] }))
  const data = await page.evaluateHandle(files => {
    const data = new DataTransfer()
    for (const { name, bytes } of files) data.items.add(new File([Uint8Array.from(bytes)], name))
    return data
  }, plain)
  await page.dispatchEvent('body', 'drop', { dataTransfer: data })
}

// The view Train.

export const startButton = (page: Page) => page.locator('button[type=submit]')
export const ready = (page: Page) =>
  expect.poll(() => startButton(page).isEnabled(), { timeout: 20_000 }).toBe(true)
export const field = (page: Page, name: string) => page.getByLabel(name, { exact: true })
export const standing = (page: Page) => page.evaluate(() => window.lab.running.value)
export const stepOf = (page: Page) => page.evaluate(() => window.lab.progress.value?.step ?? 0)
export const reaches = (page: Page, step: number) =>
  expect.poll(() => stepOf(page), { timeout: 100_000, interval: 100 }).toBeGreaterThanOrEqual(step)
export const ends = (page: Page) => expect.poll(() => standing(page), { timeout: 100_000 }).toBe('idle')

/** What a button gives the user as a file. */
export async function downloaded(page: Page, button: string) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click(button)])
  return {
    name: download.suggestedFilename(),
    bytes: new Uint8Array(await readFile(await download.path())),
  }
}

/** A folder as if it were dragged from the desktop onto the page. */
export async function dropFolder(page: Page, folder: string) {
  const cdp = await page.context().newCDPSession(page)
  const data = { items: [], files: [folder], dragOperationsMask: 1 }
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
    await cdp.send('Input.dispatchDragEvent', { type, x: 400, y: 300, data })
}
