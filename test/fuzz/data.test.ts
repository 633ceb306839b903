import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { idxBytes, idxDataset, type NamedBytes } from '../../src/data/idx.ts'
import { readIdx } from '../../src/data/idx-node.ts'
import { idxData } from '../../src/data/idx-web.ts'
import { readPixels } from '../../src/data/image-node.ts'
import { readHeader } from '../../src/data/picture-header.ts'
import { MNIST_DIGIT, preprocess, RESIZE } from '../../src/data/preprocess.ts'
import { unpacked } from '../../src/data/unpack-web.ts'
import { temporaryFolder } from '../data/files.ts'
import { corpus, fuzz, outcome } from './fuzz.ts'
import { mutate } from './mutate.ts'

const CLASSES = [...'0123456789']
const idx = corpus('idx')
const labels: NamedBytes = { name: 'labels', bytes: idx.get('good-labels')! }

/** In Node from a file, in a page from memory. */
async function parsers() {
  const path = join(await temporaryFolder(), 'x')
  return {
    async node(bytes: Uint8Array) {
      await writeFile(path, bytes)
      idxDataset('x', { ...(await readIdx(path)), name: 'x' }, labels, CLASSES)
    },
    async page(bytes: Uint8Array) {
      idxDataset('x', await unpacked({ name: 'x', bytes }, idxBytes), labels, CLASSES)
    },
  }
}

test('an IDX file of the corpus is read, or refused in one line, in Node and in a page', async () => {
  const { node, page } = await parsers()
  const said = []
  for (const [name, bytes] of idx) {
    const [here, there] = [await outcome(() => node(bytes)), await outcome(() => page(bytes))]
    const plain = here.replace(/^.*\/x\b/, 'x')
    said.push(`${name} ⇒ ${plain}${there === plain ? '' : ` | ${there}`}`)
  }
  expect(said.join('\n')).toMatchInlineSnapshot(`
    "bomb-of-nothing.gz ⇒ x: not an IDX file: it starts with 0x00000000; images start with 0x00000803 and labels with 0x00000801
    bomb-that-promises-a-gigabyte.gz ⇒ x: has 1,048,592 bytes, but its header declares 1,072,693,264 (1,024 × 1,024 × 1,023): the file is truncated
    bomb.gz ⇒ x: unpacks to more bytes than its header declares
    checksum-wrong.gz ⇒ x: its gzip data is corrupt (incorrect data check) | x: its gzip data is corrupt or truncated
    dims-of-a-gigabyte ⇒ x: has 16 bytes, but its header declares 1,072,693,264 (1,024 × 1,024 × 1,023): the file is truncated
    dims-overflow ⇒ x: its header claims 4,294,967,295 × 4,294,967,295 × 4,294,967,295 bytes; it must be 1 … 1,073,741,824
    dims-zero ⇒ x: its header claims 4,294,967,295 × 0 × 4,294,967,295 bytes; it must be 1 … 1,073,741,824
    empty ⇒ x: not an IDX file: it has 0 bytes; images start with 0x00000803 and labels with 0x00000801
    garbage-after.gz ⇒ x: its gzip data is corrupt (incorrect header check) | x: its gzip data is corrupt or truncated
    good-images ⇒ read
    good-images.gz ⇒ read
    good-labels ⇒ x: holds labels (magic 0x00000801), not images
    good-labels.gz ⇒ x: holds labels (magic 0x00000801), not images
    header-alone.gz ⇒ x: not an IDX file: it has 0 bytes; images start with 0x00000803 and labels with 0x00000801 | x: its gzip data is corrupt or truncated
    magic-alone ⇒ x: has 4 bytes, but its header alone needs 16: the file is truncated
    members-two.gz ⇒ read
    truncated.gz ⇒ x: its gzip data ends early: the file is truncated | x: its gzip data is corrupt or truncated
    type-of-floats ⇒ x: not an IDX file: it starts with 0x00000d03; images start with 0x00000803 and labels with 0x00000801"
  `)
})

