import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { DIGITS_PATH } from '../src/data/digits-node.ts'

// The program from a clone's sources. What the package brings built is made here when it is first needed.

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** Progress is for people; stdout may be read by programs. */
const tell = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

if (!existsSync(DIGITS_PATH)) {
  tell('First run in this clone: packing the digits that come with onnxgrad …')
  const { writeDigits } = await import('./digits.ts')
  await writeDigits()
}
if (process.argv[2] === 'serve' && !existsSync(here('../dist/lab/index.html'))) {
  tell('First run of the lab in this clone: building its page …')
  const { build } = await import('vite')
  await build({ root: here('../lab'), mode: 'package', logLevel: 'error' })
}
await import('../src/cli/main.ts')
