import { expect, test } from 'vitest'
import { readBytes } from '../../src/data/files-node.ts'
import { readOnnx } from '../../src/export/read.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { openPredictor } from '../../src/train/predictor.ts'
import { argmaxAt } from '../../src/train/scores.ts'
import { runExample } from './run.ts'

test("the example of a data set of one's own trains on it and exports a model that knows it", async () => {
  const { last, path } = await runExample('own-data')
  const [, accuracy] = /knows disc, ring, square, cross: ([\d.]+) % of new ones$/.exec(last)!
  expect(Number(accuracy)).toBeGreaterThan(85)

  const bytes = await readBytes(path)
  const classes = readOnnx(bytes, path).classes!
  const predictor = await openPredictor(await nodeRuntime('cpu'), bytes)
  // Drawn by hand: a filled square of 8 × 8, and a plus sign.
  const square = (x: number, y: number) => Math.max(Math.abs(x - 7.5), Math.abs(y - 7.5)) < 4
  const cross = (x: number, y: number) => {
    const [dx, dy] = [Math.abs(x - 7.5), Math.abs(y - 7.5)]
    return Math.max(dx, dy) < 5 && Math.min(dx, dy) < 1
  }
  const shapes = [square, cross]
  const pixels = Float32Array.from({ length: 2 * 256 }, (_, i) =>
    shapes[i >> 8]!(i % 16, (i >> 4) % 16) ? 0.85 : 0.15,
  )
  const { logits } = await predictor.run({ image: pixels })
  await predictor.close()
  expect([0, 1].map(i => classes[argmaxAt(logits!.data as Float32Array, i * 4, 4)])).toEqual([
    'square',
    'cross',
  ])
})
