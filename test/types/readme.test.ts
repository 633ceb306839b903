import { beforeAll, describe, expect, test } from 'vitest'
import { leastRuntime, OPSETS } from '../../src/export/opsets.ts'
import { type Block, blocksOf, check, PAGES, textOfPage } from './blocks.ts'

const blocks = PAGES.flatMap(blocksOf)

/** A block in which the imported name does not exist: proof that errors are found. */
const wrong: Block = {
  place: 'here',
  code: "import { nothing } from 'onnxgrad/node'\nnothing()\n",
  shown: [],
}

let errors: Awaited<ReturnType<typeof check>>
beforeAll(async () => {
  errors = await check([...blocks, wrong])
}, 120_000)

test('the pages have code', () => {
  const count = (page: string) => blocksOf(page).length
  expect(count('README.md')).toBeGreaterThan(4)
  expect(count('docs/library.md')).toBeGreaterThan(10)
  expect(blocks.filter(b => b.shown.length).length).toBeGreaterThanOrEqual(2)
})

describe('every block of TypeScript compiles, or gives exactly the errors that it shows', () => {
  test.each(blocks.map((block, i) => [block.place, block, i] as const))('%s', (_, { shown }, i) => {
    const plain = (text: string) => text.replaceAll(/\s+/g, ' ').replaceAll('"', "'").replace(/\.$/, '')
    expect(errors[i]!.map(e => `line ${e.line}: ${plain(e.text)}`)).toEqual(
      shown.map(s => expect.stringContaining(plain(s.text))),
    )
    expect(errors[i]!.map(e => e.line)).toEqual(shown.map(s => s.line))
  })
})

test('a block that is wrong is found', () => {
  expect(errors.at(-1)!.map(e => e.text)).toEqual([expect.stringContaining("no exported member 'nothing'")])
})

test("the table of opsets is the exporter's", () => {
  const rows = textOfPage('docs/export.md').split('\n')
  const cells = (start: string): string[] =>
    rows
      .find(row => row.startsWith(start))!
      .split('|')
      .slice(2, -1)
      .map(cell => cell.trim().replace(' (default)', ''))
  const opsets = Array.from({ length: OPSETS.max - OPSETS.min + 1 }, (_, i) => OPSETS.min + i)
  expect(cells('| opset |')).toEqual(opsets.map(String))
  expect(cells('| onnxruntime, at least')).toEqual(opsets.map(opset => leastRuntime(opset)))
  expect(cells('| for quantized models')).toEqual(opsets.map(opset => leastRuntime(opset, true)))
})
