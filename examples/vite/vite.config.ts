import { defaultClientConditions, defineConfig } from 'vite'

// An isolated page may use threads; send the same headers where the page is deployed.
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}

export default defineConfig({
  // The build of onnxruntime-web that loads its WebAssembly from files that src/worker.ts names. The other one holds it in
  // the app's own script, which its threads would run once more.
  resolve: { conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions] },
  optimizeDeps: { include: ['onnxgrad/models', 'onnxgrad/web'], exclude: ['onnxruntime-web'] },
  worker: { format: 'es' },
  server: { headers },
  preview: { headers },
})
