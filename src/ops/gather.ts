import { attr, type TensorType } from '../graph/attributes.ts'
import type { DType } from '../graph/dtype.ts'
import { ShapeError } from '../graph/errors.ts'
import { example } from '../graph/example.ts'
import { constant } from '../graph/leaf.ts'
import { noGradient, op, sameDType } from '../graph/op.ts'
import { nth } from '../graph/present.ts'
import { f32, i64, sample } from '../graph/sample.ts'
import type { Dim, Shape } from '../graph/shape.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import type { Slice } from '../graph/typed/pieces.ts'
import type { Arg, Out } from '../graph/typed/shapes.ts'
import {
  type ArgReduceFn,
  type GatherElementsFn,
  type GatherFn,
  type OneHotFn,
  typed,
} from '../graph/typed/signatures.ts'
import { cast, equal } from './elementwise.ts'
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
  vjp: ({ x: [x, indices], dy, attrs: { axis } }) => [scatterSlices(x.shape, indices, dy, axis), null],
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

// Not ScatterND, which onnxruntime runs on several threads without a lock: repeated indices lose updates.
const ScatterElements = op('ScatterElements', {
  since: 16,
  inputs: ['data', 'indices', 'updates'],
  outputs: ['output'],
  attrs: { axis, reduction: attr.string<'add' | 'none'>({ of: ['add'], default: 'none' }) },
  infer: ([data, indices, updates], { axis }) => {
    wantIndices('scatterElements', indices)
    wantElements('scatterElements', data.shape, indices.shape, axis)
    shapes.expand('scatterElements', updates.shape, indices.shape)
    return [{ dtype: sameDType('scatterElements', [data, updates]), shape: data.shape }]
  },
  // y = data with updates added at i: d data = dy, d updates = dy gathered at i
  vjp: ({ x: [, indices], dy, attrs: { axis } }) => [dy, null, gatherElements(dy, indices, axis)],
  samples: [
    sample(f32(5, 3), i64(5, 9, 3), f32(9, 3), { axis: 0, reduction: 'add' }),
    sample(f32(2, 4), i64(4, 2, 3), f32(2, 3), { axis: 1, reduction: 'add' }),
  ],
})

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
  ScatterElements.apply([fill(0, updates.dtype, shape), indices, updates], { axis, reduction: 'add' })
example(scatterAdd, t => [[5, 2], zeros(3, 2), t(3, 2), 0])

/** Zeros of `shape` with the slices of `updates` added at `indices` of `axis`; what {@link gather} is transposed to. */
function scatterSlices(shape: Shape, indices: AnyTensor, updates: AnyTensor, axis: number): AnyTensor {
  const count = shapes.product(indices.shape)
  const whole = shape.with(axis, count)
  const along = reshape(
    indices,
    shape.map((_, i) => (i === axis ? count : 1)),
  )
  return scatterAdd(shape, expand(along, whole), reshape(updates, whole), axis)
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

/** Values and indices; as many of an axis as a slice of its first `k` has. */
type TopKFn = <D extends DType, S extends Shape, K extends number, A extends number = -1>(
  x: Tensor<D, S>,
  k: K,
  axis?: Arg<Slice<'topK', S, A, 0, K, 1>, A>,
) => readonly [
  values: Tensor<D, Out<Slice<'topK', S, A, 0, K, 1>>>,
  indices: Tensor<'int64', Out<Slice<'topK', S, A, 0, K, 1>>>,
]

const TopK = op('TopK', {
  inputs: ['X'],
  outputs: ['Values', 'Indices'],
  attrs: {
    k: attr.ints<readonly [number]>({ input: 1 }),
    axis: attr.int({ default: -1 }),
    largest: attr.bool({ default: true }),
    sorted: attr.bool({ default: true }),
  },
  infer: ([x], { k: [k], axis }) => {
    const place = shapes.axisOf('topK', axis, x.shape.length)
    const dim = nth(x.shape, place)
    if (!Number.isInteger(k) || k < 0 || (typeof dim === 'number' && dim !== shapes.UNKNOWN && k > dim))
      throw new ShapeError(`topK: cannot take the top ${k} of dim ${dim} of ${shapes.show(x.shape)}`)
    const shape = x.shape.with(place, k)
    return [
      { dtype: x.dtype, shape },
      { dtype: 'int64', shape },
    ]
  },
  // values = x gathered at the indices: dx = dy added into zeros there
  vjp: ({ x: [x], y: [, indices], dy, attrs: { axis } }) => [scatterAdd(x.shape, indices, dy, axis)],
  samples: [
    sample(f32(3, 7).distinct(), { k: [3], axis: 1, largest: true, sorted: true }),
    sample(f32(5, 2, 3).distinct(), { k: [2], axis: 0, largest: false, sorted: true }),
  ],
})
/** The `k` largest elements along `axis`, largest first, and their indices (int64), the lower one first at a tie. */
export const topK: TopKFn = typed(
  (x: AnyTensor, k: number, axis = -1): readonly AnyTensor[] =>
    TopK.applyAll([x], {
      k: [k],
      axis: shapes.axisOf('topK', axis, x.shape.length),
      largest: true,
      sorted: true,
    }),
  t => [t(2, 3), 2],
)
