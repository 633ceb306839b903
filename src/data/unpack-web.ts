import { UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import { blobOf } from './blob-web.ts'
import type { NamedBytes } from './idx.ts'

/** The longest beginning of a file that `limit` is shown. */
const HEAD = 16

/**
 * A file's bytes, unpacked where they are gzip (by content, since servers and browsers may have unpacked them already).
 * @param limit says from the first unpacked bytes how many there may be at most, so that a gzip bomb cannot fill the memory
 * @throws UserError when the gzip data are broken, end too early or unpack to more than that
 */
export async function unpacked(
  { name, bytes }: NamedBytes,
  limit: (head: NamedBytes) => number,
): Promise<NamedBytes> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return { name, bytes }
  const stream = blobOf(bytes).stream().pipeThrough(new DecompressionStream('gzip'))
  const reader = stream.getReader()
  let parts: Uint8Array[] = []
  let size = 0
  let most = Number.POSITIVE_INFINITY
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(() => {
        throw new UserError(`${name}: its gzip data is corrupt or truncated`)
      })
      if (done) return { name, bytes: joined(parts, size) }
      parts.push(value)
      size += value.length
      if (most === Number.POSITIVE_INFINITY && size >= HEAD) {
        parts = [joined(parts, size)]
        most = limit({ name, bytes: nth(parts, 0).subarray(0, HEAD) })
      }
      if (size > most) throw new UserError(`${name}: unpacks to more bytes than its header declares`)
    }
  } finally {
    // Nothing more is unpacked of a file that was refused.
    await reader.cancel().catch(() => {})
  }
}

function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  const all = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
