import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { ImageSource } from '../../src/data/dataset.ts'
import { loadMnist } from '../../src/data/mnist-node.ts'

const shared = fileURLToPath(new URL('../../../shared/data/mnist', import.meta.url))

/** The folder with the whole of MNIST, where this machine has it. */
export const mnistFolder: string | undefined = existsSync(shared) ? shared : undefined

/** Real digits: MNIST where this machine has it, else those that come with onnxgrad. */
export function realDigits(): Promise<ImageSource> {
  if (mnistFolder) return loadMnist({ data: mnistFolder })
  return loadMnist({ env: { XDG_CACHE_HOME: join(tmpdir(), 'onnxgrad-no-cache') }, offline: true })
}

/** A folder that is gone after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'onnxgrad-data-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

/** An IDX file: magic number, dims, then the bytes; all as the caller says, right or wrong. */
export function idx(magic: number, dims: readonly number[], body: Iterable<number>): Uint8Array {
  const head = Buffer.alloc(4 * (1 + dims.length))
  for (const [i, field] of [magic, ...dims].entries()) head.writeUInt32BE(field, 4 * i)
  return Buffer.concat([head, Uint8Array.from(body)])
}

/** A tiny data set of `count` images of 2 × 3 pixels, whose pixels count up and whose labels are 0, 1, 2, … */
export const tiny = (count: number) => ({
  images: idx(
    0x803,
    [count, 2, 3],
    Array.from({ length: count * 6 }, (_, i) => i),
  ),
  labels: idx(
    0x801,
    [count],
    Array.from({ length: count }, (_, i) => i % 10),
  ),
})

/** Puts the four files of a tiny data set, 5 + 2 images, into a folder; `changed` replaces some of them. */
export async function writeTiny(
  folder: string,
  changed: Readonly<Record<string, Uint8Array>> = {},
): Promise<void> {
  const [train, test] = [tiny(5), tiny(2)]
  const files = {
    'train-images-idx3-ubyte': train.images,
    'train-labels-idx1-ubyte': train.labels,
    't10k-images-idx3-ubyte': test.images,
    't10k-labels-idx1-ubyte': test.labels,
    ...changed,
  }
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes)
}

/** A web server on this machine until the test ends; returns the address of the folder that it serves as a mirror. */
export async function mirror(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mnist`
}

/** The address of a mirror where nobody listens. */
export async function deadMirror(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return `http://127.0.0.1:${port}/mnist`
}
