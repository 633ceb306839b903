import { fileURLToPath } from 'node:url'
import { defaultClientConditions, defineConfig, type Plugin } from 'vite'
import { digitsPlugin } from '../scripts/digits.ts'
import { runtimePlugin } from '../scripts/runtime-files.ts'
import { WEB_FILES } from '../src/runtime/web-files.ts'

// An isolated page may use threads.
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}

/**
 * Empty files where `onnxgrad serve` has those of a run: the page asks for them, and browsers write what is not there on
 * the console, as an error.
 */
const runFiles: Plugin = {
  name: 'run-files',
  generateBundle() {
    for (const fileName of RUN_FILES) this.emitFile({ type: 'asset', fileName, source: '' })
  },
  configureServer({ middlewares }) {
    for (const name of RUN_FILES) middlewares.use(`/${name}`, (_, response) => response.end())
  },
}
const RUN_FILES = ['model.onnx', 'checkpoint.safetensors']

/** While the page is worked on, Vite puts its style sheets into it; the built page allows none but files. */
const looseStyles: Plugin = {
  name: 'loose-styles',
  apply: 'serve',
  transformIndexHtml: html => html.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'"),
}

/** Seen from the worker's script, which is built into assets/. */
const RUNTIME = {
  'onnxruntime-web/wasm': `../runtime/${WEB_FILES.wasm.script}`,
  'onnxruntime-web/webgpu': `../runtime/${WEB_FILES.webgpu.script}`,
}

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  // Any folder of any static host will do.
  base: './',
  // A model that is not there must answer 404, not with the page.
  appType: 'mpa',
  plugins: [digitsPlugin(), runtimePlugin(), runFiles, looseStyles],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  worker: {
    format: 'es',
    // onnxruntime-web's scripts come from where its WebAssembly comes from, so that both are of one version.
    rolldownOptions: {
      external: Object.keys(RUNTIME),
      output: { paths: RUNTIME },
    },
  },
  build: {
    outDir: fileURLToPath(new URL('../dist/lab', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  // The build of onnxruntime-web that loads its WebAssembly from a URL of ours. The other one holds its loader in the
  // page's own script, and its threads would run the page once more.
  resolve: { conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions] },
  optimizeDeps: { exclude: ['onnxruntime-web'] },
  server: { headers },
  preview: { headers },
})
