/** What the lab's page may load and do: its own files, WebAssembly, and workers that start from its own files. */
export const PAGE_POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; worker-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"

/** These two isolate a page from other sites, which lets it use threads. */
export const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
} as const

/** Headers of every response. */
export const HEADERS = {
  ...ISOLATION,
  'Cross-Origin-Resource-Policy': 'same-origin',
  // Browsers apply a worker's policy from the headers of its script only, and `frame-ancestors` from headers only.
  'Content-Security-Policy': `${PAGE_POLICY}; frame-ancestors 'none'`,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  // A file may have changed after the next build or epoch: browsers ask whether it has.
  'Cache-Control': 'no-cache',
} as const

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.gz': 'application/gzip',
}

/** The Content-Type of files with an extension such as `.js`. */
export const typeOf = (extension: string): string => TYPES[extension] ?? 'application/octet-stream'

/** Whether bytes of a type become a good deal fewer; pictures and weights do not. */
export const isCompressible = (type: string): boolean =>
  /^text\/|^application\/(json|wasm)$|\+xml$/.test(type)
