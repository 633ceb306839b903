import { attr, type TensorType } from '../graph/attributes.ts'
import type { DType } from '../graph/dtype.ts'
import { ShapeError, UserError } from '../graph/errors.ts'
import { example } from '../graph/example.ts'
import { constant } from '../graph/leaf.ts'
import { noGradient, op, sameDType } from '../graph/op.ts'
import { nth } from '../graph/present.ts'
import { f32, i64, sample } from '../graph/sample.ts'
import type { Dim, Shape } from '../graph/shape.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import {
  type ArgReduceFn,
  type GatherElementsFn,
  type GatherFn,
  type OneHotFn,
  typed,
} from '../graph/typed/signatures.ts'
import { add, cast, div, equal, less, mul, sub } from './elementwise.ts'
import { arange } from './fill.ts'
import { expand, fill, reshape } from './layout.ts'

/** Indices for examples. */
const zeros = (...shape: number[]): AnyTensor => constant(0, 'int64', shape)

const wantIndices = (name: string, t: TensorType): void => {
  if (t.dtype !== 'int32' && t.dtype !== 'int64')
    throw new ShapeError(`${name}: indices must be int32 or int64, not ${t.dtype}`)
}

const axis = attr.int({ default: 0 })

const Gather = op('Gather', {
  inputs: ['data', 'indices'],
  outputs: ['output'],
  attrs: { axis },
  infer: ([x, indices], { axis }) => {
    wantIndices('gather', indices)
    return [{ dtype: x.dtype, shape: shapes.gather('gather', x.shape, indices.shape, axis) }]
  },
  // d gather(x, i) = dy added into zeros at i
  vjp: ({ x: [x, indices], dy, attrs: { axis } }) => [
    scatterSlices(x.shape, indices, dy, shapes.axisOf('gather', axis, x.shape.length)),
    null,
  ],
  samples: [sample(f32(9, 6), i64(9, 4, 3), { axis: 0 }), sample(f32(3, 9), i64(9, 4), { axis: 1 })],
})
/** Slices of `x` along `axis` at `indices` (an embedding, for axis 0). */
export const gather: GatherFn = typed(
  (x: AnyTensor, indices: AnyTensor, axis = 0): AnyTensor =>
    Gather.apply([x, indices], { axis: shapes.axisOf('gather', axis, x.shape.length) }),
  t => [t(5, 2), zeros(3)],
)

const GatherElements = op('GatherElements', {
  inputs: ['data', 'indices'],
  outputs: ['output'],
  attrs: { axis },
  infer: ([x, indices], { axis }) => {
    wantIndices('gatherElements', indices)
    wantElements('gatherElements', x.shape, indices.shape, axis)
    return [{ dtype: x.dtype, shape: indices.shape }]
  },
  // d gather(x, i) = dy added into zeros at i
  vjp: ({ x: [x, indices], dy, attrs: { axis } }) => [scatterAdd(x.shape, indices, dy, axis), null],
  samples: [sample(f32(4, 9), i64(9, 4, 6), { axis: 1 }), sample(f32(5, 4, 3), i64(5, 7, 2, 3), { axis: 0 })],
})
/** `y[i, j, k] = x[i, indices[i, j, k], k]` for axis 1 of three, as torch.gather. @param indices int32 or int64 */
export const gatherElements: GatherElementsFn = typed(
  (x: AnyTensor, indices: AnyTensor, axis: number) =>
    GatherElements.apply([x, indices], { axis: shapes.axisOf('gatherElements', axis, x.shape.length) }),
  t => [t(5, 2), zeros(3, 2), 0],
)

/** How an update meets the element that is there. */
type Reduction = 'none' | 'add' | 'mul' | 'max' | 'min'

// Not ScatterND, which onnxruntime runs on several threads without a lock: repeated indices lose updates.
const ScatterElements = op('ScatterElements', {
  since: 16,
  inputs: ['data', 'indices', 'updates'],
  outputs: ['output'],
  attrs: {
    axis,
    reduction: attr.string<Reduction>({
      of: ['none', 'add', 'mul', 'max', 'min'],
      default: 'none',
      written: (reduction, opset) => {
        if (opset < 18 && (reduction === 'max' || reduction === 'min'))
          throw new UserError(`ScatterElements with reduction ${reduction} needs opset 18, not ${opset}`)
        return reduction
      },
    }),
  },
  infer: ([data, indices, updates], { axis }) => {
    wantIndices('scatterElements', indices)
    wantElements('scatterElements', data.shape, indices.shape, axis)
    shapes.expand('scatterElements', updates.shape, indices.shape)
    return [{ dtype: sameDType('scatterElements', [data, updates]), shape: data.shape }]
  },
  vjp: ({ x: [data, indices, updates], y: [y], dy, attrs: { axis, reduction } }) => {
    const at = (t: AnyTensor) => gatherElements(t, indices, axis)
    // y = data with updates added at i: d data = dy, d updates = dy gathered at i
    if (reduction === 'add') return [dy, null, at(dy)]
    // y = data with the elements at i replaced: d data = dy with zeros at i, d updates = dy gathered at i
    if (reduction === 'none')
      return [scatter(dy, indices, fill(0, dy.dtype, indices.shape), axis), null, at(dy)]
    if (reduction === 'mul') {
      // y = data Π updates at i: d data = dy Π updates, d updates = (dy data Π other updates) gathered at i. The product of
      // the others is that of all which are not 0, divided by the own one, unless another is 0.
      const isZero = cast(equal(updates, 0), dy.dtype)
      const own = add(updates, isZero)
      const product = scatter(fill(1, dy.dtype, data.shape), indices, own, axis, 'mul')
      const zeros = scatterAdd(data.shape, indices, isZero, axis)
      const none = (count: AnyTensor) => cast(equal(count, 0), dy.dtype)
      const others = div(at(mul(mul(dy, data), product)), own)
      return [mul(dy, mul(product, none(zeros))), null, mul(others, none(sub(at(zeros), isZero)))]
    }
    // y = an extreme of data and updates: all that attain it share dy evenly
    const hits = cast(equal(data, y), dy.dtype)
    const found = cast(equal(updates, at(y)), dy.dtype)
    const share = div(dy, add(hits, scatterAdd(data.shape, indices, found, axis)))
    return [mul(hits, share), null, mul(found, at(share))]
  },
  samples: [
    sample(f32(5, 3), i64(5, 9, 3), f32(9, 3), { axis: 0, reduction: 'add' }),
    sample(f32(2, 4), i64(4, 2, 3), f32(2, 3), { axis: 1, reduction: 'add' }),
    sample(f32(2, 4), i64(4, 2, 1), f32(2, 1), { axis: 1, reduction: 'none' }),
    sample(f32(5, 3), i64(5, 9, 3), f32(9, 3), { axis: 0, reduction: 'mul' }),
  ],
})

