import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { reportOf } from '../../src/report/report-node.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { temporaryFolder } from '../data/files.ts'
import { LOG, lively, noise } from '../report/example.ts'
import { complaintsOf, launch, noBrowser } from './browser.ts'

if (noBrowser) console.warn(`report ${noBrowser}`)

const HOSTILE = `<img src=x onerror="window.done=1">`
const CLASSES = [HOSTILE, '</title></style><script>window.done=1</script>', `' onload='window.done=1`]
const CONFIG = { image: 8, channels: 1, patch: 2, dim: 6, depth: 2, heads: 2, mlp: 10, classes: 3 } as const

/** Everything that comes from outside is hostile. */
async function hostilePage(): Promise<string> {
  const config = {
    model: { name: 'vit', preset: HOSTILE, config: CONFIG },
    ...{ [HOSTILE]: HOSTILE, epochs: 3, batch: 6, images: 40, device: HOSTILE },
    data: { origin: `images from ${HOSTILE}` },
    versions: { [HOSTILE]: HOSTILE },
  }
  const runtime = await nodeRuntime('cpu')
  const data = noise([1, 8, 8], CLASSES, 40)
  return reportOf({ config, log: LOG, trained: lively('vit', CONFIG, CLASSES), data, runtime })
}

/** Names in scripts that are written from right to left, and with characters that are not seen. */
const NAMES = [
  'قطة',
  'כלב (גדול)',
  'cat\u202egpj.exe',
  'red\u001b[31m\u0007',
  'two\nlines',
  'می\u200cخواهم',
  'x'.repeat(500),
  '\n',
]
const SHOWN = [
  'قطة',
  'כלב (גדול)',
  'cat�gpj.exe',
  'red�[31m�',
  'two�lines',
  'می\u200cخواهم',
  `${'x'.repeat(60)}…`,
  '"\\n"',
]

async function namesPage(names: readonly string[]): Promise<string> {
  const config = { ...CONFIG, classes: names.length }
  const about = { model: { name: 'vit', config }, epochs: 3, batch: 6, images: 40, classes: names }
  const data = noise([1, 8, 8], names, 200)
  const trained = lively('vit', config, names)
  return reportOf({ config: about, log: LOG, trained, data, runtime: await nodeRuntime('cpu') })
}

