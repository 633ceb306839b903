import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { UserBatch } from '../../src/data/dataset.ts'
import { load, mnist, predictor, rng } from '../../src/node.ts'
import { numbersIn, runExample } from './run.ts'

type Answers = Readonly<
  Record<string, { readonly data: readonly number[]; readonly dims: readonly number[] }>
>

/** What an exported file answers in ONNX Runtime, and that onnxgrad reads the file as a model with the same inputs. */
async function answer(path: string, inputs: UserBatch): Promise<Answers> {
  const model = await load(path)
  expect(Object.keys(model.inputs)).toEqual(Object.keys(inputs))
  return runFile(path, inputs)
}

async function runFile(path: string, inputs: UserBatch): Promise<Answers> {
  await using opened = await predictor(await readFile(path))
  const got = await opened.run(inputs)
  return Object.fromEntries(
    Object.entries(got).map(([name, { data, dims }]) => [name, { data: Array.from(data, Number), dims }]),
  )
}

const uniform = (count: number) => {
  const random = rng(3)
  return Float32Array.from({ length: count }, random.uniform)
}
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length
const argmax = (values: readonly number[]) => values.indexOf(Math.max(...values))
const pixels = async (count: number) => {
  const { test } = await mnist({ data: 'digits' })
  return { image: Float32Array.from(test.images.subarray(0, 784 * count), v => v / 255), labels: test.labels }
}

/** By name: holds the numbers of the last line, and the model that was saved, to what the example is to show. */
export const EXAMPLES: Readonly<Record<string, (numbers: readonly number[], path: string) => Promise<void>>> =
  {
    async regression([before, after], path) {
      expect(before! / after!).toBeGreaterThan(100)
      const { price } = await answer(path, { features: [[0.5, 0.5]], location: [[0.5, 0.5]] })
      expect(Math.abs(price!.data[0]! - 3.625)).toBeLessThan(0.4)
    },

    async autoencoder([noisy, denoised], path) {
      expect(noisy! / denoised!).toBeGreaterThan(6)
      const random = rng(5)
      const { image } = await pixels(20)
      const { clean, code } = await answer(path, { noisy: image.map(v => v + 0.5 * random.normal()) })
      expect(code!.dims).toEqual([20, 32])
      expect(mean(clean!.data.map((v, i) => (v - image[i]!) ** 2))).toBeLessThan(0.06)
    },

    async 'multi-label'([, f1, accuracy], path) {
      expect(f1).toBeGreaterThan(0.93)
      expect(accuracy).toBeGreaterThan(0.93)
      const image = uniform(144).map((v, i) => (Math.floor(i / 12) === 4 || i % 13 === 0 ? 1 : 0.4 * v))
      const { logits } = await answer(path, { image })
      expect(logits!.data.map(v => v > 0)).toEqual([true, false, true, false])
    },

    async sequences([accuracy], path) {
      expect(accuracy).toBeGreaterThan(0.97)
      // A length that is none of the buckets.
      const { logits } = await answer(path, { tokens: [[1, 0, 3, 2, 5, 4, 0, 7, 1, 2]] })
      expect(logits!.dims).toEqual([1, 10, 10])
      const largest = Array.from({ length: 10 }, (_, t) => argmax(logits!.data.slice(10 * t, 10 * t + 10)))
      expect(largest).toEqual([1, 1, 3, 3, 5, 5, 5, 7, 7, 7])
    },

    async siamese([accuracy], path) {
      expect(accuracy).toBeGreaterThan(0.78)
      const { image, labels } = await pixels(200)
      const [left, right] = [image.subarray(0, 100 * 784), image.subarray(100 * 784)]
      const { logits } = await answer(path, { left, right })
      const agreed = logits!.data.filter((v, i) => v > 0 === (labels[i] === labels[100 + i]))
      expect(agreed.length).toBeGreaterThan(70)
      // Both images go through one encoder.
      const { logits: swapped } = await answer(path, { left: right, right: left })
      const apart = swapped!.data.map((v, i) => Math.abs(v - logits!.data[i]!))
      expect(Math.max(...apart)).toBeLessThan(1e-3)
    },

    async unet([iou], path) {
      expect(iou).toBeGreaterThan(0.9)
      const inDisc = (i: number) => Math.hypot((i % 16) - 8, Math.floor(i / 16) - 8) < 4
      const { logits } = await answer(path, {
        image: uniform(256).map((v, i) => 0.4 * v + (inDisc(i) ? 0.6 : 0)),
      })
      const kind = (i: number) => argmax([0, 1, 2].map(c => logits!.data[256 * c + i]!))
      const right = Array.from({ length: 256 }, (_, i) => i).filter(i => kind(i) === Number(inDisc(i)))
      expect(right.length).toBeGreaterThan(230)
    },

    async gan([distance], path) {
      expect(distance).toBeLessThan(0.15)
      const random = rng(9)
      const { point } = await answer(path, { noise: Float32Array.from({ length: 4 * 400 }, random.normal) })
      const points = Array.from({ length: 400 }, (_, i) => point!.data.slice(2 * i, 2 * i + 2))
      expect(mean(points.map(p => Math.abs(Math.hypot(...p) - 1)))).toBeLessThan(0.2)
      // The whole circle, not one place of it.
      const octants = new Set(points.map(([x, y]) => Math.floor((4 * Math.atan2(y!, x!)) / Math.PI)))
      expect(octants.size).toBeGreaterThanOrEqual(7)
    },

    async dqn([moves, least], path) {
      expect([moves, least]).toEqual([15, 15])
      // Right along the first row, then down.
      const { best } = await answer(path, { state: [5, 11, 17, 23] })
      expect(best!.data.slice(0, 4)).toEqual([2, 2, 2, 2])
    },

    async 'custom-op'([error], path) {
      expect(error).toBeLessThan(0.02)
      // A program without the example's op reads the file with the one that onnxgrad has for files.
      expect(Object.keys((await load(path)).outputs)).toEqual(['y'])
      const { y } = await runFile(path, { x: [[0.5], [-1]] })
      expect(y!.data.map((v, i) => Math.abs(v - Math.sin([1.5, -3][i]!))).every(d => d < 0.3)).toBe(true)
    },

    async distillation([parameters, accuracy], path) {
      expect(parameters).toBeLessThan(61_706 / 4)
      expect(accuracy).toBeGreaterThan(0.85)
      const { image, labels } = await pixels(100)
      const { logits } = await answer(path, { image })
      const right = Array.from({ length: 100 }, (_, i) => argmax(logits!.data.slice(10 * i, 10 * i + 10)))
      expect(right.filter((guess, i) => guess === labels[i]).length).toBeGreaterThan(75)
    },
  }

/** What `npm test` runs; the others take a minute together, in examples.long.test.ts. */
export const QUICK: readonly string[] = ['regression']

/** Runs an example, and holds what it prints and saves to what it is to show. */
export const testExamples = (names: readonly string[]) =>
  test.each(names)(
    '%s trains, prints its result, and exports its model',
    async name => {
      const { last, path } = await runExample(name)
      await EXAMPLES[name]!(numbersIn(last), path)
    },
    120_000,
  )