/** `data` with each element of `updates` at its index along `axis`; without a reduction an index must not come twice. */
const scatter = (
  data: AnyTensor,
  indices: AnyTensor,
  updates: AnyTensor,
  axis: number,
  reduction: Reduction = 'none',
): AnyTensor => ScatterElements.apply([data, indices, updates], { axis, reduction })

/** Throws unless `indices` has the dims of `x` on all axes but one, or fewer. */
function wantElements(name: string, x: Shape, indices: Shape, axis: number): void {
  const place = shapes.axisOf(name, axis, x.length)
  const fits = (d: Dim, i: number) =>
    i === place ||
    (typeof d === 'number' && typeof x[i] === 'number' ? d <= x[i] : shapes.unify(d, nth(x, i)))
  if (indices.length !== x.length || !indices.every(fits))
    throw new ShapeError(
      `${name}: indices ${shapes.show(indices)} do not fit ${shapes.show(x)} along axis ${axis}`,
    )
}

/** Zeros of `shape` with each element of `updates` added at its index along `axis`; what {@link gatherElements} is transposed to. */
export const scatterAdd = (shape: Shape, indices: AnyTensor, updates: AnyTensor, axis: number): AnyTensor =>
  scatter(fill(0, updates.dtype, shape), indices, updates, axis, 'add')
example(scatterAdd, t => [[5, 2], zeros(3, 2), t(3, 2), 0])

/** Zeros of `shape` with the slices of `updates` added at `indices` of `axis`; what {@link gather} is transposed to. */
function scatterSlices(shape: Shape, indices: AnyTensor, updates: AnyTensor, axis: number): AnyTensor {
  const count = shapes.product(indices.shape)
  const whole = shape.with(axis, count)
  const along = reshape(
    indices,
    shape.map((_, i) => (i === axis ? count : 1)),
  )
  const slices = reshape(updates, whole)
  // Where only the run time knows how many there are, the updates themselves say it.
  const everywhere =
    count === shapes.UNKNOWN ? add(along, cast(less(slices, slices), indices.dtype)) : expand(along, whole)
  return scatterAdd(shape, everywhere, slices, axis)
}

const ArgMax = op('ArgMax', {
  inputs: ['data'],
  outputs: ['reduced'],
  attrs: { axis, keepdims: attr.bool({ default: true }) },
  neutral: { select_last_index: 0 },
  infer: ([x], { axis, keepdims }) => [
    { dtype: 'int64', shape: shapes.reduce('argmax', x.shape, [axis], keepdims) },
  ],
  vjp: noGradient('its output is an index'),
  samples: [sample(f32(3, 5), { axis: 1, keepdims: false })],
})
/** Index (int64) of the largest element along `axis`, the first one at a tie. */
export const argmax: ArgReduceFn<'argmax'> = typed(
  (x: AnyTensor, axis: number, keepdims = false): AnyTensor =>
    ArgMax.apply([x], { axis: shapes.axisOf('argmax', axis, x.shape.length), keepdims }),
  t => [t(2, 3), 1],
)

/** `classes` numbers for each index, 1 at it and 0 elsewhere: `[...]` → `[..., classes]`; an index outside the classes gives zeros. */
export const oneHot: OneHotFn = typed(
  (labels: AnyTensor, classes: number, dtype: DType = 'float32'): AnyTensor => {
    wantIndices('oneHot', labels)
    if (!Number.isInteger(classes) || classes < 0)
      throw new ShapeError(
        `oneHot: the number of classes must be a whole number of at least 1, not ${classes}`,
      )
    return cast(equal(reshape(labels, [...labels.shape, 1]), arange(classes, labels.dtype)), dtype)
  },
  t => [t(2), 3],
)

/** For files. `ops` has functions alone: `export *` leaves this out. */
export default { scatter }
