#!/usr/bin/env node
// The program: built in the package; in a clone it is built from its sources when they have changed.
import { existsSync } from 'node:fs'

const OLDEST = [20, 19]
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
  console.error(
    `onnxgrad: Node ${OLDEST.join('.')} or newer is needed, this is Node ${process.versions.node}`,
  )
  process.exit(1)
}

const at = path => new URL(path, import.meta.url)
if (existsSync(at('../src/cli/main.ts'))) {
  if (!existsSync(at('../node_modules/esbuild'))) {
    console.error('onnxgrad: this clone has no dependencies yet; run: npm ci')
    process.exit(1)
  }
  await import('../scripts/clone.js')
} else {
  await import('../dist/src/cli/main.js')
}
