import type { DType } from '../graph/dtype.ts'
import { ShapeError } from '../graph/errors.ts'
import { constant } from '../graph/leaf.ts'
import { op, sameDType, type TensorType } from '../graph/node.ts'
import { f32, sample } from '../graph/sample.ts'
import type { Shape } from '../graph/shape.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import {
  type ConcatFn,
  type ExpandFn,
  type PadFn,
  type ReshapeFn,
  type SelectFn,
  type SliceFn,
  type SplitFn,
  type SqueezeFn,
  type TransposeFn,
  typed,
  type UnsqueezeFn,
} from '../graph/typed/signatures.ts'

export const Reshape = op('Reshape', {
  attrs: { shape: { kind: 'dims', input: 1 } },
  infer: ([x], { shape }: { shape: Shape }) => [
    { dtype: x!.dtype, shape: shapes.reshape('reshape', x!.shape, shape) },
  ],
  // d reshape(x) = reshape back
  vjp: ({ x: [x], dy }) => [reshape(dy, x!.shape)],
  samples: [sample(f32(2, 3, 4), { shape: [6, 4] }), sample(f32(2, 3, 4), { shape: [-1, 2] })],
})
/** The same elements in row-major order under another shape; one dim may be -1. */
export const reshape: ReshapeFn = typed((x: AnyTensor, shape: Shape): AnyTensor => {
  const target = shapes.reshape('reshape', x.shape, shape)
  return equalShape(x.shape, target) ? x : Reshape.apply([x], { shape: target })
})

export const equalShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i] && d !== shapes.UNKNOWN)

/** Removes dims of size 1. */
export const squeeze: SqueezeFn = typed(
  (x: AnyTensor, axes: number | readonly number[]): AnyTensor =>
    reshape(x, shapes.squeeze('squeeze', x.shape, [axes].flat())),
)

/** Puts dims of size 1 in; `axes` are positions of the result. */
export const unsqueeze: UnsqueezeFn = typed(
  (x: AnyTensor, axes: number | readonly number[]): AnyTensor =>
    reshape(x, shapes.unsqueeze('unsqueeze', x.shape, [axes].flat())),
)

