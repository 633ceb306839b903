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
try {
  if (!existsSync(at('../src/cli/main.ts'))) await import('../dist/src/cli/main.js')
  else if (existsSync(at('../node_modules/esbuild'))) await import('../scripts/clone.js')
  else {
    console.error('onnxgrad: this clone has no dependencies yet; run: npm ci')
    process.exit(1)
  }
} catch (error) {
  if (error.code !== 'EMFILE') throw error
  console.error('onnxgrad: the limit on open files is too low; raise it with: ulimit -n 1024')
  process.exit(1)
}
