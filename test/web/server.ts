import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'
import { typeOf } from '../../src/serve/headers.ts'

/**
 * A folder on a port of this machine, as a plain static host serves it.
 * @param headers that the host sends with every file, such as those that isolate a page
 */
export async function serve(folder: string, headers: Readonly<Record<string, string>> = {}) {
  const server = createServer(async ({ url = '/' }, response) => {
    const { pathname } = new URL(url, 'http://localhost')
    const path = join(folder, pathname.endsWith('/') ? `${pathname}index.html` : pathname)
    const body = await readFile(path).catch(() => undefined)
    response.writeHead(body ? 200 : 404, { 'Content-Type': typeOf(extname(path)), ...headers }).end(body)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise<void>(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
