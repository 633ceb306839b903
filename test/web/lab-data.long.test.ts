import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { idx, temporaryFolder } from '../data/files.ts'
import { noBrowser } from './browser.ts'
import { drop, dropFolder, ends, field, labPage, ready, shot, shows, startButton } from './lab-page.ts'

if (noBrowser) console.warn(`lab data ${noBrowser}`)

describe.skipIf(noBrowser)(`what the lab is given to train on${noBrowser ? ` (${noBrowser})` : ''}`, () => {
  const lab = labPage()

  test('says beside a field what is wrong with it, and does not start', async () => {
    const { page } = await lab.open()
    await ready(page)
    const problem = async (name: string) => {
      const input = field(page, name)
      expect(await input.getAttribute('aria-invalid')).toBe('true')
      return page.locator(`[id='${await input.getAttribute('aria-describedby')}']`).textContent()
    }
    await field(page, 'Patch px').fill('5')
    expect(await problem('Patch px')).toBe(
      'Patch: does not divide the image’s 28 pixels: choose 1, 2, 4, 7, 14 or 28',
    )
    await field(page, 'Heads').fill('5')
    expect(await problem('Heads')).toMatch(/^Heads: does not divide the embedding of 64: choose 1, 2, 4/)
    await field(page, 'Epochs').fill('a few')
    expect(await problem('Epochs')).toMatch(/^Epochs: a whole number from 1/)
    await field(page, 'Learning rate').fill('-1')
    expect(await problem('Learning rate')).toMatch(/^Learning rate: a number above 0/)
    expect(await startButton(page).isDisabled()).toBe(true)
    await shot(page, 'train-problems')
    for (const [name, text] of [
      ['Patch px', '14'],
      ['Heads', '8'],
      ['Epochs', '3'],
      ['Learning rate', '1e-3'],
    ] as const)
      await field(page, name).fill(text)
    expect(await startButton(page).isEnabled()).toBe(true)
  })

  test('says when a model does not fit into memory, and trains a smaller one afterwards', async () => {
    const { page } = await lab.open()
    await ready(page)
    // 8,000 images of 17 tokens with 16,384 values each are 9 GB, where WebAssembly has 4.
    for (const [name, text] of [
      ['MLP', '16384'],
      ['Depth', '2'],
      ['Batch images', '8000'],
    ] as const)
      await field(page, name).fill(text)
    await startButton(page).click()
    await shows(page, '#message', 50_000).toMatch(/not enough memory/i)
    await ends(page)
    await shot(page, 'train-memory')
    await field(page, 'Architecture').selectOption('mlp')
    await field(page, 'Epochs').fill('1')
    await field(page, 'Batch images').fill('64')
    await startButton(page).click()
    await shows(page, '#outcome-title', 50_000).toBe('After epoch 1')
  })

  test('trains on MNIST files that are dropped, and says which one is missing', async () => {
    const { page, complaints } = await lab.open()
    await ready(page)
    const count = 40
    const pixels = Uint8Array.from({ length: count * 64 }, (_, i) =>
      i % 64 < 32 === i % 128 < 64 ? 255 : i % 7,
    )
    const images = { name: 'train-images-idx3-ubyte', bytes: idx(0x803, [count, 8, 8], pixels) }
    const labels = {
      name: 'train-labels-idx1-ubyte',
      bytes: idx(
        0x801,
        [count],
        Array.from({ length: count }, (_, i) => i % 2),
      ),
    }
    await drop(page, [images])
    await shows(page, '.found').toMatch(/^no labels among train-images-idx3-ubyte/)
    await drop(page, [images, labels])
    await shows(page, '.found').toMatch(/^32 to train on, 8 held out/)
    // 28 pixels are no more, so that the patch has to be another.
    await field(page, 'Patch px').fill('4')
    await field(page, 'Depth').fill('1')
    await field(page, 'Batch images').fill('8')
    await field(page, 'Epochs').fill('1')
    await startButton(page).click()
    await shows(page, '#outcome-title').toBe('After epoch 1')

    // It goes on with these data, but not with others of the same size.
    await shows(page, '.resume').not.toContain('the data')
    const inverted = { ...images, bytes: images.bytes.map((v, i) => (i < 16 ? v : 255 - v)) }
    await drop(page, [inverted, labels])
    await shows(page, '.resume').toContain(
      'These are not the data it was trained on: the training set has the same number of examples but different content',
    )
    expect(await page.getByRole('button', { name: 'Resume', exact: true }).isDisabled()).toBe(true)
    await drop(page, [images, labels])
    await expect.poll(() => page.getByRole('button', { name: 'Resume', exact: true }).isEnabled()).toBe(true)
    expect(complaints).toEqual([])
  })

  test('trains on a folder of one’s own pictures, and names a file that is none', async () => {
    const folder = await temporaryFolder()
    for (const [kind, red] of [
      ['bricks', 200],
      ['leaves', 20],
    ] as const) {
      await mkdir(join(folder, kind))
      for (let i = 0; i < 5; i++) {
        const raw = Buffer.from({ length: 0 })
        const noisy = Buffer.concat([
          raw,
          Buffer.from(
            Array.from({ length: 40 * 40 * 3 }, (_, p) => (p % 3 ? 90 : red) + ((p * (i + 3)) % 50)),
          ),
        ])
        const file = join(folder, kind, `${i}.png`)
        await sharp(noisy, { raw: { width: 40, height: 40, channels: 3 } })
          .png()
          .toFile(file)
      }
    }
    const { page, complaints } = await lab.open()
    await ready(page)
    await page.getByLabel('Your own pictures').check()
    await page.getByLabel('Color').selectOption('3')
    const input = page.locator('.choice input[type=file]')
    await input.setInputFiles(folder)
    await shows(page, '.found').toMatch(/^8 to train on, 2 held out.*28 × 28 in colour · 2 classes/)
    await shot(page, 'train-folder')
    await field(page, 'Depth').fill('1')
    await field(page, 'Epochs').fill('1')
    await startButton(page).click()
    await shows(page, '#outcome-title').toBe('After epoch 1')
    expect(await page.locator('.confusion thead th').allTextContents()).toEqual(['bricks', 'leaves'])

    await writeFile(join(folder, 'leaves', 'notes.txt'), 'no picture')
    await dropFolder(page, folder)
    await shows(page, '.found').toMatch(/^8 to train on, 2 held out.*Left out 1 entry .*: leaves\/notes\.txt/)
    await writeFile(join(folder, 'leaves', 'broken.png'), 'no picture')
    await dropFolder(page, folder)
    await shows(page, '.found').toMatch(
      /: 1 of 11 pictures cannot be read: leaves\/broken\.png is not a picture/,
    )
    await rm(join(folder, 'leaves', 'broken.png'))
    // In splits, of which none is held out.
    for (const split of ['Train', 'Validation', 'Test'])
      for (const kind of ['bricks', 'leaves'])
        await cp(join(folder, kind), join(folder, split, kind), { recursive: true })
    await dropFolder(page, folder)
    await shows(page, '.found').toMatch(
      /: mixes splits \(Test, Train, Validation\) with .*\(bricks, leaves\)/,
    )
    for (const kind of ['bricks', 'leaves']) await rm(join(folder, kind), { recursive: true })
    await dropFolder(page, folder)
    await shows(page, '.found').toMatch(
      /^10 to train on, 10 held out.*The 10 pictures of the validation set are not used here$/,
    )
    expect(complaints).toEqual([])
  })
})
