import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolders, unwritable } from '../data/files-node.ts'
import { encode, manyOf, message, one, oneOf, type Value } from '../export/codec.ts'

// Of tensorflow/core/util/event.proto and framework/summary.proto, what scalars need.
const ScalarProto = message('Summary.Value', { tag: one(1, 'string'), simpleValue: one(2, 'float') })
const SummaryProto = message('Summary', { value: manyOf(1, () => ScalarProto) })
const SessionLogProto = message('SessionLog', { status: one(1, 'int32') })
const EventProto = message('Event', {
  wallTime: one(1, 'double'),
  step: one(2, 'int64'),
  fileVersion: one(3, 'string'),
  summary: oneOf(5, () => SummaryProto),
  sessionLog: oneOf(7, () => SessionLogProto),
})

const START = 1

/** CRC-32C (Castagnoli) of each byte, reflected. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = Number(TABLE[(crc ^ byte) & 0xff]) ^ (crc >>> 8)
  return ~crc >>> 0
}

/** A checksum that may stand in data that has a checksum itself. */
const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0

/** A record of a TFRecord file: length (8 bytes), its checksum (4), the data, its checksum (4); little-endian. */
export function tfRecord(data: Uint8Array): Uint8Array {
  const record = Buffer.alloc(12 + data.length + 4)
  record.writeBigUInt64LE(BigInt(data.length))
  record.writeUInt32LE(masked(crc32c(record.subarray(0, 8))), 8)
  record.set(data, 12)
  record.writeUInt32LE(masked(crc32c(data)), 12 + data.length)
  return record
}

const recordOf = (event: Value<typeof EventProto>): Uint8Array => tfRecord(encode(EventProto, event))

/** Seconds since 1970. */
const now = (): number => Date.now() / 1000

/** Writes scalars that TensorBoard shows while they are written: `tensorboard --logdir FOLDER`. */
export class EventWriter {
  /** Of the event file. */
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /**
   * A new file of events in a folder, which is made where it is missing.
   * @param step where the run stands; what files from before say of later steps TensorBoard then forgets
   * @throws UserError when the file cannot be written
   */
  static async open(folder: string, step = 0, wallTime = now()): Promise<EventWriter> {
    const path = join(folder, `events.out.tfevents.${Math.floor(wallTime)}.onnxgrad`)
    const writer = new EventWriter(path)
    await makeFolders(folder).catch((error: unknown) => {
      throw unwritable(folder, error)
    })
    // The version comes first in a file.
    await writer.#append([
      { wallTime, fileVersion: 'brain.Event:2' },
      { wallTime, step: step + 1, sessionLog: { status: START } },
    ])
    return writer
  }

  /**
   * Adds what was measured at a step, such as `{ 'loss/train': 0.25 }`.
   * @param wallTime seconds since 1970
   * @throws UserError when the file cannot be written
   */
  async add(step: number, scalars: Readonly<Record<string, number>>, wallTime = now()): Promise<void> {
    const value = Object.entries(scalars).map(([tag, simpleValue]) => ({ tag, simpleValue }))
    await this.#append([{ wallTime, step, summary: { value } }])
  }

  async #append(events: readonly Value<typeof EventProto>[]): Promise<void> {
    await appendFile(this.path, Buffer.concat(events.map(recordOf))).catch((error: unknown) => {
      throw unwritable(this.path, error)
    })
  }
}
