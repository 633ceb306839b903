import type { NdArray } from '../../graph/array.ts'
import { nth } from '../../graph/present.ts'
import { argmaxAt } from '../../train/scores.ts'

/** Outputs of a model by name. */
type Outputs = Readonly<Record<string, NdArray>>

/** How far a form of a model is from the model. */
export interface Deviation {
  /** Squared error of its outputs, as a fraction of the variance of the model's. */
  readonly error: number
  /** Share of the rows of `logits` whose largest value is at the same place; 1 for a model without. */
  readonly agreement: number
}

const isReal = ({ data }: NdArray): boolean => data instanceof Float32Array

/** Compares outputs for the same inputs, in the same batches. */
export function deviationOf(expected: readonly Outputs[], got: readonly Outputs[]): Deviation {
  const names = Object.keys(expected[0] ?? {}).filter(name => isReal(nth(expected, 0)[name] as NdArray))
  const parts = names.map(name =>
    partOf(
      expected.map(outputs => outputs[name] as NdArray),
      got.map(outputs => outputs[name] as NdArray),
    ),
  )
  const error = parts.reduce((sum, part) => sum + part, 0) / Math.max(parts.length, 1)
  return { error, agreement: agreementOf(expected, got) }
}

/** Variance, as a fraction of the mean square, below which it is rounding. */
const LEAST_SPREAD = 1e-9

/** Squared error of one output over the variance of the expected one. */
function partOf(expected: readonly NdArray[], got: readonly NdArray[]): number {
  let [n, sum, squares, wrong] = [0, 0, 0, 0]
  for (const [i, { data }] of expected.entries()) {
    const other = nth(got, i).data
    for (let k = 0; k < data.length; k++) {
      const y = Number(data[k])
      n++
      sum += y
      squares += y * y
      wrong += (y - Number(other[k])) ** 2
    }
  }
  const variance = squares - sum ** 2 / Math.max(n, 1)
  // Outputs that are all the same have no variance to compare with, only a size.
  const spread = variance > LEAST_SPREAD * squares ? variance : squares
  // What is not a number is as far off as can be.
  const error = wrong / Math.max(spread, Number.MIN_VALUE)
  return wrong === 0 ? 0 : Number.isNaN(error) ? Number.POSITIVE_INFINITY : error
}

function agreementOf(expected: readonly Outputs[], got: readonly Outputs[]): number {
  let [rows, same] = [0, 0]
  for (const [i, { logits }] of expected.entries()) {
    const other = got[i]?.logits
    if (!logits || !other) return 1
    const size = nth(logits.dims, -1)
    for (let at = 0; at < logits.data.length; at += size) {
      rows++
      if (argmaxAt(floats(logits), at, size) === argmaxAt(floats(other), at, size)) same++
    }
  }
  return rows ? same / rows : 1
}

const floats = ({ data }: NdArray): ArrayLike<number> => data as Float32Array
