import { readdir } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { join, relative, sep } from 'node:path'
import { codeOf } from '../data/files-node.ts'
import { FileSender } from './file.ts'
import { HEADERS } from './headers.ts'
import { names, targetOf } from './request.ts'

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

export interface ServerOptions {
  /**
   * Names by which requests may call the server, as `hostNames` gives them, so that no page of another site can reach it
   * under a name of its own (DNS rebinding). Left out, any name will do.
   */
  readonly hosts?: ReadonlySet<string>
  /** Is told why a file could not be served, once until it can be. */
  readonly warn: (line: string) => void
}

/** Milliseconds that a client may take for a request, and may neither send nor take anything. */
const PATIENCE = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 5_000 }
const CHECKING = { connectionsCheckingInterval: 5_000 }
const MOST_IDLE = 60_000

/** Connections at once; more are closed. */
const MOST_CONNECTIONS = 1000

/** Serves these files and nothing else: a request's path is looked up, never made into a path of the disk. */
export function staticServer(files: Files, { hosts, warn }: ServerOptions): Server {
  const sender = new FileSender(warn)
  const server = createServer({ ...PATIENCE, ...CHECKING }, (request, response) => {
    const refuse = refusal(response)
    const named = request.headersDistinct.host ?? []
    const { authority, path } = targetOf(request)
    // Where there is more than one, programs differ in which they take.
    if (named.length > 1) return refuse(400, 'More than one Host.')
    const asked = [named[0] ?? '', ...(authority === undefined ? [] : [authority])]
    if (hosts && !asked.every(host => names(hosts, host)))
      return refuse(403, 'This server answers to localhost only.')
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return refuse(405, 'Only GET and HEAD.', { Allow: 'GET, HEAD' })
    const file = path === undefined ? undefined : files.get(path)
    if (file === undefined) return refuse(404, 'There is no such file here.')
    sender.send(file, request, response).catch((error: unknown) => {
      // Of a response that has begun, an end too early says that it is not whole.
      if (response.headersSent) response.destroy()
      else
        refuse(
          STATUS[codeOf(error instanceof Error ? error.cause : undefined)] ?? 403,
          'The file no longer exists or cannot be read.',
        )
    })
  })
  server.maxConnections = MOST_CONNECTIONS
  return server.setTimeout(MOST_IDLE)
}

const STATUS: Readonly<Record<string, number>> = { ENOENT: 404, EMFILE: 503, ENFILE: 503 }

const refusal =
  (response: ServerResponse) =>
  (status: number, text: string, headers: Readonly<Record<string, string>> = {}): void => {
    response.writeHead(status, { ...HEADERS, 'Content-Type': 'text/plain; charset=utf-8', ...headers })
    response.end(`${text}\n`)
  }
