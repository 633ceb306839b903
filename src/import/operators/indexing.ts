import { UserError } from '../../graph/errors.ts'
import { saturated } from '../../graph/int64.ts'
import { constant } from '../../graph/leaf.ts'
import { nth } from '../../graph/present.ts'
import { axisOf, type Dim, product, type Shape, show, UNKNOWN } from '../../graph/shape.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import { nonZero, range } from '../../ops/dynamic.ts'
import { add, cast, equal, greater, less, sub, where } from '../../ops/elementwise.ts'
import gathering, { gather } from '../../ops/gather.ts'
import { scatterND } from '../../ops/gather-nd.ts'
import { expand, reshape, select } from '../../ops/layout.ts'
import { tril, triu } from '../../ops/scan.ts'
import top from '../../ops/top-k.ts'
import '../../ops/eye.ts'
import '../../ops/reverse-sequence.ts'
import type { NodeReader } from '../node-reader.ts'
import type { Operators } from '../operator.ts'
import { positions } from '../positions.ts'
import { combined, isNumber } from '../sizes.ts'
import { unsupported } from '../unsupported.ts'
import { onlyElement, type Value } from '../value.ts'

/** A dim of known size. */
function counted(what: string, dim: Dim): number {
  if (typeof dim !== 'number' || dim === UNKNOWN) return unsupported(`${what} ${dim} is not a known size`)
  if (Number.isSafeInteger(dim) && dim >= 0) return dim
  throw new UserError(`${what} ${dim} is not a size; it must be a whole number of at least 0`)
}

/** `n` dims of 1, but for `size` at `axis`. */
const along = (n: number, axis: number, size: Dim): Shape => new Array<Dim>(n).fill(1).with(axis, size)

const scalar = (value: Value): AnyTensor => reshape(value.tensor(), [])

/** How many elements a range has. */
function sizeOfRange(...values: readonly Value[]): Dim {
  const [start, limit, delta] = values.map(onlyElement)
  if (isNumber(start) && isNumber(limit) && isNumber(delta) && Number(delta))
    return Math.max(0, Math.ceil((Number(limit) - Number(start)) / Number(delta)))
  const size = delta === 1 ? combined('Sub', 'int64', limit, start) : undefined
  return typeof size === 'string' ? size : UNKNOWN
}

/** Elements of `x` on the diagonals that a number names which only the run time knows. */
function triangle(x: AnyTensor, upper: boolean, k: AnyTensor): AnyTensor {
  if (x.shape.length < 2) throw new UserError(`takes matrices, not ${show(x.shape)}`)
  const [rows, columns] = [nth<Dim>(x.shape, -2), nth<Dim>(x.shape, -1)]
  const offset = sub(positions(columns), reshape(positions(rows), [rows, 1]))
  const kept = upper ? greater(offset, sub(k, 1)) : less(offset, add(k, 1))
  return where(kept, x, constant(0, x.dtype, []))
}

/** What onnxruntime has triangles of. */
const TRIANGLES = ['float32', 'float64', 'int64', 'bool']
const NON_ZEROS = ['float32', 'int32', 'int64', 'uint8', 'bool']

function trilu(n: NodeReader): AnyTensor {
  const [given, upper, k] = [n.data(0), n.flag('upper', true), n.input(1)]
  const x: AnyTensor = TRIANGLES.includes(given.dtype) ? given : cast(given, 'int64')
  const value = k ? onlyElement(k) : 0
  if (!isNumber(value)) return cast(triangle(x, upper, scalar(n.value(1))), given.dtype)
  return cast(upper ? triu(x, saturated(value)) : tril(x, saturated(value)), given.dtype)
}

/** Where the elements of a condition are true. */
function trueAt({ known, tensor }: Value): AnyTensor {
  if (!known?.values.every(isNumber)) return reshape(nonZero(tensor()), [UNKNOWN])
  const found = known.values.flatMap((v, i) => (Number(v) ? [i] : []))
  return constant(found, 'int64', [found.length])
}

/** Elements chosen by their places, and places by elements. */
export const INDEXING: Operators = {
  // Before opset 11, when it became ScatterElements.
  Scatter: n => gathering.scatter(n.data(0), n.data(1), n.data(2), n.int('axis', 0)),
  ScatterND: n =>
    scatterND(n.data(0), n.data(1), n.data(2), n.text('reduction', ['none', 'add', 'mul', 'max', 'min'])),
  OneHot(n) {
    const [indices, depth, values] = [n.data(0), n.number('depth', 1) ?? 0, n.data(2)]
    const rank = indices.shape.length + 1
    const axis = axisOf('oneHot', n.int('axis', -1), rank)
    const size = counted('the depth', depth)
    const index = cast(indices, 'int64')
    // A negative index counts from the end.
    const wrapped = where(less(index, 0), add(index, size), index)
    const classes = reshape(positions(size), along(rank, axis, size))
    const hit = equal(reshape(wrapped, indices.shape.toSpliced(axis, 0, 1)), classes)
    return where(hit, select(values, 0, 1), select(values, 0, 0))
  },
  NonZero(n) {
    const x = n.data(0)
    return nonZero(NON_ZEROS.includes(x.dtype) ? x : cast(x, 'bool'))
  },
  Compress(n) {
    const [x, axis] = [n.data(0), n.attribute('axis', 'int')]
    const from = axis === undefined ? reshape(x, [product(x.shape)]) : x
    return gather(from, trueAt(n.value(1)), axis ?? 0)
  },
  TopK(n) {
    const x = n.data(0)
    // An attribute, before opset 10.
    const k = n.has('k') ? n.attribute('k', 'int') : n.ints('k', 1)?.[0]
    if (k === undefined) throw new UserError('k is missing')
    return top.TopK.applyAll([x], {
      k: [k],
      axis: n.int('axis', -1),
      largest: n.flag('largest', true),
      sorted: n.flag('sorted', true),
    })
  },
  Range(n) {
    const [start, limit, delta] = [n.value(0), n.value(1), n.value(2)]
    return range(scalar(start), scalar(limit), scalar(delta), sizeOfRange(start, limit, delta))
  },
  Trilu: trilu,
  TensorScatter(n) {
    const [past, update, given] = [n.data(0), n.data(1), n.optional(2)]
    const rank = past.shape.length
    const axis = axisOf('tensorScatter', n.int('axis', -2), rank)
    const circular = n.text('mode', ['linear', 'circular']) === 'circular'
    const size = counted('an update of dim', update.shape[axis])
    const steps = reshape(positions(size), along(rank, axis, size))
    const first = given && reshape(given, along(rank, 0, past.shape[0]))
    const place = first ? add(steps, first) : steps
    const room = counted('a cache of dim', past.shape[axis])
    const index = circular ? where(less(place, room), place, sub(place, room)) : place
    return gathering.scatter(past, expand(index, update.shape), update, axis)
  },
}
