import { ShapeError } from '../graph/errors.ts'
import { constant } from '../graph/leaf.ts'
import { none, op, type TensorType } from '../graph/node.ts'
import { f32, i64, sample } from '../graph/sample.ts'
import type { Shape } from '../graph/shape.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { cast } from './elementwise.ts'
import { fill } from './fill.ts'
import { pad, reshape, slice, transpose } from './layout.ts'

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
export const gather = (x: AnyTensor, indices: AnyTensor, axis = 0): AnyTensor =>
  Gather.apply([x, indices], { axis: shapes.axisOf('gather', axis, x.shape.length) })

const ScatterND = op('ScatterND', {
  since: 16,
  attrs: { reduction: { kind: 'string' } },
  infer: ([data, indices, updates], _: { reduction: 'add' }) => {
    wantIndices('scatterND', indices!)
    const rows = indices!.shape.slice(0, -1)
    if (indices!.shape.at(-1) !== 1)
      throw new ShapeError(`scatterND: indices ${shapes.show(indices!.shape)} must name one axis: [..., 1]`)
    shapes.expand('scatterND', updates!.shape, [...rows, ...data!.shape.slice(1)])
    return [data!]
  },
  // y = data with updates added at i: d data = dy, d updates = dy gathered at i
  vjp: ({ x: [, indices], dy }) => [dy, null, gather(dy, reshape(indices!, indices!.shape.slice(0, -1)))],
  samples: [
    sample(f32(5, 3), i64(5, 4, 1), f32(4, 3), { reduction: 'add' }),
    sample(f32(4), i64(4, 2, 6, 1), f32(2, 6), { reduction: 'add' }),
  ],
})

/** Zeros of `shape` with `updates` added at `indices` of `axis`; what a gather is transposed to. */
function scatterAdd(shape: Shape, indices: AnyTensor, updates: AnyTensor, axis: number): AnyTensor {
  const rest = [...shape.slice(0, axis), ...shape.slice(axis + 1)]
  const count = indices.shape.length
  // The gathered dims go to the front, then become one.
  const order = [...updates.shape.keys()]
  const front = order.splice(axis, count)
  const flat = reshape(transpose(updates, [...front, ...order]), [shapes.product(indices.shape), ...rest])
  const at = reshape(cast(indices, 'int64'), [shapes.product(indices.shape), 1])
  const zeros = fill(0, updates.dtype, [shape[axis]!, ...rest])
  const sum = ScatterND.apply([zeros, at, flat], { reduction: 'add' })
  const back = [...shape.keys()].map(i => (i === axis ? 0 : i < axis ? i + 1 : i))
  return transpose(sum, back)
}

/** `dy` of a slice set into zeros of the sliced tensor's shape. */
export function scatterSlices(
  dy: AnyTensor,
  shape: Shape,
  { axes, starts, ends, steps }: Record<'axes' | 'starts' | 'ends' | 'steps', readonly number[]>,
): AnyTensor {
  let out = dy
  axes.forEach((axis, i) => {
    const n = shape[axis]!
    if (typeof n === 'string' || n === shapes.UNKNOWN)
      throw new ShapeError(
        `slice: no gradient along axis ${axis} of ${shapes.show(shape)}, its size is not known`,
      )
    const step = steps[i] ?? 1
    const { start, length } = shapes.sliceRange(n, starts[i]!, ends[i]!, step)
    const whole = out.shape.with(axis, n)
    if (step === 1) {
      const zero = out.shape.map(() => 0)
      out = pad(out, zero.with(axis, start), zero.with(axis, n - start - length))
    } else {
      const positions = Array.from({ length }, (_, k) => start + k * step)
      out = scatterAdd(whole, constant(positions, 'int64', [length]), out, axis)
    }
  })
  return out
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
export const argmax = (x: AnyTensor, axis: number, keepdims = false): AnyTensor =>
  ArgMax.apply([x], { axis: shapes.axisOf('argmax', axis, x.shape.length), keepdims })

/** First `n` elements of an axis; with `slice` for the rest. */
export const take = (x: AnyTensor, axis: number, n: number): AnyTensor => slice(x, axis, 0, n)
