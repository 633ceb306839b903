import { describe, expect, test } from 'vitest'
import { MODELS } from '../../models/index.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { initialized } from '../../src/nn/trained.ts'
import { noBrowser } from './browser.ts'
import { choose, drawOne, goTo, labPage, shows, textOf } from './lab-page.ts'

describe.skipIf(noBrowser)(`the lab page${noBrowser ? ` (${noBrowser})` : ''}`, () => {
  const lab = labPage()

  test('shows the names that files give as one readable line, each in the direction of its script', async () => {
    const { page, complaints } = await lab.open()
    const mlp = MODELS.mlp.build({ image: 28, channels: 1, hidden: [4], classes: 4 })
    const classes = ['قطة', 'cat\u202egpj.exe', 'two\nlines\u001b[31m', '\u200b']
    const name = 'a\u202exnno.onnx'
    await choose(page, name, exportOnnx({ ...initialized(mlp, 1), classes }))
    await shows(page, '#model').toContain('a�xnno.onnx')
    await goTo(page, 'try')
    await drawOne(page)
    await shows(page, '#certainty').toMatch(/%$/)
    const shown = ['قطة', 'cat�gpj.exe', 'two�lines�[31m', '"\\u200b"']
    expect(await page.locator('#bars bdi').allTextContents()).toEqual(shown)
    expect(shown).toContain(await textOf(page, '#predicted bdi'))
    await goTo(page, 'see')
    await page.locator('.see-scores').waitFor()
    expect(await page.locator('.see-scores th[scope=row]').allTextContents()).toEqual(shown)
    for (const tab of ['see', 'try', 'keep', 'train'] as const) {
      await goTo(page, tab)
      // Texts, labels and titles alike.
      expect(await page.evaluate(() => document.body.outerHTML)).not.toMatch(
        /[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069\u200b]/u,
      )
    }
    await choose(page, `\u202e${'x'.repeat(500)}.onnx`, new Uint8Array(10))
    await shows(page, '#message').toMatch(/^�x+/)
    expect(complaints).toEqual([])
  })
})
