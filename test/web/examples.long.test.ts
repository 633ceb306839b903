import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { build } from 'vite'
import { beforeAll, describe, expect, test } from 'vitest'
import { argmaxAt } from '../../src/train/scores.ts'
import { apart } from './apart.ts'
import { noBrowser } from './browser.ts'
import { digitPng, digits, libraryPages, nodeLogits, pageLogits } from './library-page.ts'

const compiler = fileURLToPath(new URL('../../node_modules/.bin/tsc', import.meta.url))

/** What a page lets the user save when this button is pressed. */
async function saved(page: Page, button: string): Promise<Uint8Array> {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click(button)])
  expect(download.suggestedFilename()).toBe('model.onnx')
  return readFile(await download.path())
}

const textOf = (page: Page, selector: string) => page.locator(selector).innerText()

describe.skipIf(noBrowser)(`examples${noBrowser ? ` (${noBrowser})` : ''}`, () => {
  const { folder, open } = libraryPages()

  test('the plain example trains a ViT in a worker without a bundler, and Node reads its model the same', async () => {
    const { page, complaints } = await open('/')
    const loss = async () => Number.parseFloat(await textOf(page, '#loss'))
    await expect.poll(loss, { timeout: 20_000 }).toBeGreaterThan(0)
    const first = await loss()
    await expect.poll(() => textOf(page, '#message'), { timeout: 50_000 }).not.toBe('')
    expect(await loss()).toBeLessThan(first / 2)
    const [, accuracy, truth, guess] =
      /^([\d.]+) % of the held-out digits are right\. The first is a (\d): it reads (\d)\.$/.exec(
        await textOf(page, '#message'),
      )!
    expect(Number(accuracy)).toBeGreaterThan(60)
    expect(Number(truth)).toBe(digits.test.labels[0])

    const onnx = await saved(page, '#save')
    const want = await nodeLogits(onnx)
    expect(argmaxAt(want, 0, 10)).toBe(Number(guess))
    const { page: another } = await open('/empty.html')
    expect(apart(await pageLogits(another, onnx), want)).toBeLessThanOrEqual(1e-4)
    expect(complaints).toEqual([])
  })

  describe('in the Vite example', () => {
    let app: string

    beforeAll(async () => {
      const root = join(folder(), 'vite')
      await build({ root, logLevel: 'error' })
      app = join(root, 'dist')
    }, 60_000)

    test('the types of the installed package are right', async () => {
      const checked = promisify(execFile)(compiler, ['-p', join(folder(), 'vite')])
      expect(
        await checked.then(
          () => '',
          ({ stdout }) => stdout,
        ),
      ).toBe('')
    })

    test.each([true, false])('a network learns and reads a picture (isolated page: %s)', async isolated => {
      const { page, complaints } = await open('/?epochs=1', { folder: app, isolated })
      const devices = page.locator('#device')
      await expect.poll(() => devices.innerText()).toContain('wasm: ')
      const cores = await page.evaluate(() => navigator.hardwareConcurrency)
      if (isolated) expect(await devices.innerText()).toMatch(`wasm: ${Math.min(4, cores)} thread`)
      else
        expect(await devices.innerText()).toContain('wasm: 1 thread; more need a cross-origin-isolated page')
      await page.click('#train')
      await expect
        .poll(() => textOf(page, '#message'), { timeout: 40_000 })
        .toMatch(/^[89]\d\.\d % of the held-out/)

      const onnx = await saved(page, '#save')
      const { page: another } = await open('/empty.html')
      expect(apart(await pageLogits(another, onnx), await nodeLogits(onnx))).toBeLessThanOrEqual(1e-4)

      const picture = { name: 'digit.png', mimeType: 'image/png', buffer: await digitPng(7) }
      await page.setInputFiles('#picture', picture)
      await expect.poll(() => textOf(page, '#message')).toBe('This is a 7.')
      await page.setInputFiles('#picture', { ...picture, name: 'notes.png', buffer: Buffer.from('notes') })
      await expect.poll(() => textOf(page, '#message')).toMatch(/^notes\.png: is not a picture/)
      expect(complaints).toEqual([])
    })

    test('training stops when it is told', async () => {
      const { page } = await open('/?epochs=1000', { folder: app })
      await page.click('#train')
      await expect.poll(() => textOf(page, '#loss'), { timeout: 20_000 }).not.toBe('–')
      await page.click('#stop')
      await expect
        .poll(() => textOf(page, '#message'), { timeout: 20_000 })
        .toMatch(/held-out digits are right/)
    })
  })
})
