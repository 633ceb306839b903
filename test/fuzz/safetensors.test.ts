import { expect, test } from 'vitest'
import { readSafetensors } from '../../src/export/safetensors.ts'
import { corpus, fuzz, outcome } from './fuzz.ts'
import { mutate } from './mutate.ts'

const files = corpus('safetensors')

function parse(bytes: Uint8Array): void {
  const { tensors, metadata } = readSafetensors(bytes, 'x.safetensors')
  expect(Object.getPrototypeOf(tensors)).toBeNull()
  expect(Object.getPrototypeOf(metadata)).toBeNull()
}

test('a safetensors file of the corpus is read, or refused in one line', async () => {
  const said = []
  for (const [name, bytes] of files) said.push(`${name} ⇒ ${await outcome(() => parse(bytes))}`)
  expect(said.join('\n')).toMatchInlineSnapshot(`
    "good-checkpoint ⇒ read
    good-nothing ⇒ read
    good-types ⇒ read
    header-of-2-to-the-63 ⇒ x.safetensors: its header claims 9223372036854776000 bytes, but the file has 10; the file is damaged or not a safetensors file
    header-of-brackets ⇒ x.safetensors: its header is not a JSON object; the file is damaged or not a safetensors file
    header-of-half-a-character ⇒ x.safetensors: its header is not a JSON object; the file is damaged or not a safetensors file
    header-of-objects ⇒ x.safetensors: its header is not a JSON object; the file is damaged or not a safetensors file
    header-past-the-end ⇒ x.safetensors: its header claims 1000000000 bytes, but the file has 10; the file is damaged or not a safetensors file
    metadata-nested ⇒ x.safetensors: its metadata a is not text; the file is damaged or not a safetensors file
    metadata-proto ⇒ x.safetensors: its metadata __proto__ is not text; the file is damaged or not a safetensors file
    name-constructor ⇒ read
    name-control-characters ⇒ x.safetensors: tensor �[31m� has 4 bytes, but float32 [2] needs 8; the file is damaged or not a safetensors file
    name-proto ⇒ x.safetensors: a tensor is named __proto__; the file is damaged or not a safetensors file
    name-twice ⇒ x.safetensors: its header has the key a twice; the file is damaged or not a safetensors file
    offsets-backwards ⇒ x.safetensors: tensor a has -4 bytes, but float32 [1] needs 4; the file is damaged or not a safetensors file
    offsets-huge ⇒ x.safetensors: tensor a has offsets 0…4503599627370496 in 4 bytes of data; expected 0; the file is damaged or not a safetensors file
    offsets-overlap ⇒ x.safetensors: tensor b has offsets 4…12 in 12 bytes of data; expected 8; the file is damaged or not a safetensors file
    shape-not-whole ⇒ x.safetensors: tensor a has an invalid shape; the file is damaged or not a safetensors file
    shape-of-5000-dims ⇒ x.safetensors: tensor a has 8 bytes, but float32 [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1…; the file is damaged or not a safetensors file
    shape-overflows ⇒ x.safetensors: tensor a has 4 bytes, but float32 [4503599627370496,4503599627370496,0] needs 0; the file is damaged or not a safetensors file
    tensors-200 ⇒ read"
  `)
})

test('a safetensors file with changed bytes is read or refused, never worse', async () => {
  const read = await fuzz('safetensors', 3000, random => mutate(files, random), parse)
  expect(read).toBeGreaterThan(50)
})