test('an IDX file with changed bytes is read or refused, never worse, in Node and in a page', async () => {
  const { node, page } = await parsers()
  const change = (random: Parameters<typeof mutate>[1]) => mutate(idx, random)
  expect(await fuzz('idx node', 250, change, node)).toBeGreaterThan(3)
  expect(await fuzz('idx page', 250, change, page)).toBeGreaterThan(3)
})

test('IDX files that a user drops on a page are read or refused, never worse', async () => {
  const read = await fuzz(
    'idx dropped',
    200,
    random => mutate(idx, random),
    bytes =>
      idxData([new File([bytes as BlobPart], 'images'), new File([labels.bytes as BlobPart], 'labels')]),
  )
  expect(read).toBe(0) // four images are too few to hold a fifth out
})

const pictures = corpus('picture')

/** A picture in every way that a model could take it. */
async function prepared(path: string) {
  const picture = await readPixels(path)
  expect(picture.data).toHaveLength(picture.width * picture.height * picture.channels)
  return [RESIZE, MNIST_DIGIT].map(how => preprocess(picture, how, [1, 28, 28]))
}

test('a picture of the corpus is read, or refused in one line', async () => {
  const path = join(await temporaryFolder(), 'x.png')
  const said = []
  for (const [name, bytes] of pictures) {
    await writeFile(path, bytes)
    const message = await outcome(() => prepared(path))
    // What is in brackets, libvips says.
    said.push(`${name} ⇒ ${message.replace(path, 'x.png').replace(/(as a picture) .*/, '$1 …')}`)
  }
  expect(said.join('\n')).toMatchInlineSnapshot(`
    "blank.png ⇒ read
    canvas-of-65535.gif ⇒ read
    empty.png ⇒ x.png: is not a picture (PNG, JPEG or WebP is expected)
    good-deep.png ⇒ read
    good-frames.gif ⇒ read
    good.avif ⇒ read
    good.gif ⇒ read
    good.jpg ⇒ read
    good.png ⇒ read
    good.tif ⇒ read
    good.webp ⇒ read
    header-alone.png ⇒ x.png: cannot be read as a picture …
    pdf.png ⇒ x.png: is not a picture (PNG, JPEG or WebP is expected)
    pixels-25-million.png ⇒ read
    pixels-missing.png ⇒ x.png: cannot be read as a picture …
    pixels-too-many-claimed.png ⇒ x.png: has more pixels than the 100,000,000 allowed: make it smaller
    pixels-too-many.png ⇒ read
    profile-unpacks-to-8-megabytes.png ⇒ read
    svg-after-a-comment.png ⇒ x.png: is not a picture (PNG, JPEG or WebP is expected)
    svg-includes-files.png ⇒ x.png: is not a picture (PNG, JPEG or WebP is expected)
    svg-reads-files.png ⇒ x.png: is not a picture (PNG, JPEG or WebP is expected)
    svg.png ⇒ x.png: is not a picture (PNG, JPEG or WebP is expected)
    text-unpacks-to-8-megabytes.png ⇒ read
    text.png ⇒ x.png: is not a picture (PNG, JPEG or WebP is expected)
    truncated.jpg ⇒ x.png: cannot be read as a picture …
    width-of-2-billion.png ⇒ x.png: cannot be read as a picture …
    width-of-2-million.png ⇒ x.png: has 2,097,152 × 12 pixels; at most 65,536 per side are allowed: make it smaller
    width-zero.png ⇒ x.png: cannot be read as a picture …"
  `)
})

test('a picture with changed bytes is read or refused, never worse', async () => {
  const path = join(await temporaryFolder(), 'x.png')
  const read = await fuzz(
    'pictures',
    300,
    random => mutate(pictures, random),
    async bytes => {
      const { orientation, upright } = readHeader(bytes)
      expect([orientation >= 1 && orientation <= 8, upright().length]).toEqual([true, bytes.length])
      await writeFile(path, bytes)
      for (const { image } of await prepared(path)) expect(image).toHaveLength(784)
    },
  )
  expect(read).toBeGreaterThan(20)
})
