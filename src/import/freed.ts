import type { NodeProto } from '../export/onnx-proto.ts'
import { sizeOfDims } from '../graph/array.ts'
import { allFactors, type Dim, product, type Shape } from '../graph/dim.ts'
import { UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { expand } from '../ops/layout.ts'
import type { Known, Value } from './value.ts'

/** The symbol of the first dim of examples. */
export const BATCH = 'batch'

const hasBatch = (d: Dim | undefined): d is string =>
  typeof d === 'string' && allFactors([d]).symbols.includes(BATCH)

/** A value that was made for a batch of one, for any batch: repeated along an axis. */
function repeated(value: Value, axis: number, wanted: Dim): Value {
  const t: AnyTensor = value.tensor()
  if (t.shape[axis] === wanted || t.shape[axis] !== 1) return value
  const made = expand(t, t.shape.with(axis, wanted))
  return { tensor: () => made }
}

/** A dim of a batch of one; undefined where it has other symbols. */
function alone(d: Dim): number | undefined {
  const { symbols, literal } = allFactors([d])
  return literal > 0 && symbols.every(s => s === BATCH) ? literal : undefined
}

/** All of a list that has no gaps. */
const complete = (list: readonly (number | undefined)[]): readonly number[] | undefined =>
  list.every(v => v !== undefined) ? list : undefined

/** What a Reshape of a batch of one asks for, without 0 (as it was) and -1 (the rest). */
function asked(own: readonly number[], { values }: Known): readonly number[] | undefined {
  const sizes = values.map((v, i) => (v === 0 ? own[i] : typeof v === 'number' ? v : undefined))
  const others = sizeOfDims(sizes.map(v => (v === undefined || v < 0 ? 1 : v)))
  return complete(sizes.map(v => (v === -1 ? sizeOfDims(own) / others : v)))
}

/**
 * The dim of a reshaped example that the batch multiplies, so that as many elements follow the batch as before. Between two dims,
 * it has the axis of size 1 that is there; else it joins the one behind it, as with heads, but for features at the end.
 * @param after elements of an example that follow the batch, where it is the first and where it is the last factor of its dim
 */
function placeOf(sizes: readonly number[], after: readonly [outer: number, inner: number]): number {
  const following = (i: number): number => sizeOfDims(sizes.slice(i))
  for (const n of after) {
    const own = sizes.findIndex((size, i) => size === 1 && following(i) === n)
    if (own >= 0) return own
  }
  const [n] = after
  const next = sizes.findIndex((_, i) => following(i) === n)
  if (next > 0 && next === sizes.length - 1) return next - 1
  return next >= 0 ? next : sizes.findIndex((_, i) => following(i) > n && following(i + 1) < n)
}

/** A shape that was computed for a batch of one, `[1, n]`, for the batch of `x`. */
function freedShape(x: Shape, shape: Known): Known {
  const axis = x.findIndex(hasBatch)
  if (axis < 0 || shape.values.some(v => typeof v === 'string' && hasBatch(v))) return shape
  const own = complete(x.map(alone))
  const sizes = own && asked(own, shape)
  let place = 0
  if (sizes) {
    const inner = sizeOfDims(own.slice(axis + 1))
    place = Math.max(0, placeOf(sizes, [nth(own, axis) * inner, inner]))
  }
  const size = sizes?.[place] ?? shape.values[0]
  if (typeof size !== 'number' || size < 1) return shape
  return {
    ...shape,
    values: (sizes ?? shape.values).map((v, i) => (i === place ? product([BATCH, size]) : v)),
  }
}

/** A list of sizes, the first of which is the batch's. */
function freedSizes(x: Shape, { known, ...rest }: Value): Value {
  const [batch] = x
  if (!hasBatch(batch) || known?.values.length !== x.length || known.values[0] !== 1)
    return known ? { ...rest, known } : rest
  return { ...rest, known: { ...known, values: known.values.with(0, batch) } }
}

/** Values that are joined: those of one example, such as tokens that are learned, are repeated for each. */
function joined(inputs: Inputs): Inputs {
  const shapes = inputs.flatMap(v => (v && !v.known ? [v.tensor().shape] : []))
  for (const shape of shapes) {
    const axis = shape.findIndex(hasBatch)
    if (axis >= 0) return inputs.map(v => v && repeated(v, axis, nth(shape, axis)))
  }
  return inputs
}

/**
 * Places among examples are those of a batch of one: the same example would be taken for all of a batch.
 * @throws UserError where a node looks values up along the batch
 */
function refusePlaces({ opType, attribute = [] }: NodeProto, x: Shape, places: Shape): void {
  const given = (name: string): number => Number(attribute.find(a => a.name === name)?.i ?? 0)
  const first = opType === 'Gather' ? given('axis') : given('batch_dims')
  const count = opType === 'Gather' ? 1 : Number(places.at(-1) ?? 1)
  const at = first < 0 ? first + x.length : first
  if (x.slice(at, at + count).some(hasBatch))
    throw new UserError(
      'looks values up by the place of the one example; export the file with a dynamic batch',
    )
}

type Inputs = readonly (Value | undefined)[]

/** The axis of the batch in the states of a recurrent operator, by their places among the inputs. */
const STATES: Readonly<Record<string, readonly number[]>> = { LSTM: [5, 6], GRU: [5], RNN: [5] }

/**
 * Inputs of a node of a file whose batch was fixed to 1, where that size was written into them: shapes of Reshape, sizes of
 * Resize, tokens that are concatenated, first states of recurrent operators.
 * @throws UserError where the size cannot be freed
 */
export function freed(proto: NodeProto, inputs: Inputs): Inputs {
  const { opType: type = '' } = proto
  const [x, shape] = inputs
  if ((type === 'Gather' || type === 'GatherND') && x && !x.known && shape)
    refusePlaces(proto, x.tensor().shape, shape.known?.shape ?? shape.tensor().shape)
  if (type === 'Reshape' && x && !x.known && shape?.known) {
    const known = freedShape(x.tensor().shape, shape.known)
    return [x, { ...shape, known }]
  }
  if (type === 'Resize' && x) {
    const own = x.tensor().shape
    return inputs.map((v, i) => (v && i === 3 ? freedSizes(own, v) : v))
  }
  if (type === 'Concat') return joined(inputs)
  const states = Object.hasOwn(STATES, type) ? STATES[type] : undefined
  if (states && x) {
    const batch: Dim = x.tensor().shape[1]
    return inputs.map((v, i) => (v && states.includes(i) ? repeated(v, 1, batch) : v))
  }
  return inputs
}
