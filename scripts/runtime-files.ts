import { createReadStream } from 'node:fs'
import { copyFile, mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Plugin } from 'vite'
import { WEB_FILES } from '../src/runtime/web-files.ts'

const FOLDER = dirname(createRequire(import.meta.url).resolve('onnxruntime-web/wasm'))

/** Copies files of onnxruntime-web, as they are. */
export async function copyRuntime(files: readonly string[], to: string): Promise<void> {
  await mkdir(to, { recursive: true })
  for (const file of files) await copyFile(join(FOLDER, file), join(to, file))
}

const FILES = Object.values(WEB_FILES).flatMap(({ script, loader, binary }) => [script, loader, binary])

/**
 * onnxruntime-web in the folder runtime/ beside a page: while the page is worked on, and where it is built for any static
 * host. In the package the page goes without, 41 MB: `onnxgrad serve` has the installed onnxruntime-web's files.
 */
export function runtimePlugin(): Plugin {
  let copies = false
  return {
    name: 'runtime',
    configResolved({ mode }) {
      copies = mode !== 'package'
    },
    async writeBundle({ dir = '.' }) {
      if (copies) await copyRuntime(FILES, join(dir, 'runtime'))
    },
    configureServer({ middlewares }) {
      for (const file of FILES)
        middlewares.use(`/runtime/${file}`, (_, response) => {
          response.setHeader(
            'Content-Type',
            extname(file) === '.wasm' ? 'application/wasm' : 'text/javascript',
          )
          createReadStream(join(FOLDER, file)).pipe(response)
        })
    },
  }
}

const URLS = fileURLToPath(new URL('../src/runtime/web-urls.ts', import.meta.url))

/**
 * For builds that say themselves where onnxruntime-web's files are: bundled addresses of them would put the files, 41 MB,
 * beside the scripts once more.
 */
export const withoutUrls = (): Plugin => ({
  name: 'without-urls',
  enforce: 'pre',
  load: id => (id === URLS ? 'export const runtimeUrls = () => undefined' : undefined),
})
