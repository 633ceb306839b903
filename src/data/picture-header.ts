/** What a picture's file says of itself, beside its pixels. */
export interface PictureHeader {
  /** How the camera was held: EXIF's 1 (upright) … 8. */
  readonly orientation: number
  /** Whether an ICC profile says what its colours are; one of inks (CMYK) does not count. */
  readonly hasProfile: boolean
  /** The same file, said to be upright. */
  upright(): Uint8Array
}

interface Segment {
  readonly type: string
  /** Where its content begins and ends. */
  readonly start: number
  readonly end: number
}

/** EXIF's tag for the orientation, and the type of its value: a number of 16 bits. */
const ORIENTATION = 0x0112
const SHORT = 3

/**
 * What a JPEG, PNG or WebP file says of its pixels. Browsers read it too, but not all of them, and not of all three.
 * A file of another kind, or a damaged one, says nothing.
 */
export function readHeader(bytes: Uint8Array): PictureHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at: ValuePlace | undefined
  let hasProfile = false
  let isCmyk = false
  for (const { type, start, end } of segments(view)) {
    if (EXIF.includes(type)) at ??= orientationPlace(view, start, end)
    if (PROFILES.includes(type)) hasProfile = true
    // A JPEG's frame: precision, height, width, and the number of components.
    if (type === 'SOF' && start + 5 < end) isCmyk = view.getUint8(start + 5) === 4
  }
  const value = at && view.getUint16(at.offset, at.littleEndian)
  return {
    orientation: value !== undefined && value >= 1 && value <= 8 ? value : 1,
    hasProfile: hasProfile && !isCmyk,
    upright() {
      const copy = new Uint8Array(bytes)
      if (at) new DataView(copy.buffer).setUint16(at.offset, 1, at.littleEndian)
      return copy
    },
  }
}

const EXIF = ['APP1 Exif', 'eXIf', 'EXIF']
const PROFILES = ['APP2 ICC_PROFILE', 'iCCP', 'ICCP']

function segments(view: DataView): Generator<Segment> {
  const start = text(view, 0, 12)
  if (start.startsWith('\xff\xd8')) return jpegSegments(view)
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return chunks(view, 8, { size: 0, type: 4, bigEndian: true })
  if (/^RIFF.{4}WEBP/s.test(start)) return chunks(view, 12, { size: 4, type: 0, bigEndian: false })
  return (function* none() {})()
}

/** A JPEG's segments up to its pixels; those of applications are called by the name that they begin with. */
function* jpegSegments(view: DataView): Generator<Segment> {
  for (let at = 2; at + 4 <= view.byteLength && view.getUint8(at) === 0xff; ) {
    const marker = view.getUint8(at + 1)
    if (marker === 0xff) {
      at += 1
      continue
    }
    if (marker === 0xda) return
    const end = at + 2 + view.getUint16(at + 2)
    const start = at + 4
    if (end < start || end > view.byteLength) return
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)
    if (isFrame) yield { type: 'SOF', start, end }
    else if (marker >= 0xe0 && marker <= 0xef) {
      const [name = ''] = text(view, start, Math.min(end - start, 16)).split('\0')
      yield { type: `APP${marker - 0xe0} ${name}`, start: start + name.length + 1, end }
    }
    at = end
  }
}

/** The chunks of a PNG (with a checksum behind each) or of a RIFF file (of even length). */
function* chunks(
  view: DataView,
  first: number,
  { size, type, bigEndian }: { size: number; type: number; bigEndian: boolean },
): Generator<Segment> {
  for (let at = first; at + 8 <= view.byteLength; ) {
    const length = view.getUint32(at + size, !bigEndian)
    const start = at + 8
    const end = start + length
    if (end > view.byteLength) return
    yield { type: text(view, at + type, 4), start, end }
    at = bigEndian ? end + 4 : end + (length % 2)
  }
}

interface ValuePlace {
  readonly offset: number
  readonly littleEndian: boolean
}

/** Where EXIF data, which are a TIFF file, have the orientation. */
function orientationPlace(view: DataView, start: number, end: number): ValuePlace | undefined {
  // A WebP's may begin as a JPEG's do; there the name is behind us already, and a zero left of it.
  const [prefix] = /^(Exif\0)?\0*/.exec(text(view, start, Math.min(6, end - start))) ?? ['']
  const tiff = start + prefix.length
  if (tiff + 8 > end) return undefined
  const order = text(view, tiff, 2)
  if (order !== 'II' && order !== 'MM') return undefined
  const littleEndian = order === 'II'
  const directory = tiff + view.getUint32(tiff + 4, littleEndian)
  if (directory + 2 > end) return undefined
  const count = view.getUint16(directory, littleEndian)
  for (let i = 0, at = directory + 2; i < count && at + 12 <= end; i++, at += 12)
    if (view.getUint16(at, littleEndian) === ORIENTATION && view.getUint16(at + 2, littleEndian) === SHORT)
      return { offset: at + 8, littleEndian }
  return undefined
}

const text = (view: DataView, start: number, length: number): string =>
  String.fromCharCode(
    ...new Uint8Array(
      view.buffer,
      view.byteOffset + start,
      Math.max(0, Math.min(length, view.byteLength - start)),
    ),
  )
