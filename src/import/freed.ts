import { allFactors, type Dim, product } from '../graph/dim.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { expand } from '../ops/layout.ts'
import type { Element, Known, Value } from './value.ts'

/** The symbol of the first dim of examples. */
export const BATCH = 'batch'

const hasBatch = (dims: readonly Dim[]): boolean =>
  dims.some(d => d !== -1 && allFactors([d]).symbols.includes(BATCH))

/** A value that was made for a batch of one, for any batch: repeated along an axis. */
function repeated(value: Value, axis: number, wanted: Dim): Value {
  const t: AnyTensor = value.tensor()
  if (t.shape[axis] === wanted || t.shape[axis] !== 1) return value
  const made = expand(t, t.shape.with(axis, wanted))
  return { tensor: () => made }
}

/** A shape that was computed for a batch of one, `[1, n]`, for the batch of `x`. */
function freedShape(x: AnyTensor, shape: Known): Known {
  const [first, ...rest] = shape.values
  const named = shape.values.some(v => typeof v === 'string' && hasBatch([v]))
  if (!hasBatch(x.shape) || named || typeof first !== 'number' || first < 1) return shape
  const freed: Element = product([BATCH, first])
  return { ...shape, values: [freed, ...rest] }
}

type Inputs = readonly (Value | undefined)[]

/** The axis of the batch in the states of a recurrent operator, by their places among the inputs. */
const STATES: Readonly<Record<string, readonly number[]>> = { LSTM: [5, 6], GRU: [5], RNN: [5] }

/**
 * Inputs of a node of a file whose batch was fixed to 1, where that size was written into them: shapes of Reshape, tokens that are
 * concatenated, first states of recurrent operators.
 */
export function freed(type: string, inputs: Inputs): Inputs {
  const [x, shape] = inputs
  if (type === 'Reshape' && x && shape?.known) {
    const known = freedShape(x.tensor(), shape.known)
    return [x, { ...shape, known }]
  }
  if (type === 'Concat') {
    const values = inputs.filter(v => v && !v.known)
    const batch = values.map(v => v?.tensor().shape[0]).find(d => typeof d === 'string' && hasBatch([d]))
    return batch === undefined ? inputs : inputs.map(v => v && repeated(v, 0, batch))
  }
  const states = Object.hasOwn(STATES, type) ? STATES[type] : undefined
  if (states && x) {
    const batch: Dim = x.tensor().shape[1]
    return inputs.map((v, i) => (v && states.includes(i) ? repeated(v, 1, batch) : v))
  }
  return inputs
}
