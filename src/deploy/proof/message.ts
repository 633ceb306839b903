import { arrayOver, type NdArray, type TypedArray } from '../../graph/array.ts'
import type { DType } from '../../graph/dtype.ts'

// What a page and this program send each other: the length of a JSON text, the text, and the bytes of arrays. chromium-page.js has
// the other half.

/** A tensor in a message: what it is, and where its bytes are after the text. */
export interface Packed {
  readonly type: string
  readonly dims: readonly number[]
  readonly offset: number
  readonly bytes: number
}

/** Everything starts where eight bytes of an element may. */
const ALIGN = 8
const aligned = (at: number): number => Math.ceil(at / ALIGN) * ALIGN

/** A message with arrays; `make` gets where their bytes will be. */
export function packed(
  parts: readonly (TypedArray | Uint8Array)[],
  make: (offsets: readonly number[]) => object,
): Uint8Array {
  let at = 0
  const offsets = parts.map(({ byteLength }) => {
    const own = at
    at = aligned(at + byteLength)
    return own
  })
  const text = new TextEncoder().encode(JSON.stringify(make(offsets)))
  const start = aligned(4 + text.length)
  const bytes = new Uint8Array(start + at)
  new DataView(bytes.buffer).setUint32(0, text.length, true)
  bytes.set(text, 4)
  for (const [i, { buffer, byteOffset, byteLength }] of parts.entries())
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), start + (offsets[i] ?? 0))
  return bytes
}

/** The JSON value of a message, and its bytes from the first array on. @throws SyntaxError for anything else */
export function unpacked(message: Uint8Array): { readonly value: unknown; readonly rest: Uint8Array } {
  const length = new DataView(message.buffer, message.byteOffset).getUint32(0, true)
  const value: unknown = JSON.parse(new TextDecoder().decode(message.subarray(4, 4 + length)))
  return { value, rest: message.subarray(aligned(4 + length)) }
}

/** A tensor of a message, in memory of its own. */
export function tensorAt(
  rest: Uint8Array,
  { type, dims, offset, bytes }: Packed,
  dtype: DType,
): NdArray & { type: string } {
  // A copy: what a Buffer calls a slice is the same memory.
  const memory = new Uint8Array(rest.subarray(offset, offset + bytes)).buffer
  const one = arrayOver(dtype, memory, 0, 0).BYTES_PER_ELEMENT
  return { type, dims, data: arrayOver(dtype, memory, 0, bytes / one) }
}
