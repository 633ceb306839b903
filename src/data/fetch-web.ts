import { UserError } from '../graph/errors.ts'

/**
 * The bytes at an address.
 * @param hint what errors add to what went wrong @throws UserError when the server does not give them
 */
export async function fetchBytes(url: string | URL, hint = ''): Promise<Uint8Array<ArrayBuffer>> {
  const answer = await fetch(url).catch(() => undefined)
  if (!answer?.ok)
    throw new UserError(
      `${url}: ${answer ? `the server responded with ${answer.status}` : 'the server does not respond'}${hint && `; ${hint}`}`,
    )
  const bytes = await answer.arrayBuffer().catch(() => {
    throw new UserError(`${url}: the connection was lost; try again`)
  })
  return new Uint8Array(bytes)
}
