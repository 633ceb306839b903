/** Makes the files of `corpus/`: npx tsx test/fuzz/make-corpus.ts. Each is named for what it is or what it showed. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { idxFiles } from './make-idx.ts'
import { hostileOnnx } from './make-onnx.ts'
import { pictures } from './make-pictures.ts'
import { hostileSafetensors } from './make-safetensors.ts'

const folder = fileURLToPath(new URL('corpus', import.meta.url))

/** Mutations of larger files would mostly hit weights. */
const LARGEST = 2 ** 16

async function main(): Promise<void> {
  const kinds: Record<string, Record<string, Uint8Array>> = {
    onnx: hostileOnnx(),
    safetensors: hostileSafetensors(),
    idx: idxFiles(),
    picture: await pictures(),
  }
  for (const [kind, files] of Object.entries(kinds)) {
    rmSync(`${folder}/${kind}`, { recursive: true, force: true })
    mkdirSync(`${folder}/${kind}`, { recursive: true })
    for (const [name, bytes] of Object.entries(files)) {
      if (bytes.length > LARGEST) throw new Error(`${kind}/${name} has ${bytes.length} bytes`)
      writeFileSync(`${folder}/${kind}/${name}`, bytes)
    }
  }
}

void main()
