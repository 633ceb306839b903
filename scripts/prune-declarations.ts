import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

// Deletes the declarations that no entry point reaches: users' compilers would never read them, and they are half of all.

const dist = fileURLToPath(new URL('../dist', import.meta.url))
const { exports } = JSON.parse(readFileSync(join(dist, '../package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, { readonly types?: string }>>
}

const reached = new Set<string>()
function visit(file: string): void {
  if (reached.has(file)) return
  reached.add(file)
  for (const [, target = ''] of readFileSync(file, 'utf8').matchAll(
    /(?:from |import\(|import )['"](\.[^'"]+)['"]/g,
  ))
    visit(resolve(file, '..', target).replace(/\.(ts|js)$/, '.d.ts'))
}
for (const { types } of Object.values(exports)) if (types) visit(resolve(dist, '..', types))

for (const folder of ['src', 'models'])
  for (const name of readdirSync(join(dist, folder), { recursive: true, encoding: 'utf8' })) {
    const file = join(dist, folder, name)
    if (file.endsWith('.d.ts') && !reached.has(file)) rmSync(file)
  }
