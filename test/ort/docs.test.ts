import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { opsPage } from '../../scripts/ops-table/page.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'

test('docs/ops.md is what the code says; if not, run: npm run docs', async () => {
  expect(readFileSync('docs/ops.md', 'utf8')).toBe(await opsPage(await nodeRuntime('cpu')))
})
