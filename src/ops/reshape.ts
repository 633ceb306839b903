import { attr } from '../graph/attributes.ts'
import type { DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { example } from '../graph/example.ts'
import { constant } from '../graph/leaf.ts'
import { op } from '../graph/op.ts'
import { nth } from '../graph/present.ts'
import { f32, sample } from '../graph/sample.ts'
import type { Shape } from '../graph/shape.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import {
  type ExpandFn,
  type ReshapeFn,
  type SqueezeFn,
  type TransposeFn,
  typed,
  type UnsqueezeFn,
} from '../graph/typed/signatures.ts'

/** A 0 copies the dim at its place. Copies cancel out of what the -1 is computed from, known or not. */
function copiedDims(target: Shape, x: Shape): Shape {
  const copies = (i: number) => target[i] === 0
  if (target.some((_, i) => copies(i) && i >= x.length))
    throw new UserError(`${shapes.show(target)} copies a dim that ${shapes.show(x)} does not have`)
  const rest = shapes.reshape(
    'reshape',
    x.filter((_, i) => !copies(i)),
    target.filter((_, i) => !copies(i)),
  )
  let next = 0
  return target.map((_, i) => (copies(i) ? nth(x, i) : nth(rest, next++)))
}

const Reshape = op('Reshape', {
  inputs: ['data'],
  outputs: ['reshaped'],
  view: true,
  attrs: {
    shape: attr.dims({
      input: 1,
      dims: {
        read: (target, x, node) =>
          node.number('allowzero') ? shapes.reshape('reshape', x, target) : copiedDims(target, x),
        // 0 copies the dim at the same place, one -1 is computed.
        write: (dims, x) => {
          const copied = dims.map((d, i) => (typeof d === 'number' ? d : d === x[i] ? 0 : -1))
          return copied.filter(d => d === -1).length <= 1 ? copied : undefined
        },
      },
    }),
  },
  infer: ([x], { shape }) => [{ dtype: x.dtype, shape: shapes.reshape('reshape', x.shape, shape) }],
  // d reshape(x) = reshape back
  vjp: ({ x: [x], dy }) => [reshape(dy, x.shape)],
  samples: [sample(f32(2, 3, 4), { shape: [6, 4] }), sample(f32(2, 3, 4), { shape: [12, 2] })],
})

/** The same elements in row-major order under another shape; one dim may be -1. */
export const reshape: ReshapeFn = typed(
  (x: AnyTensor, shape: Shape): AnyTensor => {
    const target = shapes.reshape('reshape', x.shape, shape)
    return shapes.equalShape(x.shape, target) ? x : Reshape.apply([x], { shape: target })
  },
  t => [t(2, 3), [3, 2]],
)

/** Removes dims of size 1. */
export const squeeze: SqueezeFn = typed(
  (x: AnyTensor, axes: number | readonly number[]): AnyTensor =>
    reshape(x, shapes.squeeze('squeeze', x.shape, [axes].flat())),
  t => [t(2, 1), 1],
)

/** Puts dims of size 1 in; `axes` are positions of the result. */
export const unsqueeze: UnsqueezeFn = typed(
  (x: AnyTensor, axes: number | readonly number[]): AnyTensor =>
    reshape(x, shapes.unsqueeze('unsqueeze', x.shape, [axes].flat())),
  t => [t(2), 1],
)

const Transpose = op('Transpose', {
  inputs: ['data'],
  outputs: ['transposed'],
  attrs: {
    perm: attr.ints({ default: ({ inputs: [x] }) => [...(x?.shape ?? []).keys()].reverse() }),
  },
  infer: ([x], { perm }) => [{ dtype: x.dtype, shape: shapes.transpose('transpose', x.shape, perm) }],
  along: (axis, _, { perm }) => [nth(perm, axis)],
  // d transpose(x, p) = transpose(dy, p⁻¹)
  vjp: ({ dy, attrs: { perm } }) => [
    transpose(
      dy,
      perm.map((_, i) => perm.indexOf(i)),
    ),
  ],
  samples: [sample(f32(2, 3, 4, 5), { perm: [2, 0, 3, 1] })],
})

/** Axes in another order: dim i of the result is dim `perm[i]` of `x`. */
export const transpose: TransposeFn = typed(
  (x: AnyTensor, perm: readonly number[]): AnyTensor =>
    perm.length === x.shape.length && perm.every((p, i) => p === i) ? x : Transpose.apply([x], { perm }),
  t => [t(2, 3), [1, 0]],
)

/** Swaps the last two axes. */
export const transposeLast = (x: AnyTensor): AnyTensor => {
  const perm = [...x.shape.keys()]
  const n = perm.length
  ;[perm[n - 2], perm[n - 1]] = [n - 1, n - 2]
  return transpose(x, perm)
}
example(transposeLast, t => [t(2, 3)])

const Expand = op('Expand', {
  inputs: ['input'],
  outputs: ['output'],
  attrs: {
    shape: attr.dims({
      input: 1,
      dims: {
        read: (target, x) => shapes.broadcast('expand', x, target),
        // A 1 keeps the dim that the input has already.
        write: (dims, x) => {
          if (dims.includes(shapes.UNKNOWN)) return undefined
          const kept = dims.map((d, i) => (d === x[i - dims.length + x.length] ? 1 : d))
          return kept.every(d => typeof d === 'number') ? kept : undefined
        },
      },
    }),
  },
  infer: ([x], { shape }) => [{ dtype: x.dtype, shape: shapes.expand('expand', x.shape, shape) }],
  // d expand(x) = the sum over the repeats, which the engine takes
  vjp: ({ dy }) => [dy],
  samples: [sample(f32(3, 1), { shape: [4, 3, 5] })],
})

/** Repeats dims of size 1 (and missing leading ones) up to `shape`. */
export const expand: ExpandFn = typed(
  (x: AnyTensor, shape: Shape): AnyTensor =>
    shapes.equalShape(x.shape, shape) ? x : Expand.apply([x], { shape }),
  t => [t(1, 3), [4, 3]],
)

/** A tensor filled with `value`, of a shape that may hold symbols. */
export const fill = (value: number, dtype: DType, shape: Shape): AnyTensor => {
  const known = shape.every((d): d is number => typeof d === 'number' && d >= 0)
  return known ? constant(value, dtype, shape) : expand(constant(value, dtype, []), shape)
}
example(fill, t => [1, t().dtype, [2, 3]])

/** Primitives that passes look for. `ops` has functions alone: `export *` leaves this out. */
export default { Expand, Reshape, Transpose }
