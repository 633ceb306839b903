import { open, readdir } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import { extname, join, relative, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'

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

const HEADERS = {
  // These two isolate the page, which then may use threads.
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  // A file may be another one after the next build or epoch.
  'Cache-Control': 'no-cache',
}

/** Files by the path that a request names, such as `/index.html`. */
export type Files = ReadonlyMap<string, string>

/** All files of a folder and its folders; links are left out. The page is at `/` too. */
export async function filesOf(folder: string): Promise<Files> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = new Map<string, string>()
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    files.set(`/${relative(folder, path).split(sep).join('/')}`, path)
  }
  const page = files.get('/index.html')
  return page ? files.set('/', page) : files
}

/** Whether an address or a name means this machine, whatever a name server says. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' ||
  host.endsWith('.localhost') ||
  host === '::1' ||
  (isIP(host) === 4 && host.startsWith('127.'))

/**
 * Serves these files and nothing else: a request's path is looked up, never made into a path of the disk.
 * @param local answers only to names of this machine, so that no page of the web can reach it under a name of its own
 */
export function staticServer(files: Files, local: boolean): Server {
  return createServer((request, response) => {
    const refuse = (status: number, text: string, headers = {}): void => {
      response.writeHead(status, { ...HEADERS, 'Content-Type': 'text/plain; charset=utf-8', ...headers })
      response.end(`${text}\n`)
    }
    if (local && !isLoopback(hostOf(request))) return refuse(403, 'This server answers to localhost only.')
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return refuse(405, 'Only GET and HEAD.', { Allow: 'GET, HEAD' })
    const path = pathOf(request)
    const file = path === undefined ? undefined : files.get(path)
    if (file === undefined) return refuse(404, 'There is no such file here.')
    send(file, request, response).catch(() => {
      if (response.headersSent) response.destroy()
      else refuse(404, 'The file is gone, or may not be read.')
    })
  })
}

/** The name in the request's Host, without port and brackets. */
function hostOf({ headers }: IncomingMessage): string {
  try {
    return new URL(`http://${headers.host}`).hostname.replace(/^\[|\]$/g, '')
  } catch {
    return ''
  }
}

function pathOf({ url = '' }: IncomingMessage): string | undefined {
  try {
    return decodeURIComponent(url.replace(/[?#].*$/, ''))
  } catch {
    return undefined
  }
}

async function send(path: string, { method }: IncomingMessage, response: ServerResponse): Promise<void> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const type = TYPES[extname(path)] ?? 'application/octet-stream'
    response.writeHead(200, { ...HEADERS, 'Content-Type': type, 'Content-Length': size })
    if (method === 'HEAD' || !size) response.end()
    // A file that grows meanwhile is sent as long as was said.
    else await pipeline(file.createReadStream({ end: size - 1 }), response)
  } finally {
    await file.close()
  }
}
