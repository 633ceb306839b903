import { mkdir, rename, writeFile } from 'node:fs/promises'
import { nodeRuntime } from '../src/runtime/node.ts'
import { opsPage } from './ops-table/page.ts'
import { settingsPage } from './settings-table.ts'

// Writes the pages of docs/ that are made from the code: all ops, all settings. Takes a few seconds.

await mkdir('docs', { recursive: true })
const pages = { 'docs/ops.md': await opsPage(await nodeRuntime('cpu')), 'docs/settings.md': settingsPage() }
for (const [file, text] of Object.entries(pages)) {
  await writeFile(`${file}.part`, text)
  await rename(`${file}.part`, file)
  console.error(`wrote ${file}`)
}
