import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { idx } from '../data/files.ts'
import { noBrowser } from './browser.ts'
import { drop, goTo, labPage, shot, shows } from './lab-page.ts'
import { noSwiftShader } from './swiftshader.ts'

const reason = noBrowser ?? noSwiftShader

/** Stripes across and stripes down, 40 of them, as MNIST's files. */
const stripes = [
  {
    name: 'train-images-idx3-ubyte',
    bytes: idx(
      0x803,
      [40, 8, 8],
      Array.from({ length: 40 * 64 }, (_, i) => {
        const [image, row, column] = [i >> 6, (i >> 3) & 7, i & 7]
        return ((image % 2 ? row : column) + (image >> 1)) % 4 < 2 ? 255 : image % 7
      }),
    ),
  },
  {
    name: 'train-labels-idx1-ubyte',
    bytes: idx(
      0x801,
      [40],
      Array.from({ length: 40 }, (_, i) => i % 2),
    ),
  },
]

describe.skipIf(reason)(`training in the lab on WebGPU${reason ? ` (${reason})` : ''}`, () => {
  const lab = labPage({ gpu: true })

  /** The page with a ViT that is small enough for a GPU in software. */
  async function ready(device: 'CPU (WebAssembly)' | 'GPU (WebGPU)', epochs: number) {
    const opened = await lab.open()
    const { page } = opened
    await shows(page, '#runtime').toContain('WebGPU on')
    await drop(page, stripes)
    await shows(page, '.found').toMatch(/^32 to train on, 8 held out/)
    for (const [name, text] of [
      ['Patch px', '4'],
      ['Dim', '16'],
      ['Depth', '1'],
      ['Heads', '2'],
      ['MLP', '16'],
      ['Batch images', '16'],
      ['Epochs', String(epochs)],
    ] as const)
      await page.getByLabel(name, { exact: true }).fill(text)
    await page.getByLabel(device).check()
    return opened
  }
  const start = (page: Page) => page.click('button[type=submit]')
  const reports = (page: Page) => page.evaluate(() => window.lab.reports.value)
  const trained = (page: Page, epochs: number) =>
    expect.poll(async () => (await reports(page)).length, { timeout: 200_000 }).toBeGreaterThanOrEqual(epochs)

  test('comes to the losses of the CPU', async () => {
    const [cpu, gpu] = [await ready('CPU (WebAssembly)', 3), await ready('GPU (WebGPU)', 3)]
    await start(cpu.page)
    await trained(cpu.page, 3)
    await start(gpu.page)
    await trained(gpu.page, 3)
    await shot(gpu.page, 'train-gpu')
    const losses = async (page: Page) => (await reports(page)).map(r => r.testLoss)
    const [expected, got] = [await losses(cpu.page), await losses(gpu.page)]
    expect(expected.at(-1)).not.toBeCloseTo(expected[0]!, 3)
    for (const [i, loss] of got.entries()) expect(loss).toBeCloseTo(expected[i]!, 3)
    expect([...cpu.complaints, ...gpu.complaints]).toEqual([])
  })

  test('says that the GPU was lost, keeps the last epoch and resumes from it on the CPU', async () => {
    const { page } = await ready('GPU (WebGPU)', 500)
    await start(page)
    await trained(page, 2)
    const cdp = await lab.browser().newBrowserCDPSession()
    await cdp.send('Browser.crashGpuProcess').catch(() => {})
    await shows(page, '#message', 100_000).toMatch(/GPU was lost.*can be resumed from the end of epoch \d+/)
    await shot(page, 'train-gpu-gone')
    const epochs = (await reports(page)).length
    await page.getByLabel('CPU (WebAssembly)').check()
    await page.getByLabel('Train until epoch').fill(String(epochs + 2))
    await page.getByRole('button', { name: 'Resume', exact: true }).click()
    await trained(page, epochs + 2)
    await goTo(page, 'keep')
    expect(await page.locator('#save-onnx').isEnabled()).toBe(true)
  })
})
