import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../../graph/errors.ts'
import { WEB_FILES } from '../../runtime/web-files.ts'
import { ISOLATION, typeOf } from '../../serve/headers.ts'

/** What the page may do: run its own scripts and WebAssembly, and ask this server. */
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' blob:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'"

const HEADERS = {
  ...ISOLATION,
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Content-Security-Policy': POLICY,
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
} as const

const PAGE =
  '<!doctype html><meta charset="utf-8"><title>onnxgrad verify</title><script type="module" src="page.js"></script>'

/** The page's script lies beside this file; in a bundle it must be there too. */
function pageScript(): string {
  const path = fileURLToPath(new URL('chromium-page.js', import.meta.url))
  if (existsSync(path)) return path
  throw new UserError(
    `${path} does not exist: onnxgrad was bundled without it, so that no browser can be used; mark onnxgrad as external in the bundler`,
  )
}

/** Scripts and binaries of onnxruntime-web, by name. */
function runtimeFiles(): ReadonlyMap<string, string> {
  const dist = dirname(createRequire(import.meta.url).resolve('onnxruntime-web/wasm'))
  const names = Object.values(WEB_FILES).flatMap(({ script, loader, binary }) => [script, loader, binary])
  return new Map(names.map(name => [name, join(dist, name)]))
}

/** A server for one page, at an address that nobody else knows. */
export interface PageServer {
  /** Of the page. */
  readonly url: string
  close(): Promise<void>
}

/** @param turn gets what the page posts, and gives the next command */
export async function servePage(turn: (posted: Uint8Array) => Promise<Uint8Array>): Promise<PageServer> {
  const [script, runtime, secret] = [pageScript(), runtimeFiles(), randomUUID()]
  const send = async (response: ServerResponse, path: string): Promise<void> => {
    response.writeHead(200, { ...HEADERS, 'Content-Type': typeOf(extname(path)) }).end(await readFile(path))
  }
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const inside = pathname.startsWith(`/${secret}/`) ? pathname.slice(secret.length + 2) : undefined
    const file = inside?.startsWith('ort/') ? runtime.get(inside.slice(4)) : undefined
    if (request.method === 'POST' && inside === 'turn') {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      const next = await turn(Buffer.concat(chunks))
      response.writeHead(200, { ...HEADERS, 'Content-Type': 'application/octet-stream' }).end(next)
    } else if (inside === '')
      response.writeHead(200, { ...HEADERS, 'Content-Type': typeOf('.html') }).end(PAGE)
    else if (inside === 'page.js') await send(response, script)
    else if (file) await send(response, file)
    else response.writeHead(404, HEADERS).end()
  }
  // A command may take as long as the model does.
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('internal: the server has no port')
  return {
    url: `http://127.0.0.1:${address.port}/${secret}/`,
    async close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
