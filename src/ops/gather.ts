import { ShapeError } from '../graph/errors.ts'
import { none, op, sameDType, type TensorType } from '../graph/node.ts'
import { f32, i64, sample } from '../graph/sample.ts'
import type { Dim, Shape } from '../graph/shape.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { type ArgReduceFn, type GatherFn, typed } from '../graph/typed/signatures.ts'
import { fill } from './fill.ts'
import { expand, reshape, slice } from './layout.ts'

const wantIndices = (name: string, t: TensorType): void => {
  if (t.dtype !== 'int32' && t.dtype !== 'int64')
    throw new ShapeError(`${name}: indices must be int32 or int64, not ${t.dtype}`)
}

const Gather = op('Gather', {
  attrs: { axis: { kind: 'int' } },
  infer: ([x, indices], { axis }: { axis: number }) => {
    wantIndices('gather', indices!)
    return [{ dtype: x!.dtype, shape: shapes.gather('gather', x!.shape, indices!.shape, axis) }]
  },
  // d gather(x, i) = dy added into zeros at i
  vjp: ({ x: [x, indices], dy, attrs: { axis } }) => [scatterAdd(x!.shape, indices!, dy, axis), null],
  samples: [sample(f32(9, 6), i64(9, 4, 3), { axis: 0 }), sample(f32(3, 9), i64(9, 4), { axis: 1 })],
})
/** Slices of `x` along `axis` at `indices` (an embedding, for axis 0). */
export const gather: GatherFn = typed(
  (x: AnyTensor, indices: AnyTensor, axis = 0): AnyTensor =>
    Gather.apply([x, indices], { axis: shapes.axisOf('gather', axis, x.shape.length) }),
)

const GatherElements = op('GatherElements', {
  attrs: { axis: { kind: 'int' } },
  infer: ([x, indices], { axis }: { axis: number }) => {
    wantIndices('gatherElements', indices!)
    wantElements('gatherElements', x!.shape, indices!.shape, axis)
    return [{ dtype: x!.dtype, shape: indices!.shape }]
  },
  // d gather(x, i) = dy added into zeros at i
  vjp: ({ x: [x, indices], dy, attrs: { axis } }) => [
    ScatterElements.apply([fill(0, dy.dtype, x!.shape), indices!, dy], { axis, reduction: 'add' }),
    null,
  ],
  samples: [sample(f32(4, 9), i64(9, 4, 6), { axis: 1 }), sample(f32(5, 4, 3), i64(5, 7, 2, 3), { axis: 0 })],
})
/** `y[i, j, k] = x[i, indices[i, j, k], k]` for axis 1 of three, as torch.gather. @param indices int32 or int64 */
export const gatherElements = (x: AnyTensor, indices: AnyTensor, axis: number): AnyTensor =>
  GatherElements.apply([x, indices], { axis: shapes.axisOf('gatherElements', axis, x.shape.length) })

// Not ScatterND, which onnxruntime runs on several threads without a lock: repeated indices lose updates.
const ScatterElements = op('ScatterElements', {
  since: 16,
  attrs: { axis: { kind: 'int' }, reduction: { kind: 'string' } },
  infer: ([data, indices, updates], { axis }: { axis: number; reduction: 'add' }) => {
    wantIndices('scatterElements', indices!)
    wantElements('scatterElements', data!.shape, indices!.shape, axis)
    shapes.expand('scatterElements', updates!.shape, indices!.shape)
    return [{ dtype: sameDType('scatterElements', [data!, updates!]), shape: data!.shape }]
  },
  // y = data with updates added at i: d data = dy, d updates = dy gathered at i
  vjp: ({ x: [, indices], dy, attrs: { axis } }) => [dy, null, gatherElements(dy, indices!, axis)],
  samples: [
    sample(f32(5, 3), i64(5, 9, 3), f32(9, 3), { axis: 0, reduction: 'add' }),
    sample(f32(2, 4), i64(4, 2, 3), f32(2, 3), { axis: 1, reduction: 'add' }),
  ],
})

/** Throws unless `indices` has the dims of `x` on all axes but one, or fewer. */
function wantElements(name: string, x: Shape, indices: Shape, axis: number): void {
  const at = shapes.axisOf(name, axis, x.length)
  const fits = (d: Dim, i: number) =>
    i === at || (typeof d === 'number' && typeof x[i] === 'number' ? d <= x[i] : shapes.unify(d, x[i]!))
  if (indices.length !== x.length || !indices.every(fits))
    throw new ShapeError(
      `${name}: indices ${shapes.show(indices)} do not fit ${shapes.show(x)} along axis ${axis}`,
    )
}

/** Zeros of `shape` with `updates` added at `indices` of `axis`; what a gather is transposed to. */
function scatterAdd(shape: Shape, indices: AnyTensor, updates: AnyTensor, axis: number): AnyTensor {
  const count = shapes.product(indices.shape)
  const whole = shape.with(axis, count)
  const along = reshape(
    indices,
    shape.map((_, i) => (i === axis ? count : 1)),
  )
  return ScatterElements.apply(
    [fill(0, updates.dtype, shape), expand(along, whole), reshape(updates, whole)],
    {
      axis,
      reduction: 'add',
    },
  )
}

const ArgMax = op('ArgMax', {
  attrs: { axis: { kind: 'int' }, keepdims: { kind: 'bool' } },
  infer: ([x], { axis, keepdims }: { axis: number; keepdims: boolean }) => [
    { dtype: 'int64', shape: shapes.reduce('argmax', x!.shape, [axis], keepdims) },
  ],
  vjp: none('its output is an index'),
  samples: [sample(f32(3, 5), { axis: 1, keepdims: false })],
})
/** Index (int64) of the largest element along `axis`, the first one at a tie. */
export const argmax: ArgReduceFn<'argmax'> = typed(
  (x: AnyTensor, axis: number, keepdims = false): AnyTensor =>
    ArgMax.apply([x], { axis: shapes.axisOf('argmax', axis, x.shape.length), keepdims }),
)

/** First `n` elements of an axis; with `slice` for the rest. */
export const take = (x: AnyTensor, axis: number, n: number): AnyTensor => slice(x, axis, 0, n)
