import type { UserBatch } from '../data/dataset.ts'
import { copyElements, emptyLike, type NdArray, sizeOfDims } from '../graph/array.ts'
import { UserError } from '../graph/errors.ts'
import { lookup, nth } from '../graph/present.ts'
import { printable } from '../graph/printable.ts'
import { examplesOf, type Ports } from './examples.ts'
import type { Predictor } from './predictor.ts'

/** How many examples a model takes at a time, where its file fixes that. */
export function fixedBatch(inputs: Ports): number | undefined {
  const sizes = Object.values(inputs).map(({ shape }) => shape[0])
  const [size] = sizes
  return typeof size === 'number' && sizes.every(other => other === size) ? size : undefined
}

/** Inputs that take any number of examples, also where a file fixes how many it takes at a time. */
export const openPorts = (ports: Ports): Ports =>
  fixedBatch(ports) === undefined
    ? ports
    : Object.fromEntries(
        Object.entries(ports).map(([name, port]) => [
          name,
          { ...port, shape: ['batch', ...port.shape.slice(1)] },
        ]),
      )

type Arrays = Readonly<Record<string, NdArray>>

/** @internal So many rows from `start` on; where there are fewer, the last one is repeated. */
export function rowsFrom({ data, dims }: NdArray, start: number, size: number): NdArray {
  const count = nth(dims, 0)
  const each = data.length / count
  const rows = emptyLike(data, size * each)
  for (let i = 0; i < size; i++) {
    const row = Math.min(start + i, count - 1)
    copyElements(rows, data.subarray(row * each, (row + 1) * each), i * each)
  }
  return { data: rows, dims: [size, ...dims.slice(1)] }
}

/** The outputs of `count` examples, of those of full batches. @throws UserError for one that has no rows of each example */
function joinRows(name: string, parts: readonly NdArray[], size: number, count: number): NdArray {
  const { data, dims } = nth(parts, 0)
  const [rows = 0, ...inner] = dims
  const each = rows / size
  if (!Number.isInteger(each))
    throw new UserError(
      `output ${printable(name)} has dims [${dims.join()}], which are not rows of ${size} examples; give the model ${size} at a time`,
    )
  const whole = emptyLike(data, count * each * sizeOfDims(inner))
  let at = 0
  for (const part of parts) {
    const rest = part.data.subarray(0, whole.length - at)
    copyElements(whole, rest, at)
    at += rest.length
  }
  return { data: whole, dims: [count * each, ...inner] }
}

/**
 * A model whose file fixes the size of batches, as one that takes any number of examples: they are run in batches of that size, the
 * last of which repeats its last example. Other models are left as they are.
 */
export function anyBatch(predictor: Predictor): Predictor {
  const size = fixedBatch(predictor.inputs)
  if (size === undefined) return predictor
  const inputs = openPorts(predictor.inputs)
  return {
    ...predictor,
    inputs,
    async run(given: UserBatch) {
      const { arrays } = examplesOf('the model', inputs, given, false)
      const count = nth(lookup(arrays, nth(Object.keys(inputs), 0)).dims, 0)
      if (count === size) return predictor.run(arrays)
      const parts: Arrays[] = []
      for (let start = 0; start < count; start += size)
        parts.push(
          await predictor.run(
            Object.fromEntries(Object.entries(arrays).map(([name, a]) => [name, rowsFrom(a, start, size)])),
          ),
        )
      return Object.fromEntries(
        predictor.outputs.map(name => [
          name,
          joinRows(
            name,
            parts.map(part => lookup(part, name)),
            size,
            count,
          ),
        ]),
      )
    },
  }
}
