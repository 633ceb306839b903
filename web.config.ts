import { copyFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig, type Plugin } from 'vite'
import { digitsPlugin } from './scripts/digits.ts'

// The library as plain ES modules for pages without a bundler: dist/web/. (With a bundler a page imports onnxgrad/web.)

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

// onnxruntime-web's scripts lie beside ours, as they are; its WebAssembly files, 40 MB, stay in its own package.
const RUNTIMES = ['ort.wasm.min.mjs', 'ort.webgpu.min.mjs']
const runtimes: Plugin = {
  name: 'runtimes',
  async writeBundle({ dir }) {
    const folder = dirname(createRequire(import.meta.url).resolve('onnxruntime-web/wasm'))
    for (const file of RUNTIMES) await copyFile(join(folder, file), join(dir!, file))
  },
}

// Beside plain modules the runtime finds its files by itself; a library's build would put them, as text, into the scripts.
const noFiles: Plugin = {
  name: 'no-files',
  enforce: 'pre',
  load: id =>
    id === here('src/runtime/web-files.ts') ? 'export const runtimeFiles = () => undefined' : undefined,
}

export default defineConfig({
  plugins: [noFiles, digitsPlugin(), runtimes],
  publicDir: false,
  build: {
    outDir: here('dist/web'),
    target: 'es2022',
    lib: {
      entry: { onnxgrad: here('src/index.ts'), models: here('models/index.ts'), web: here('src/web.ts') },
      formats: ['es'],
    },
    rolldownOptions: {
      external: ['onnxruntime-web/wasm', 'onnxruntime-web/webgpu'],
      output: {
        chunkFileNames: '[name].js',
        paths: {
          'onnxruntime-web/wasm': './ort.wasm.min.mjs',
          'onnxruntime-web/webgpu': './ort.webgpu.min.mjs',
        },
      },
    },
  },
})
