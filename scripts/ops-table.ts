import { mkdir, rename, writeFile } from 'node:fs/promises'
import { nodeRuntime } from '../src/runtime/node.ts'
import { opsPage } from './ops-table/page.ts'

// Writes docs/ops.md, the list of all ops, from the code. Takes a few seconds.

const file = 'docs/ops.md'
await mkdir('docs', { recursive: true })
await writeFile(`${file}.part`, await opsPage(await nodeRuntime('cpu')))
await rename(`${file}.part`, file)
console.error(`wrote ${file}`)
