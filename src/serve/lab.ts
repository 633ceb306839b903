import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DIGITS_FILE } from '../data/digits.ts'
import { DIGITS_PATH } from '../data/digits-node.ts'
import { UserError } from '../graph/errors.ts'
import { WEB_FILES } from '../runtime/web-files.ts'
import { type Files, filesOf } from './server.ts'

/** Where the built page is: in dist/, in which the program itself is too unless it runs from its sources. */
const LAB = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/lab' : '../../lab', import.meta.url),
)

/** The page, with the digits and onnxruntime-web, which are not copied into its folder. */
export async function labFiles(): Promise<Files> {
  const files = await filesOf(LAB).catch(() => undefined)
  if (files?.has('/')) return new Map([...files, [`/${DIGITS_FILE}`, DIGITS_PATH], ...runtimeFiles()])
  throw new UserError(
    `the lab is not built: ${LAB} holds no index.html; build it in onnxgrad's folder with: npm run build`,
  )
}

function runtimeFiles(): [string, string][] {
  const folder = dirname(createRequire(import.meta.url).resolve('onnxruntime-web/wasm'))
  return Object.values(WEB_FILES)
    .flatMap(files => Object.values(files))
    .map(file => [`/runtime/${file}`, join(folder, file)])
}
