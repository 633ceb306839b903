import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readSafetensors, type SafeTensor, writeSafetensors } from '../../src/export/safetensors.ts'
import { UserError } from '../../src/graph/errors.ts'

/** A file put together by hand from the format's description. */
function file(header: string | object, body: readonly number[] = [], length?: number): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header))
  const bytes = new Uint8Array(8 + text.length + body.length)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length ?? text.length), true)
  bytes.set(text, 8)
  bytes.set(body, 8 + text.length)
  return bytes
}

const ALL: Record<string, SafeTensor> = {
  half: { dtype: 'float16', shape: [2], data: Uint16Array.of(0x3c00, 0xc000) },
  single: { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, -2, 0.5, 3e38) },
  double: { dtype: 'float64', shape: [], data: Float64Array.of(Math.PI) },
  int: { dtype: 'int32', shape: [3], data: Int32Array.of(-1, 0, 2 ** 31 - 1) },
  long: { dtype: 'int64', shape: [1], data: BigInt64Array.of(-(2n ** 63n)) },
  byte: { dtype: 'uint8', shape: [3], data: Uint8Array.of(0, 128, 255) },
  signed: { dtype: 'int8', shape: [1], data: Int8Array.of(-128) },
  short: { dtype: 'int16', shape: [1], data: Int16Array.of(-32768) },
  shorts: { dtype: 'uint16', shape: [1], data: Uint16Array.of(65535) },
  words: { dtype: 'uint32', shape: [1], data: Uint32Array.of(2 ** 32 - 1) },
  longs: { dtype: 'uint64', shape: [1], data: BigUint64Array.of(2n ** 64n - 1n) },
  flags: { dtype: 'bool', shape: [2], data: Uint8Array.of(1, 0) },
  empty: { dtype: 'float32', shape: [0, 4], data: new Float32Array(0) },
}

test('a file written by hand is read as the format says', () => {
  const header = {
    __metadata__: { format: 'pt' },
    b: { dtype: 'I32', shape: [1], data_offsets: [4, 8] },
    a: { dtype: 'F32', shape: [1, 1], data_offsets: [0, 4] },
  }
  const { tensors, metadata } = readSafetensors(file(header, [0, 0, 128, 63, 255, 255, 255, 255]), 'x')
  expect(tensors.a).toEqual({ dtype: 'float32', shape: [1, 1], data: Float32Array.of(1) })
  expect(tensors.b).toEqual({ dtype: 'int32', shape: [1], data: Int32Array.of(-1) })
  expect({ ...metadata }).toEqual({ format: 'pt' })
})

test('what is written is read back, in every element type', () => {
  const { tensors, metadata } = readSafetensors(writeSafetensors(ALL, { epoch: '3' }), 'x')
  expect({ ...tensors }).toEqual(ALL)
  expect({ ...metadata }).toEqual({ epoch: '3' })
})

test('a view into a larger buffer is read from where it starts', () => {
  const bytes = writeSafetensors(ALL)
  const shifted = new Uint8Array(bytes.length + 3)
  shifted.set(bytes, 3)
  expect({ ...readSafetensors(shifted.subarray(3), 'x').tensors }).toEqual(ALL)
})

test('equal content gives equal bytes, whatever the order of the names', () => {
  const reversed = Object.fromEntries(Object.entries(ALL).reverse())
  expect(writeSafetensors(reversed, { b: '2', a: '1' })).toEqual(writeSafetensors(ALL, { a: '1', b: '2' }))
})

test('the data starts at a multiple of 8 bytes, each tensor at one of its element size', () => {
  const bytes = writeSafetensors(ALL)
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true))
  expect(length % 8).toBe(0)
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<
    string,
    { data_offsets: [number, number] }
  >
  for (const [name, { data_offsets }] of Object.entries(header))
    expect(data_offsets[0] % ALL[name]!.data.BYTES_PER_ELEMENT, name).toBe(0)
})

test('names such as toString are names like any other', () => {
  const t: SafeTensor = { dtype: 'uint8', shape: [1], data: Uint8Array.of(7) }
  const { tensors } = readSafetensors(writeSafetensors({ toString: t }), 'x')
  expect(tensors.toString).toEqual(t)
  expect(tensors.constructor).toBeUndefined()
})

