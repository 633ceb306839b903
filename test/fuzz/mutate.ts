import type { Rng } from '../../src/graph/random.ts'

/** Bytes and words at which parsers go wrong. */
const BYTES = [0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x1b, 0x22, 0x5b, 0x7b]
const WORDS = [0, 1, 2 ** 15, 2 ** 16 - 1, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]
/** Varints of 2³², 2⁶³ and one that is too long. */
const VARINTS = ['8080808010', 'ffffffffffffffff7f', 'ffffffffffffffffffffff01'].map(hex =>
  Buffer.from(hex, 'hex'),
)

export const pick = <T>(items: readonly T[], random: Rng): T => items[random.int(items.length)]!

type Change = (bytes: Buffer, random: Rng, others: readonly Uint8Array[]) => Uint8Array

const at = (bytes: Buffer, random: Rng): number => random.int(bytes.length + 1)
const piece = (bytes: Uint8Array, random: Rng): Uint8Array => {
  const start = random.int(bytes.length + 1)
  return bytes.subarray(start, start + random.int(64))
}
const put = (bytes: Buffer, place: number, what: Uint8Array, over: number): Uint8Array =>
  Buffer.concat([bytes.subarray(0, place), what, bytes.subarray(place + over)])

const CHANGES: readonly Change[] = [
  // a bit, a byte, an integer of 2, 4 or 8 bytes in either order
  (bytes, random) => {
    const i = at(bytes, random)
    bytes[i] = (bytes[i] ?? 0) ^ (1 << random.int(8))
    return bytes
  },
  (bytes, random) => {
    bytes[at(bytes, random)] = pick(BYTES, random)
    return bytes
  },
  (bytes, random) => {
    const word = Buffer.alloc(8)
    const value = pick(WORDS, random)
    if (random.int(2)) word.writeUInt32LE(value)
    else word.writeUInt32BE(value, random.int(2) * 4)
    const length = pick([2, 4, 8], random)
    return put(bytes, at(bytes, random), word.subarray(0, length), length)
  },
  (bytes, random) => put(bytes, at(bytes, random), pick(VARINTS, random), random.int(3)),
  // cut off, cut out, doubled, moved, mixed with another file
  (bytes, random) => bytes.subarray(0, at(bytes, random)),
  (bytes, random) => put(bytes, at(bytes, random), new Uint8Array(), random.int(32)),
  (bytes, random) => put(bytes, at(bytes, random), piece(bytes, random), 0),
  (bytes, random, others) =>
    put(bytes, at(bytes, random), piece(pick(others, random), random), random.int(16)),
]

/** One of some files, every second time a good one, with a few changes that its format does not foresee. */
export function mutate(files: ReadonlyMap<string, Uint8Array>, random: Rng): Uint8Array {
  const others = [...files.values()]
  const good = [...files].filter(([name]) => name.startsWith('good')).map(([, bytes]) => bytes)
  let bytes: Uint8Array = pick(random.int(2) ? good : others, random)
  for (let n = 1 + random.int(random.int(4) + 1); n > 0; n--)
    bytes = pick(CHANGES, random)(Buffer.from(bytes), random, others)
  return bytes
}

const NUMBERS = [0, 1, -1, 2, 3, 7, 64, 1e6, 2 ** 31 - 1, -(2 ** 31), 2 ** 32, 2 ** 53, -(2 ** 62)]
const TEXTS = [
  '',
  'x',
  '__proto__',
  'constructor',
  'toString',
  '../../secret',
  '\u001b[31m\n',
  '\u202e',
  '*',
  '?0',
  'a+b*2',
]

/**
 * Values of a tree, such as a decoded file's: the same shape of objects with other numbers, names and lengths, so that
 * what comes behind the decoder is reached. Changes the tree in place.
 * @param texts to choose new texts from, beside names that are known to hurt
 */
export function mutateTree(tree: object, random: Rng, texts: readonly string[]): void {
  const places: { holder: Record<string, unknown>; key: string }[] = []
  const visit = (holder: object): void => {
    for (const [key, value] of Object.entries(holder)) {
      places.push({ holder: holder as Record<string, unknown>, key })
      if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) visit(value)
    }
  }
  visit(tree)
  if (!places.length) return
  for (let n = 1 + random.int(3); n > 0; n--) {
    const { holder, key } = pick(places, random)
    const value = holder[key]
    const twin = () =>
      pick(
        places.filter(p => p.key === key),
        random,
      )
    if (random.int(8) === 0 && !Array.isArray(holder)) delete holder[key]
    else if (random.int(3) === 0) {
      const other = twin()
      const same =
        typeof other.holder[key] === typeof value && Array.isArray(other.holder[key]) === Array.isArray(value)
      if (same) holder[key] = structuredClone(other.holder[key])
    } else if (typeof value === 'number')
      holder[key] = random.int(4) ? pick(NUMBERS, random) : random.int(100)
    else if (typeof value === 'string')
      holder[key] = random.int(3) ? pick(texts, random) : pick(TEXTS, random)
    else if (value instanceof Uint8Array) holder[key] = value.slice(0, random.int(value.length + 1))
    else if (Array.isArray(value)) changeList(value, random)
  }
}

function changeList(list: unknown[], random: Rng): void {
  const i = random.int(list.length + 1)
  const item: unknown = structuredClone(list[i])
  const kind = random.int(4)
  if (kind === 0) list.splice(i, 1)
  else if (item === undefined) return
  else if (kind === 1) list.splice(random.int(list.length + 1), 0, item)
  else if (kind === 2) list.reverse()
  else for (let n = random.int(200); n > 0; n--) list.push(structuredClone(item))
}
