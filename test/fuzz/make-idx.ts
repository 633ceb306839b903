import { gzipSync } from 'node:zlib'
import { idx, tiny } from '../data/files.ts'

const { images, labels } = tiny(4)
const zipped = gzipSync(images)

export const idxFiles = (): Record<string, Uint8Array> => ({
  'good-images': images,
  'good-labels': labels,
  'good-images.gz': zipped,
  'good-labels.gz': gzipSync(labels),
  empty: new Uint8Array(),
  'magic-alone': idx(0x803, [], []),
  'dims-overflow': idx(0x803, [2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], []),
  'dims-of-a-gigabyte': idx(0x803, [1024, 1024, 1023], []),
  'dims-zero': idx(0x803, [2 ** 32 - 1, 0, 2 ** 32 - 1], []),
  'type-of-floats': idx(0xd03, [4, 2, 3], new Array(96).fill(0)),
  'bomb.gz': gzipSync(Buffer.concat([images, Buffer.alloc(2 ** 23)]), { level: 9 }),
  'bomb-of-nothing.gz': gzipSync(Buffer.alloc(2 ** 23), { level: 9 }),
  'bomb-that-promises-a-gigabyte.gz': gzipSync(idx(0x803, [1024, 1024, 1023], Buffer.alloc(2 ** 20)), {
    level: 9,
  }),
  'truncated.gz': zipped.subarray(0, -9),
  'checksum-wrong.gz': Buffer.concat([zipped.subarray(0, -8), Buffer.alloc(8)]),
  'members-two.gz': Buffer.concat([gzipSync(images.subarray(0, 20)), gzipSync(images.subarray(20))]),
  'garbage-after.gz': Buffer.concat([zipped, Buffer.from('garbage')]),
  'header-alone.gz': zipped.subarray(0, 10),
})