describe.skipIf(noBrowser)(`a report in a browser${noBrowser ? ` (${noBrowser})` : ''}`, () => {
  let browser: Browser
  let content: string
  beforeAll(async () => {
    browser = await launch()
    content = await hostilePage()
  })
  afterAll(() => browser?.close())

  async function open({ width = 1200, dark = false, html = content } = {}) {
    const file = join(await temporaryFolder(), 'report.html')
    await writeFile(file, html)
    const page = await browser.newPage({
      viewport: { width, height: 800 },
      colorScheme: dark ? 'dark' : 'light',
    })
    onTestFinished(() => page.close())
    const complaints = complaintsOf(page, 'null')
    const requests: string[] = []
    page.on('request', request => requests.push(request.url()))
    const address = pathToFileURL(file).href
    await page.goto(address)
    return { page, complaints, requests: requests.filter(url => url !== address && !url.startsWith('data:')) }
  }

  test('nothing is fetched, nothing runs, and nothing is complained of', async () => {
    const { page, complaints, requests } = await open()
    expect(requests).toEqual([])
    expect(complaints).toEqual([])
    expect(await page.evaluate(() => 'done' in window)).toBe(false)
    expect(await page.locator('script, link, [src^="http"]').count()).toBe(0)
  })

  test('what comes from outside is shown as the text that it is', async () => {
    const { page } = await open()
    expect(await page.locator('h1').innerText()).toBe(`vit · ${HOSTILE}`)
    expect(await page.locator('.origin').innerText()).toContain(`images from ${HOSTILE}`)
    const names = await page.locator('.classes tbody th').allInnerTexts()
    expect(names).toEqual(CLASSES)
    const pictures = await page.locator('img').evaluateAll(all => all.map(img => img.getAttribute('src')!))
    expect(pictures.length).toBeGreaterThan(20)
    expect(pictures.filter(src => !src.startsWith('data:image/png;base64,'))).toEqual([])
    expect(await page.locator('[onerror], [onload]').count()).toBe(0)
  })

  test.each([1200, 375])(
    'names of any script are shown as they are, and nothing that hides (%i pixels)',
    async width => {
      const html = await namesPage(NAMES)
      expect(html).not.toMatch(/[^\P{C}\n\u200c]/u)
      const { page, complaints } = await open({ html, width })
      expect(await page.locator('.classes tbody th').allInnerTexts()).toEqual(SHOWN)
      expect(await page.locator('.confusion thead th').allInnerTexts()).toEqual(SHOWN)
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width)
      expect(complaints).toEqual([])
    },
  )

  test('what it is stands in front of what the model answers, whichever way names are written', async () => {
    const { page } = await open({ html: await namesPage(['قطة', 'כלב', 'می\u200cخواهم']) })
    const inOrder = await page
      .locator('.mistakes figcaption > span, .gazes figcaption > span')
      .evaluateAll(all =>
        all.flatMap(span => {
          const [truth, guess] = [...span.querySelectorAll('bdi')].map(name => name.getBoundingClientRect())
          return guess ? [truth!.right <= guess.left] : []
        }),
      )
    expect(inOrder.length).toBeGreaterThan(5)
    expect(inOrder).toEqual(inOrder.map(() => true))
  })

  test('a page that has been changed can still fetch and run nothing', async () => {
    const { page, complaints } = await open()
    const failures: (string | undefined)[] = []
    page.on('requestfailed', request => failures.push(request.failure()?.errorText))
    await page.evaluate(() => {
      document.body.insertAdjacentHTML(
        'beforeend',
        '<img src="https://example.invalid/x.png" onerror="window.done=1">',
      )
    })
    await expect.poll(() => complaints.some(c => c.includes('Content Security Policy'))).toBe(true)
    expect(failures).toEqual(['csp'])
    expect(await page.evaluate(() => 'done' in window)).toBe(false)
  })

  test.each([1200, 375])(
    'at a width of %i pixels nothing sticks out, and no label lies on another',
    async width => {
      const { page } = await open({ width })
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width)
      const overlaps = await page.locator('svg.plot').evaluateAll(charts =>
        charts.flatMap(svg => {
          const frame = svg.getBoundingClientRect()
          const boxes = [...svg.querySelectorAll('text')]
            .filter(text => text.textContent)
            .map(text => ({ text: text.textContent, box: text.getBoundingClientRect() }))
          const outside = boxes.filter(({ box }) => box.left < frame.left - 1 || box.right > frame.right + 1)
          const pairs = boxes.flatMap((a, i) =>
            boxes
              .slice(i + 1)
              .filter(
                b =>
                  a.box.left < b.box.right &&
                  b.box.left < a.box.right &&
                  a.box.top + 2 < b.box.bottom &&
                  b.box.top + 2 < a.box.bottom,
              )
              .map(b => `${a.text} / ${b.text}`),
          )
          return [...outside.map(o => `${o.text} is cut off`), ...pairs]
        }),
      )
      expect(overlaps).toEqual([])
    },
  )

  test.each([false, true])('text stands out from its ground (dark: %s)', async dark => {
    const { page } = await open({ dark })
    expect(await faintest(page)).toBeGreaterThan(4.5)
  })
})

/** Lowest contrast of text with the ground that it stands on, as WCAG 2.2 defines it. */
const faintest = (page: Page): Promise<number> =>
  page.evaluate(() => {
    const numbers = (colour: string) => (colour.match(/[\d.]+/g) ?? []).map(Number)
    const over = (colour: number[], ground: number[]) => {
      const [, , , alpha = 1] = colour
      return ground.map((g, i) => alpha * colour[i]! + (1 - alpha) * g)
    }
    const groundOf = (element: Element | null): number[] => {
      if (!element) return [255, 255, 255]
      const colour = numbers(getComputedStyle(element).backgroundColor)
      return colour[3] === 1 || colour.length === 3
        ? colour.slice(0, 3)
        : over(colour, groundOf(element.parentElement))
    }
    const luminance = (rgb: number[]) => {
      const [r, g, b] = rgb.map(v =>
        v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4,
      )
      return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!
    }
    const elements = [...document.querySelectorAll('body *')].filter(
      e => !e.closest('svg, .none') && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent?.trim()),
    )
    return Math.min(
      ...elements.map(e => {
        const ground = groundOf(e)
        const [a, b] = [luminance(over(numbers(getComputedStyle(e).color), ground)), luminance(ground)]
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
      }),
    )
  })
