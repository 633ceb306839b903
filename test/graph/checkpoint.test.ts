import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { mlp } from '../../models/index.ts'
import { readSafetensors, writeSafetensors } from '../../src/export/safetensors.ts'
import { UserError } from '../../src/graph/errors.ts'
import { layoutOf } from '../../src/nn/layout.ts'
import { readCheckpoint, stateCheckpoint, vectorsOf } from '../../src/train/checkpoint.ts'
import { wholeLayout } from '../../src/train/step/state.ts'

const layout = wholeLayout(layoutOf(mlp({ image: 2, channels: 1, hidden: [3], classes: 2 }).parameters))
const numbers = (from: number) => Float32Array.from({ length: layout.all.size }, (_, i) => from + i / 8)
const vectors = { params: numbers(-1), m: numbers(2), v: new Float32Array(layout.all.size) }
const steps = { '': 3 }
const metadata = { run: '{"step":3,"classes":["a","b"]}', training: '{}' }
const bytes = stateCheckpoint(layout, { steps, vectors }, metadata)

function read(file: Uint8Array) {
  const checkpoint = readCheckpoint(file, 'x.safetensors')
  return { steps: checkpoint.steps, vectors: { ...vectorsOf(checkpoint, layout) } }
}

/** A file of these tensors and metadata with its checksum. */
function sealed(tensors: Parameters<typeof writeSafetensors>[0], own: Readonly<Record<string, string>>) {
  const checksum = crc32(writeSafetensors(tensors, own)).toString(16).padStart(8, '0')
  return writeSafetensors(tensors, { ...own, crc32: checksum })
}

/** Why a file is refused; undefined where it is read. */
function refusal(file: Uint8Array): string | undefined {
  try {
    read(file)
    return undefined
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return error.message
  }
}

/** The same bytes but for the header, whose length is set right. */
function withHeader(change: (header: string) => string): Uint8Array {
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true))
  const header = new TextDecoder().decode(bytes.subarray(8, 8 + length))
  const text = new TextEncoder().encode(change(header))
  const size = new Uint8Array(8)
  new DataView(size.buffer).setBigUint64(0, BigInt(text.length), true)
  return Uint8Array.from([...size, ...text, ...bytes.subarray(8 + length)])
}

