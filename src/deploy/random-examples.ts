import type { ArrayDataset } from '../data/dataset.ts'
import { emptyArray, type NdArray } from '../graph/array.ts'
import { UserError } from '../graph/errors.ts'
import { rng } from '../graph/random.ts'
import { show } from '../graph/shape.ts'
import type { Ports } from '../train/examples.ts'

const ROWS = 256
/** Numbers of the largest array that is made up. */
const MOST = 2 ** 26

/**
 * Random examples for a model of any inputs: which they are does not matter where runtimes are compared. Integers are 0 or 1, which
 * most models take as indices.
 * @throws UserError for an input with another unknown size than that of the batch
 */
export function randomExamples(path: string, ports: Ports): ArrayDataset {
  const random = rng(0)
  const fixed = Object.values(ports).every(({ shape }) => typeof shape[0] === 'number')
    ? Object.values(ports)[0]?.shape[0]
    : undefined
  const arrays: Record<string, NdArray> = {}
  const inner = Object.entries(ports).map(([name, { dtype, shape }]) => {
    const dims = shape.slice(1).map(d => (typeof d === 'number' && d > 0 ? d : 0))
    if (dims.includes(0) || !shape.length)
      throw new UserError(
        `${path}: input ${name} has the shape ${show(shape)}; random examples can be made only if all sizes but that of the batch are known`,
      )
    return { name, dtype, dims, each: dims.reduce((a, b) => a * b, 1) }
  })
  const largest = Math.max(1, ...inner.map(({ each }) => each))
  const wanted = Math.max(2, Math.min(ROWS, Math.floor(MOST / largest)))
  const size = typeof fixed === 'number' ? fixed * Math.max(1, Math.floor(wanted / fixed)) : wanted
  for (const { name, dtype, dims, each } of inner) {
    // Half precision is given as float32.
    const data = emptyArray(dtype === 'float16' ? 'float32' : dtype, size * each)
    const float = data instanceof Float32Array || data instanceof Float64Array
    for (let i = 0; i < data.length; i++)
      if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = BigInt(random.int(2))
      else data[i] = float ? 2 * random.uniform() - 1 : random.int(2)
    arrays[name] = { data, dims: [size, ...dims] }
  }
  return { name: 'random inputs', size, arrays }
}