describe('a damaged file is refused in one line', () => {
  const f32 = (start: number, end: number, shape: unknown = [(end - start) / 4]) => ({
    dtype: 'F32',
    shape,
    data_offsets: [start, end],
  })
  const four = [0, 0, 0, 0]
  const DAMAGED: Record<string, Uint8Array> = {
    'too short': Uint8Array.of(1, 2, 3),
    'header beyond the file': file('{}', [], 1e9),
    'no JSON': file('{"a":'),
    'no object': file('[1]'),
    'no UTF-8': file('{}', [], 2).fill(0xff, 8),
    'unknown dtype': file({ a: { ...f32(0, 4), dtype: 'F8_E4M3' } }, four),
    'entry that is no object': file({ a: null }),
    'negative dim': file({ a: f32(0, 4, [-1, -1]) }, four),
    'huge dims': file({ a: f32(0, 4, [2 ** 40, 2 ** 40]) }, four),
    'dims that do not match': file({ a: f32(0, 4, [2]) }, four),
    'no offsets': file({ a: { dtype: 'F32', shape: [1] } }, four),
    'end before start': file({ a: f32(4, 0, [1]) }, four),
    'beyond the end': file({ a: f32(0, 8) }, four),
    overlap: file({ a: f32(0, 8), b: f32(4, 12) }, [...four, ...four, ...four]),
    gap: file({ a: f32(0, 4), b: f32(8, 12) }, [...four, ...four, ...four]),
    'bytes left over': file({ a: f32(0, 4) }, [...four, 0]),
    'a reserved name': file('{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', four),
    'a tensor twice': file(`{"a":${JSON.stringify(f32(0, 0))},"a":${JSON.stringify(f32(0, 0))}}`),
    'metadata twice, once escaped': file('{"__metadata__":{"a":"1","\\u0061":"2"}}'),
    'space before the header': file(' {}'),
    'metadata of numbers': file({ __metadata__: { epoch: 3 } }),
  }

  test('the messages', () => {
    const messages = Object.entries(DAMAGED).map(([what, bytes]) => {
      try {
        readSafetensors(bytes, 'w.safetensors')
        return `${what} ⇒ accepted`
      } catch (error) {
        expect(error).toBeInstanceOf(UserError)
        return `${what} ⇒ ${(error as Error).message}`
      }
    })
    expect(messages.join('\n')).toMatchInlineSnapshot(`
      "too short ⇒ w.safetensors: has 3 bytes; a safetensors file has at least 8; the file is damaged or not a safetensors file
      header beyond the file ⇒ w.safetensors: its header claims 1000000000 bytes, but the file has 10; the file is damaged or not a safetensors file
      no JSON ⇒ w.safetensors: its header is not a JSON object; the file is damaged or not a safetensors file
      no object ⇒ w.safetensors: its header is not a JSON object; the file is damaged or not a safetensors file
      no UTF-8 ⇒ w.safetensors: its header is not a JSON object; the file is damaged or not a safetensors file
      unknown dtype ⇒ w.safetensors: tensor a has dtype F8_E4M3; store it as one of F16, F32, F64, I8, U8, I16, U16, I32, U32, I64, U64, BOOL, BF16
      entry that is no object ⇒ w.safetensors: tensor a has no dtype; the file is damaged or not a safetensors file
      negative dim ⇒ w.safetensors: tensor a has an invalid shape; the file is damaged or not a safetensors file
      huge dims ⇒ w.safetensors: tensor a has 4 bytes, but float32 [1099511627776,1099511627776] needs 4.835703278458517e+24; the file is damaged or not a safetensors file
      dims that do not match ⇒ w.safetensors: tensor a has 4 bytes, but float32 [2] needs 8; the file is damaged or not a safetensors file
      no offsets ⇒ w.safetensors: tensor a has invalid data_offsets; the file is damaged or not a safetensors file
      end before start ⇒ w.safetensors: tensor a has -4 bytes, but float32 [1] needs 4; the file is damaged or not a safetensors file
      beyond the end ⇒ w.safetensors: tensor a has offsets 0…8 in 4 bytes of data; expected 0; the file is damaged or not a safetensors file
      overlap ⇒ w.safetensors: tensor b has offsets 4…12 in 12 bytes of data; expected 8; the file is damaged or not a safetensors file
      gap ⇒ w.safetensors: tensor b has offsets 8…12 in 12 bytes of data; expected 4; the file is damaged or not a safetensors file
      bytes left over ⇒ w.safetensors: its tensors take 4 bytes, but the file has 5; the file is damaged or not a safetensors file
      a reserved name ⇒ w.safetensors: a tensor is named __proto__; the file is damaged or not a safetensors file
      a tensor twice ⇒ w.safetensors: its header has the key a twice; the file is damaged or not a safetensors file
      metadata twice, once escaped ⇒ w.safetensors: its header has the key a twice; the file is damaged or not a safetensors file
      space before the header ⇒ w.safetensors: its header is not a JSON object; the file is damaged or not a safetensors file
      metadata of numbers ⇒ w.safetensors: its metadata epoch is not text; the file is damaged or not a safetensors file"
    `)
  })

  test('whatever bytes are changed or cut off, it is read or refused, never worse', () => {
    const good = writeSafetensors(ALL, { epoch: '3' })
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255))
    fc.assert(
      fc.property(fc.array(change, { maxLength: 4 }), fc.nat(good.length), (changes, length) => {
        const bytes = good.slice(0, length)
        for (const [at, value] of changes) if (at < length) bytes[at] = value
        try {
          readSafetensors(bytes, 'x')
        } catch (error) {
          expect(error).toBeInstanceOf(UserError)
        }
      }),
    )
  })
})

test('what cannot be written is refused', () => {
  const t: SafeTensor = { dtype: 'float32', shape: [2], data: new Float32Array(3) }
  expect(() => writeSafetensors({ a: t })).toThrowErrorMatchingInlineSnapshot(
    `[UserError: tensor a has 12 bytes, which do not match float32 [2]]`,
  )
  expect(() => writeSafetensors({ __metadata__: { ...t, shape: [3] } })).toThrowErrorMatchingInlineSnapshot(
    `[UserError: a tensor cannot be named __metadata__ in a safetensors file; rename it]`,
  )
})