describe('a checkpoint', () => {
  it('is read as it was written', () => {
    expect(read(bytes)).toEqual({ steps, vectors })
    expect({ ...readCheckpoint(bytes, 'x').metadata }).toEqual(metadata)
    expect(withHeader(header => header)).toEqual(bytes)
  })

  it('is refused whichever bit changes', () => {
    const unnoticed: string[] = []
    const other = bytes.slice()
    for (let at = 0; at < bytes.length; at++)
      for (let bit = 0; bit < 8; bit++) {
        other[at]! ^= 1 << bit
        if (refusal(other) === undefined) unnoticed.push(`bit ${bit} of byte ${at}`)
        other[at]! ^= 1 << bit
      }
    expect(unnoticed).toEqual([])
  })

  it('is refused wherever it ends too early, and with bytes after its end', () => {
    const unnoticed: number[] = []
    for (let end = 0; end < bytes.length; end++)
      if (refusal(bytes.subarray(0, end)) === undefined) unnoticed.push(end)
    expect(unnoticed).toEqual([])
    for (const more of [[0], [0x20], [0, 0, 0, 0]])
      expect(refusal(Uint8Array.from([...bytes, ...more]))).toMatch(/tensors take/)
  })

  it('is refused without a checksum, by a message that says what to do', () => {
    const { tensors, metadata: all } = readSafetensors(bytes, 'x')
    const { crc32: checksum, ...others } = all
    expect(refusal(writeSafetensors(tensors, { ...others, crc32: checksum! }))).toBeUndefined()
    expect(refusal(writeSafetensors(tensors, others))).toMatchInlineSnapshot(
      `"x.safetensors: has no checksum (crc32 in its metadata), with which onnxgrad writes every checkpoint since 0.1.0: the file is damaged, or another program wrote it; use a checkpoint that \`onnxgrad train\` or the lab wrote"`,
    )
    for (const key of ['CRC32', 'crc32 ', 'crc33'])
      expect(refusal(writeSafetensors(tensors, { ...others, [key]: checksum! }))).toMatch(/no checksum/)
  })

  it('has a checksum of its metadata and names as well as of its numbers', () => {
    const { tensors, metadata: all } = readSafetensors(bytes, 'x')
    const [one, two] = Object.keys(tensors).filter(name => name.startsWith('optimizer.'))
    const swapped = { ...tensors, [one!]: tensors[two!]!, [two!]: tensors[one!]! }
    const { [one!]: _, ...fewer } = tensors
    for (const changed of [
      writeSafetensors(tensors, { ...all, run: '{"step":4,"classes":["a","b"]}' }),
      writeSafetensors(tensors, { ...all, more: '' }),
      writeSafetensors(swapped, all),
      writeSafetensors(fewer, all),
    ])
      expect(refusal(changed)).toMatch(/does not have the checksum/)
  })

  it('is refused with a key that stands in its header twice', () => {
    const twice = (pattern: RegExp, replacement: string) =>
      refusal(withHeader(h => h.replace(pattern, replacement)))
    expect(twice(/"run":("(?:[^"\\]|\\.)*")/, '"run":"{}","run":$1')).toMatch(/the key run twice/)
    expect(twice(/"optimizer\.m":(\{.*?\})/, '"optimizer.m":$1,"optimizer.\\u006d":$1')).toMatch(
      /key optimizer\.m twice/,
    )
    expect(twice(/"optimizer\.m":\{/, '"optimizer.m":{"dtype":"F64",')).toMatch(/the key dtype twice/)
  })

  it('carries the CRC-32 of the file that it would be without it', () => {
    const { tensors, metadata: all } = readSafetensors(bytes, 'x')
    const { crc32: checksum, ...others } = all
    expect(Number.parseInt(checksum!, 16)).toBe(crc32(writeSafetensors(tensors, others)))
  })

  it('is read however its header is laid out, as long as it says the same', () => {
    const laidOut = withHeader(header => JSON.stringify(JSON.parse(header), null, 1))
    expect(read(laidOut)).toEqual({ steps, vectors })
  })

  it('gives no vector a name that is taken', () => {
    const { tensors } = readCheckpoint(bytes, 'x')
    for (const name of ['params', '__proto__']) {
      const more = { ...tensors, [`optimizer.${name}`]: tensors['optimizer.m']! }
      const given = () => vectorsOf({ name: 'x', bytes, metadata, steps, tensors: more }, layout)
      if (name === 'params') expect(given).toThrow('optimizer.params does not belong to the model')
      else expect(Object.getPrototypeOf(given())).toBeNull()
    }
  })

  it('of before format 2 is read, without steps; that of a newer release is refused, which says so', () => {
    const { tensors, metadata: all } = readSafetensors(bytes, 'x')
    const { crc32: _, ...whole } = all
    const { format, steps: own, ...before } = whole
    expect([format, own]).toEqual(['2', '{"":3}'])
    expect(read(sealed(tensors, whole))).toEqual({ steps, vectors })
    expect(read(sealed(tensors, before))).toEqual({ steps: undefined, vectors })
    expect(refusal(sealed(tensors, { ...whole, format: '3' }))).toMatchInlineSnapshot(
      `"x.safetensors: has format 3, this onnxgrad reads formats up to 2; read it with the version that wrote it"`,
    )
    expect(refusal(sealed(tensors, { ...whole, format: 'x' }))).toMatchInlineSnapshot(
      `"x.safetensors: its format x is not known: the file is damaged"`,
    )
    for (const wrong of ['{', 'null', '{"":-1}', '{"":0.5}', '[]x'])
      expect(refusal(sealed(tensors, { ...whole, steps: wrong }))).toMatch(/its metadata steps are damaged/)
  })
})
