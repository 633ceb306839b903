import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import protobuf from 'protobufjs/minimal.js'
import { expect, test } from 'vitest'
import { crc32c, EventWriter } from '../../src/report/tensorboard-node.ts'
import { temporaryFolder } from '../data/files.ts'

/** CRC-32C bit by bit, from its polynomial as a division with remainder. */
function slowCrc(bytes: Uint8Array): number {
  let rest = 0xffffffffn
  for (const byte of bytes) {
    rest ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit++) rest = (rest >> 1n) ^ (rest & 1n ? 0x82f63b78n : 0n)
  }
  return Number(rest ^ 0xffffffffn)
}

interface ReadEvent {
  wallTime?: number
  step?: number
  version?: string
  start?: boolean
  scalars: Record<string, number>
}

/** An event, field by field, as tensorflow's event.proto numbers them. */
function readEvent(bytes: Uint8Array): ReadEvent {
  const event: ReadEvent = { scalars: {} }
  const each = (r: protobuf.Reader, end: number, field: (id: number) => void) => {
    while (r.pos < end) field(r.uint32() >>> 3)
  }
  const r = protobuf.Reader.create(bytes)
  const inner = (field: (id: number) => void) => each(r, r.uint32() + r.pos, field)
  each(r, bytes.length, id => {
    if (id === 1) event.wallTime = r.double()
    else if (id === 2) event.step = Number(r.int64())
    else if (id === 3) event.version = r.string()
    else if (id === 7) inner(() => (event.start = r.int32() === 1))
    else if (id === 5)
      inner(() => {
        let tag = ''
        let value = Number.NaN
        inner(field => {
          if (field === 1) tag = r.string()
          else value = r.float()
        })
        event.scalars[tag] = value
      })
  })
  return event
}

/** The records of a TFRecord file, whose checksums must be right. */
function readRecords(file: Buffer): Uint8Array[] {
  const records: Uint8Array[] = []
  const check = (data: Uint8Array, at: number) => {
    const unmasked = (file.readUInt32LE(at) - 0xa282ead8) >>> 0
    expect(((unmasked >>> 17) | (unmasked << 15)) >>> 0).toBe(slowCrc(data))
  }
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at))
    check(file.subarray(at, at + 8), at + 8)
    const data = file.subarray(at + 12, at + 12 + length)
    check(data, at + 12 + length)
    records.push(data)
    at += 16 + length
  }
  return records
}

const read = async (path: string) => readRecords(await readFile(path)).map(readEvent)

test("checksums are Castagnoli's", () => {
  const text = (s: string) => new TextEncoder().encode(s)
  expect(crc32c(text('123456789'))).toBe(0xe3069283)
  // RFC 3720, B.4.
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
})

test('what is added can be read back from the records, with its step, time and tags', async () => {
  const folder = join(await temporaryFolder(), 'run')
  const writer = await EventWriter.open(folder, 0, 1_700_000_000.5)
  await writer.add(1, { 'loss/train': 0.25, lr: 1e-3 }, 1_700_000_001)
  await writer.add(70_000, { 'loss/train': 0.125 }, 1_700_000_002)
  expect(await readdir(folder)).toEqual(['events.out.tfevents.1700000000.onnxgrad'])
  expect(await read(writer.path)).toEqual([
    { wallTime: 1_700_000_000.5, version: 'brain.Event:2', scalars: {} },
    { wallTime: 1_700_000_000.5, step: 1, start: true, scalars: {} },
    { wallTime: 1_700_000_001, step: 1, scalars: { 'loss/train': 0.25, lr: Math.fround(1e-3) } },
    { wallTime: 1_700_000_002, step: 70_000, scalars: { 'loss/train': 0.125 } },
  ])
})

test('a run that goes on says from which step what was logged before no longer counts', async () => {
  const folder = await temporaryFolder()
  await EventWriter.open(folder, 0, 1_700_000_000)
  const { path } = await EventWriter.open(folder, 40, 1_700_000_100)
  expect((await read(path))[1]).toMatchObject({ step: 41, start: true })
  expect(await readdir(folder)).toHaveLength(2)
})

test('a folder that cannot be made is an error that names it', async () => {
  const file = join(await temporaryFolder(), 'file')
  await writeFile(file, '')
  // Node's own way of making folders hangs below /proc.
  const kernel = process.platform === 'linux' ? ['/proc/none/deep'] : []
  for (const folder of [join(file, 'run'), ...kernel])
    await expect(EventWriter.open(folder)).rejects.toThrow(folder)
})