export const Transpose = op('Transpose', {
  attrs: { perm: { kind: 'ints' } },
  infer: ([x], { perm }: { perm: readonly number[] }) => [
    { dtype: x!.dtype, shape: shapes.transpose('transpose', x!.shape, perm) },
  ],
  along: (axis, _, { perm }) => [perm[axis]!],
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
)

/** Exchanges the last two axes. */
export const transposeLast = (x: AnyTensor): AnyTensor => {
  const perm = [...x.shape.keys()]
  const n = perm.length
  ;[perm[n - 2], perm[n - 1]] = [n - 1, n - 2]
  return transpose(x, perm)
}

export const Concat = op('Concat', {
  attrs: { axis: { kind: 'int' } },
  infer: (inputs, { axis }: { axis: number }) => [
    {
      dtype: sameDType('concat', inputs),
      shape: shapes.concat(
        'concat',
        inputs.map(t => t.shape),
        axis,
      ),
    },
  ],
  // d concat(x₁, x₂, …) = the pieces of dy
  vjp: ({ x, dy, attrs: { axis } }) => {
    const at = shapes.axisOf('concat', axis, dy.shape.length)
    const sizes = x.map(t => t.shape[at])
    return split(dy, axis, sizes as number[])
  },
  samples: [sample(f32(2, 3, 4), f32(2, 1, 4), f32(2, 5, 4), { axis: 1 })],
})
/** Tensors one after the other along `axis`. */
export const concat: ConcatFn = typed((tensors: readonly AnyTensor[], axis: number): AnyTensor => {
  shapes.concat(
    'concat',
    tensors.map(t => t.shape),
    axis,
  )
  return tensors.length === 1 ? tensors[0]! : Concat.apply(tensors, { axis })
})

export const Split = op('Split', {
  attrs: { axis: { kind: 'int' }, sizes: { kind: 'ints', input: 1 } },
  infer: ([x], { axis, sizes }: { axis: number; sizes: readonly number[] }): TensorType[] =>
    shapes.split('split', x!.shape, axis, sizes).map(shape => ({ dtype: x!.dtype, shape })),
  // d split(x) = concat of the gradients, zeros for pieces that nothing reads
  vjp: ({ y, dys, attrs: { axis } }) => [
    concat(
      dys.map((g, i) => g ?? zeros(y[i]!)),
      axis,
    ),
  ],
  samples: [sample(f32(2, 6, 4), { axis: 1, sizes: [2, 1, 3] })],
})
/** Pieces along `axis`: a number of equal parts, or the size of each. */
export const split: SplitFn = typed(
  (x: AnyTensor, axis: number, parts: number | readonly number[]): readonly AnyTensor[] => {
    const sizes = typeof parts === 'number' ? shapes.equalParts('split', x.shape, axis, parts) : parts
    shapes.split('split', x.shape, axis, sizes)
    const at = shapes.axisOf('split', axis, x.shape.length)
    return sizes.length === 1 ? [x] : Split.applyAll([x], { axis: at, sizes })
  },
)

export const Slice = op('Slice', {
  attrs: {
    starts: { kind: 'ints', input: 1, saturates: true },
    ends: { kind: 'ints', input: 2, saturates: true },
    axes: { kind: 'ints', input: 3 },
    steps: { kind: 'ints', input: 4, saturates: true },
  },
  infer: (
    [x],
    {
      axes,
      starts,
      ends,
      steps,
    }: {
      starts: readonly number[]
      ends: readonly number[]
      axes: readonly number[]
      steps: readonly number[]
    },
  ) => [{ dtype: x!.dtype, shape: shapes.slice('slice', x!.shape, axes, starts, ends, steps) }],
  // d slice(x) = dy set into zeros of x's shape
  vjp: ({ x: [x], dy, attrs }) => [unslice(dy, x!.shape, attrs)],
  // Axis by axis; a step back is one forward in the reversed axis, where index i is -1 - i.
  decompose: ([x], { axes, starts, ends, steps }) => [
    axes.reduce((y, axis, i): AnyTensor => {
      const [start, end, step] = [starts[i]!, ends[i]!, steps[i]!]
      return step > 0
        ? slice(y, axis, start, end, step)
        : slice(reversed(y, axis), axis, -1 - start, -1 - end, -step)
    }, x!),
  ],
  samples: [
    sample(f32(2, 7, 5), { starts: [1], ends: [4], axes: [1], steps: [1] }),
    sample(f32(2, 7, 5), { starts: [1, -3], ends: [6, 5], axes: [1, 2], steps: [2, 1] }),
    sample(f32(9, 5), { starts: [-2, 0], ends: [-10, 5], axes: [0, -1], steps: [-3, 3] }),
  ],
})
/** `dy` of a slice set into zeros of the sliced tensor's shape, one axis after the other. */
function unslice(
  dy: AnyTensor,
  shape: Shape,
  { axes, starts, ends, steps }: Record<'axes' | 'starts' | 'ends' | 'steps', readonly number[]>,
): AnyTensor {
  return axes.reduce((y, given, i) => {
    const axis = shapes.axisOf('slice', given, shape.length)
    const n = shape[axis]!
    if (typeof n === 'string' || n === shapes.UNKNOWN)
      throw new ShapeError(
        `slice: no gradient along axis ${axis} of ${shapes.show(shape)}, its size is not known`,
      )
    const step = steps[i] ?? 1
    const { start, length } = shapes.sliceRange(n, starts[i]!, ends[i]!, step)
    if (length === 0) return fill(0, dy.dtype, y.shape.with(axis, n))
    const forward = step > 0 ? y : reversed(y, axis)
    const first = step > 0 ? start : start + (length - 1) * step
    const spread = dilate(forward, axis, Math.abs(step))
    return padAxis(spread, axis, first, n - first - (spread.shape[axis] as number))
  }, dy)
}

const reversed = (x: AnyTensor, axis: number): AnyTensor => slice(x, axis, -1, Number.MIN_SAFE_INTEGER, -1)

/** Adds elements around one axis. */
export const padAxis = (x: AnyTensor, axis: number, before: number, after: number, value = 0): AnyTensor => {
  const none = x.shape.map(() => 0)
  return pad(x, none.with(axis, before), none.with(axis, after), value)
}

/** `step - 1` zeros between the elements of an axis. */
const dilate = (x: AnyTensor, axis: number, step: number): AnyTensor => {
  if (step === 1) return x
  const n = x.shape[axis] as number
  const columns = reshape(x, x.shape.toSpliced(axis, 1, n, 1))
  const spread = reshape(padAxis(columns, axis + 1, 0, step - 1), x.shape.with(axis, n * step))
  return slice(spread, axis, 0, n * step - step + 1)
}

/** Elements `start`, `start + step`, … before `end` along one axis, with numpy's negative indices and clamping. */
export const slice: SliceFn = typed(
  (x: AnyTensor, axis: number, start: number, end: number, step = 1): AnyTensor =>
    Slice.apply([x], {
      starts: [start],
      ends: [end],
      axes: [shapes.axisOf('slice', axis, x.shape.length)],
      steps: [step],
    }),
)

/** One element of an axis, which goes. */
export const select: SelectFn = typed((x: AnyTensor, axis: number, index: number): AnyTensor => {
  const shape = shapes.select('select', x.shape, axis, index)
  const end = index === -1 ? Number.MAX_SAFE_INTEGER : index + 1
  return reshape(slice(x, axis, index, end), shape)
})

export const Expand = op('Expand', {
  attrs: { shape: { kind: 'dims', input: 1 } },
  infer: ([x], { shape }: { shape: Shape }) => [
    { dtype: x!.dtype, shape: shapes.expand('expand', x!.shape, shape) },
  ],
  // d expand(x) = the sum over the repeats, which the engine takes
  vjp: ({ dy }) => [dy],
  samples: [sample(f32(3, 1), { shape: [4, 3, 5] })],
})
/** Repeats dims of size 1 (and missing leading ones) up to `shape`. */
export const expand: ExpandFn = typed(
  (x: AnyTensor, shape: Shape): AnyTensor => (equalShape(x.shape, shape) ? x : Expand.apply([x], { shape })),
)

/** A tensor filled with `value`, of a shape that may hold symbols. */
export const fill = (value: number, dtype: DType, shape: Shape): AnyTensor => {
  const known = shape.every((d): d is number => typeof d === 'number' && d >= 0)
  return known ? constant(value, dtype, shape) : expand(constant(value, dtype, []), shape)
}

export const Pad = op('Pad', {
  attrs: { pads: { kind: 'ints', input: 1 }, value: { kind: 'scalar', input: 2 } },
  infer: ([x], { pads }: { pads: readonly number[]; value: number }) => {
    const rank = x!.shape.length
    return [{ dtype: x!.dtype, shape: shapes.pad('pad', x!.shape, pads.slice(0, rank), pads.slice(rank)) }]
  },
  // d pad(x) = the middle of dy
  vjp: ({ x: [x], dy, attrs: { pads } }) => {
    const rank = x!.shape.length
    const axes = [...x!.shape.keys()].filter(i => pads[i] || pads[i + rank])
    const ends = axes.map(i => (pads[i + rank] ? -pads[i + rank]! : Number.MAX_SAFE_INTEGER))
    return [Slice.apply([dy], { starts: axes.map(i => pads[i]!), ends, axes, steps: axes.map(() => 1) })]
  },
  samples: [sample(f32(2, 4, 5), { pads: [0, 0, 1, 0, 3, 2], value: 0 })],
})
/** Adds `before[i]` and `after[i]` elements of `value` around axis i. */
export const pad: PadFn = typed(
  (x: AnyTensor, before: readonly number[], after: readonly number[], value = 0): AnyTensor => {
    shapes.pad('pad', x.shape, before, after)
    return [...before, ...after].some(Boolean) ? Pad.apply([x], { pads: [...before, ...after], value }) : x
  },
)

const zeros = (like: AnyTensor): AnyTensor => fill(0, like.dtype, like.shape)
