import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { noBrowser } from './browser.ts'
import { makePictures, TEXTS, textsOf } from './pictures.ts'

test.skipIf(noBrowser)(
  'the pictures of the documentation show the current pages; if not, run: npm run docs:pictures',
  async () => {
    const pictures = await makePictures({ data: 'digits', limit: 128, epochs: 1 })
    expect(textsOf(pictures)).toEqual(JSON.parse(readFileSync(TEXTS, 'utf8')))
    for (const { webp } of Object.values(pictures)) expect(webp.length).toBeLessThan(200_000)
  },
)
