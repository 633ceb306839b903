import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { reason } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'

/** The usual port. */
export const PORT = 8765

/** The address of a host's name, or itself. @throws UserError when there is none */
export async function addressOf(host: string): Promise<LookupAddress> {
  if (!host) throw new UserError('--host must be a name or an address, such as 127.0.0.1')
  return lookup(host).catch((error: NodeJS.ErrnoException) => {
    throw new UserError(`cannot listen at ${host}: ${LISTEN[error.code ?? ''] ?? reason(error)}`)
  })
}

/** @returns the port @throws UserError when the address cannot be had */
export async function listen(server: Server, address: string, port: number | undefined): Promise<number> {
  const at = (number: number) => {
    server.listen(number, address)
    return once(server, 'listening')
  }
  await at(port ?? PORT)
    .catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE' || port !== undefined) throw error
      return at(0)
    })
    .catch((error: NodeJS.ErrnoException) => {
      throw new UserError(
        `cannot listen at ${address}, port ${port ?? PORT}: ${LISTEN[error.code ?? ''] ?? reason(error)}`,
      )
    })
  const found = server.address()
  if (typeof found === 'object' && found) return found.port
  throw new Error('internal: the server has no port')
}

const LISTEN: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program does already; give another --port, or none',
  EACCES: 'ports below 1024 are kept from users; give a higher --port',
  EADDRNOTAVAIL: 'this machine has no such address; give another --host',
  ENOTFOUND: 'no machine has that name; give another --host',
}
