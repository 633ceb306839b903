import { fileURLToPath } from 'node:url'
import { defineConfig, type Plugin } from 'vite'
import { digitsPlugin } from './scripts/digits.ts'
import { copyRuntime, withoutUrls } from './scripts/runtime-files.ts'
import { WEB_FILES } from './src/runtime/web-files.ts'

// The library as plain ES modules for pages without a bundler: dist/web/. (With a bundler a page imports onnxgrad/web.)

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

// onnxruntime-web's scripts lie beside ours, as they are; its WebAssembly files, 40 MB, stay in its own package.
const SCRIPTS = Object.values(WEB_FILES).map(({ script }) => script)
const runtimes: Plugin = {
  name: 'runtimes',
  writeBundle: ({ dir = '.' }) => copyRuntime(SCRIPTS, dir),
}

export default defineConfig({
  // Beside plain modules the runtime finds its files by itself.
  plugins: [withoutUrls(), digitsPlugin(), runtimes],
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
        // Vite leaves the white space of libraries, for bundlers that read it again; pages load these files as they are.
        minify: true,
        paths: {
          'onnxruntime-web/wasm': `./${WEB_FILES.wasm.script}`,
          'onnxruntime-web/webgpu': `./${WEB_FILES.webgpu.script}`,
        },
      },
    },
  },
})
