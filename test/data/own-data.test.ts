import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { readBytes } from '../../src/data/files-node.ts'
import { readOnnx } from '../../src/export/read.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { argmaxAt } from '../../src/train/evaluate.ts'
import { filePredictor } from '../../src/train/predictor.ts'
import { temporaryFolder } from './files.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const loader = new URL('../../node_modules/tsx/dist/esm/index.mjs', import.meta.url).href

test("the example of a data set of one's own trains on it and exports a model that knows it", async () => {
  const path = join(await temporaryFolder(), 'drawings.onnx')
  const args = ['--import', loader, 'examples/own-data.ts', path]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root })
  const [, accuracy] = /knows disc, ring, square, cross: ([\d.]+) % of new ones\n$/.exec(stdout)!
  expect(Number(accuracy)).toBeGreaterThan(85)

  const bytes = await readBytes(path)
  const classes = readOnnx(bytes, path).classes!
  const predictor = await filePredictor(await nodeRuntime('cpu'), bytes, [1, 16, 16])
  // Drawn by hand: a filled square of 8 × 8, and a plus sign.
  const square = (x: number, y: number) => Math.max(Math.abs(x - 7.5), Math.abs(y - 7.5)) < 4
  const cross = (x: number, y: number) => {
    const [dx, dy] = [Math.abs(x - 7.5), Math.abs(y - 7.5)]
    return Math.max(dx, dy) < 5 && Math.min(dx, dy) < 1
  }
  const shapes = [square, cross]
  const input = Float32Array.from({ length: 2 * 256 }, (_, i) =>
    shapes[i >> 8]!(i % 16, (i >> 4) % 16) ? 0.85 : 0.15,
  )
  const logits = await predictor.predict({ input, count: 2 })
  await predictor.close()
  expect([0, 1].map(i => classes[argmaxAt(logits, i * 4, 4)])).toEqual(['square', 'cross'])
})
