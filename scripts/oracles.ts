// Compares onnxgrad with reference values from PyTorch, those of the tests or of scripts/oracles/make.py: npm run oracles -- [FOLDER]
import { fileURLToPath } from 'node:url'
import { UserError } from '../src/graph/errors.ts'
import { runOracles } from './oracles/run.ts'

const folder = process.argv[2] ?? fileURLToPath(new URL('../test/oracles', import.meta.url))
try {
  const { passed, failed, skipped } = await runOracles(folder, console.log)
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  process.exitCode = failed ? 1 : 0
} catch (error) {
  if (!(error instanceof UserError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
