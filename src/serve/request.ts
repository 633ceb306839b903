import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8)
LOOPBACK.addAddress('::1', 'ipv6')

/** Whether an IP address is reached from this machine only. */
export const isLoopback = (address: string): boolean =>
  LOOPBACK.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

/** Names and addresses as they stand in a Host header: IPv6 in brackets, all in lower case. */
export const hostNames = (...hosts: readonly string[]): ReadonlySet<string> =>
  new Set(hosts.map(host => (isIP(host) === 6 ? `[${host}]` : host).toLowerCase()))

/**
 * Whether a Host header, or the authority of a request target, is one of these names, with or without a port:
 * `name [ ":" port ]`, the port from 1 to 65535 and without leading zeros. Any port will do: behind `ssh -L` it is another
 * one than the server's, and a page of another site cannot choose it.
 */
export function names(hosts: ReadonlySet<string>, authority: string): boolean {
  const [, name, port = 80] = /^(\[[^\]]*\]|[^:]*)(?::([1-9]\d{0,4}))?$/.exec(authority) ?? []
  return name !== undefined && hosts.has(name.toLowerCase()) && Number(port) <= 65535
}

/** A request target: what is asked for, and of whom where it says so (`GET http://host/path`). */
export interface Target {
  readonly authority?: string
  /** Decoded, without the query; undefined where it is not a path. */
  readonly path?: string
}

export function targetOf({ url = '' }: IncomingMessage): Target {
  const [, authority, rest = url] = /^http:\/\/([^/?]*)(.*)$/i.exec(url) ?? []
  const about = authority === undefined ? {} : { authority }
  try {
    const path = decodeURIComponent(rest.replace(/\?.*$/s, ''))
    return path.startsWith('/') ? { ...about, path } : about
  } catch {
    return about
  }
}

/** Whether the client takes gzip, by its Accept-Encoding. */
export function acceptsGzip({ headers }: IncomingMessage): boolean {
  const weights = new Map(
    String(headers['accept-encoding'] ?? '')
      .toLowerCase()
      .split(',')
      .map(part => {
        const [coding = '', ...parameters] = part.split(';').map(text => text.trim())
        const weight = parameters.find(text => text.startsWith('q='))?.slice(2) ?? 1
        return [coding, Number(weight)]
      }),
  )
  return (weights.get('gzip') ?? weights.get('*') ?? 0) > 0
}

/** Whether If-None-Match names a representation that the client has already. */
export const hasAlready = ({ headers }: IncomingMessage, tag: string): boolean =>
  (headers['if-none-match'] ?? '')
    .split(',')
    .map(text => text.trim().replace(/^W\//, ''))
    .some(text => text === tag || text === '*')

/** A part of a file, both ends included. */
export interface Range {
  readonly start: number
  readonly end: number
}

/**
 * The part of a file of `size` bytes that a GET asks for; `undefined` for the whole, which also answers what is not a
 * single range of bytes, or has If-Range of another representation; `'none'` where the file has nothing of it.
 */
export function rangeOf(
  { method, headers }: IncomingMessage,
  size: number,
  tag: string,
): Range | 'none' | undefined {
  const [, first = '', last = ''] = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(headers.range ?? '') ?? []
  if (method !== 'GET' || (!first && !last) || (headers['if-range'] ?? tag) !== tag) return undefined
  if (first && last && Number(first) > Number(last)) return undefined
  const start = first ? Number(first) : Math.max(0, size - Number(last))
  const end = first && last ? Math.min(Number(last), size - 1) : size - 1
  return start <= end ? { start, end } : 'none'
}
