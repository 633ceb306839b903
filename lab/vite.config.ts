import { fileURLToPath } from 'node:url'
import { defaultClientConditions, defineConfig, type Plugin } from 'vite'
import { digitsPlugin } from '../scripts/digits.ts'
import { runtimePlugin, withoutUrls } from '../scripts/runtime-files.ts'
import { WEB_FILES } from '../src/runtime/web-files.ts'
import { ISOLATION as headers, PAGE_POLICY } from '../src/serve/headers.ts'

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

/**
 * The page's policy, for hosts that send none in a header. While the page is worked on, Vite puts its style sheets into it;
 * the built page allows none but files.
 */
const policy: Plugin = {
  name: 'policy',
  transformIndexHtml(_, { server }) {
    const content = server ? PAGE_POLICY.replace("style-src 'self'", "$& 'unsafe-inline'") : PAGE_POLICY
    const attrs = { 'http-equiv': 'Content-Security-Policy', content }
    return [{ tag: 'meta', attrs, injectTo: 'head-prepend' }]
  },
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
  plugins: [digitsPlugin(), runtimePlugin(), runFiles, policy],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  worker: {
    format: 'es',
    plugins: () => [withoutUrls()],
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
