import { attr, type OnnxNode } from '../graph/attributes.ts'
import { ShapeError, UserError } from '../graph/errors.ts'
import { example } from '../graph/example.ts'
import { op, sameDType } from '../graph/op.ts'
import { nth } from '../graph/present.ts'
import { f32, sample } from '../graph/sample.ts'
import type { Shape } from '../graph/shape.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import {
  type ConcatFn,
  type PadFn,
  type SelectFn,
  type SliceFn,
  type SplitFn,
  typed,
} from '../graph/typed/signatures.ts'
import { add } from './elementwise.ts'
import reshapes, { fill, reshape } from './reshape.ts'

export * from './reshape.ts'

const Concat = op('Concat', {
  inputs: ['...inputs'],
  outputs: ['concat_result'],
  attrs: { axis: attr.int() },
  infer: (inputs, { axis }) => [
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
    const place = shapes.axisOf('concat', axis, dy.shape.length)
    return split(
      dy,
      axis,
      x.map(t => t.shape[place]),
    )
  },
  // A tree of small ones.
  narrow: (inputs, { axis }, most) => {
    let level: readonly AnyTensor[] = inputs
    while (level.length > 1) {
      const groups = Array.from({ length: Math.ceil(level.length / most) }, (_, i) =>
        level.slice(i * most, (i + 1) * most),
      )
      level = groups.map(group => concat(group, axis))
    }
    return [nth(level, 0)]
  },
  samples: [sample(f32(2, 3, 4), f32(2, 1, 4), f32(2, 5, 4), { axis: 1 })],
})

/** Tensors one after the other along `axis`. */
export const concat: ConcatFn = typed(
  (tensors: readonly AnyTensor[], axis: number): AnyTensor => {
    shapes.concat(
      'concat',
      tensors.map(t => t.shape),
      axis,
    )
    const [first, ...more] = tensors
    return first && !more.length ? first : Concat.apply(tensors, { axis })
  },
  t => [[t(2, 3), t(4, 3)], 0],
)

/** Parts of equal size; the last one takes the remainder. */
function equalSizes({ inputs: [x], attrs, outputs, number }: OnnxNode): number[] {
  const parts = number('num_outputs') ?? outputs
  if (parts !== outputs) throw new UserError(`num_outputs is ${parts}, but the node has ${outputs} outputs`)
  const axis = Number(attrs.axis ?? 0)
  const dim = x?.shape.at(axis)
  if (!x || typeof dim !== 'number' || dim === shapes.UNKNOWN)
    throw new UserError(`axis ${axis} of ${shapes.show(x?.shape ?? [])} has no known size to split`)
  const size = Math.ceil(dim / parts)
  return Array.from({ length: parts }, (_, i) => Math.min(size, dim - i * size))
}

const Split = op('Split', {
  inputs: ['input'],
  outputs: ['...outputs'],
  attrs: {
    axis: attr.int({ default: 0 }),
    sizes: attr.ints({ name: 'split', input: 1, since: 13, default: equalSizes }),
  },
  infer: ([x], { axis, sizes }) =>
    shapes.split('split', x.shape, axis, sizes).map(shape => ({ dtype: x.dtype, shape })),
  // d split(x) = concat of the gradients, zeros for pieces that nothing reads
  vjp: ({ y, dy, dys, attrs: { axis } }) => [
    concat(
      dys.map((g, i) => g ?? fill(0, dy.dtype, nth(y, i).shape)),
      axis,
    ),
  ],
  // A slice for each piece.
  narrow: ([x], { axis, sizes }) => {
    let start = 0
    return sizes.map(size => {
      start += size
      return slice(x, axis, start - size, start)
    })
  },
  samples: [sample(f32(2, 6, 4), { axis: 1, sizes: [2, 1, 3] })],
})

/** Pieces along `axis`: a number of equal parts, or the size of each. */
export const split: SplitFn = typed(
  (x: AnyTensor, axis: number, parts: number | readonly number[]): readonly AnyTensor[] => {
    const sizes = typeof parts === 'number' ? shapes.equalParts('split', x.shape, axis, parts) : parts
    shapes.split('split', x.shape, axis, sizes)
    const place = shapes.axisOf('split', axis, x.shape.length)
    return sizes.length === 1 ? [x] : Split.applyAll([x], { axis: place, sizes })
  },
  t => [t(4, 3), 0, [1, 3]],
)

const Slice = op('Slice', {
  inputs: ['data'],
  outputs: ['output'],
  attrs: {
    starts: attr.ints({ input: 1, saturates: true }),
    ends: attr.ints({ input: 2, saturates: true }),
    axes: attr.ints({ input: 3, default: ({ attrs }) => [...[attrs.starts].flat().keys()] }),
    steps: attr.ints({
      input: 4,
      saturates: true,
      default: ({ attrs }) => [attrs.starts].flat().map(() => 1),
    }),
  },
  infer: ([x], { axes, starts, ends, steps }) => [
    { dtype: x.dtype, shape: shapes.slice('slice', x.shape, axes, starts, ends, steps) },
  ],
  // d slice(x) = dy set into zeros of x's shape
  vjp: ({ x: [x], dy, attrs }) => [unslice(dy, x.shape, attrs)],
  // Axis by axis; a step back is one forward in the reversed axis, where index i is -1 - i.
  decompose: ([x], { axes, starts, ends, steps }) => [
    axes.reduce((y, axis, i): AnyTensor => {
      const [start, end, step] = [nth(starts, i), nth(ends, i), nth(steps, i)]
      return step > 0
        ? slice(y, axis, start, end, step)
        : slice(reversed(y, axis), axis, -1 - start, -1 - end, -step)
    }, x),
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
    const n = nth(shape, axis)
    if (typeof n === 'string' || n === shapes.UNKNOWN)
      throw new ShapeError(
        `slice: no gradient along axis ${axis} of ${shapes.show(shape)}, its size is not known`,
      )
    const step = steps[i] ?? 1
    const { start, length } = shapes.sliceRange(n, nth(starts, i), nth(ends, i), step)
    if (length === 0) return fill(0, dy.dtype, y.shape.with(axis, n))
    const forward = step > 0 ? y : reversed(y, axis)
    const first = step > 0 ? start : start + (length - 1) * step
    const spread = dilate(forward, axis, Math.abs(step))
    return padAxis(spread, axis, first, n - first - spread.shape[axis])
  }, dy)
}

const reversed = (x: AnyTensor, axis: number): AnyTensor => slice(x, axis, -1, Number.MIN_SAFE_INTEGER, -1)

/** Adds elements around one axis. */
export const padAxis = (x: AnyTensor, axis: number, before: number, after: number, value = 0): AnyTensor => {
  const none = x.shape.map(() => 0)
  return pad(x, none.with(axis, before), none.with(axis, after), value)
}
example(padAxis, t => [t(2, 3), 1, 1, 2])

/** `step - 1` zeros between the elements of an axis. */
const dilate = (x: AnyTensor, axis: number, step: number): AnyTensor => {
  if (step === 1) return x
  const n: number = x.shape[axis]
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
  t => [t(7, 3), 0, -2, 0, -2],
)

/** One element of an axis; the axis is removed. */
export const select: SelectFn = typed(
  (x: AnyTensor, axis: number, index: number): AnyTensor => {
    const shape = shapes.select('select', x.shape, axis, index)
    const end = index === -1 ? Number.MAX_SAFE_INTEGER : index + 1
    return reshape(slice(x, axis, index, end), shape)
  },
  t => [t(2, 3), 0, 1],
)

/** What stands around a tensor, where it is not one number: its mirror image, or its outermost elements. */
type PadMode = 'reflect' | 'edge' | undefined

const Pad = op('Pad', {
  inputs: ['data'],
  outputs: ['output'],
  attrs: {
    pads: attr.ints({ input: 1 }),
    value: attr.scalar({ input: 2, default: 0 }),
    mode: attr.string<PadMode>({ of: ['reflect', 'edge', undefined], optional: true }),
  },
  infer: ([x], { pads }) => {
    const rank = x.shape.length
    return [{ dtype: x.dtype, shape: shapes.pad('pad', x.shape, pads.slice(0, rank), pads.slice(rank)) }]
  },
  vjp: ({ x: [x], dy, attrs: { pads, mode } }) => {
    const rank = x.shape.length
    const axes = [...x.shape.keys()].filter(i => pads[i] || pads[i + rank])
    const around = (i: number) => [nth(pads, i), nth(pads, i + rank)] as const
    // d pad(x) = the middle of dy, and what stands around it added where it was taken from
    if (mode) return [axes.reduce((g, i) => folded(g, x.shape, i, ...around(i), mode), dy)]
    // d pad(x) = the middle of dy, zeros where elements were taken away
    if (pads.some(p => p < 0))
      return [
        padWith(
          dy,
          pads.map(p => -p),
          undefined,
        ),
      ]
    const starts = axes.map(i => around(i)[0])
    const ends = axes.map(i => -around(i)[1] || Number.MAX_SAFE_INTEGER)
    return [Slice.apply([dy], { starts, ends, axes, steps: axes.map(() => 1) })]
  },
  samples: [
    sample(f32(2, 4, 5), { pads: [0, 0, 1, 0, 3, 2], value: 0, mode: undefined }),
    sample(f32(2, 4, 5), { pads: [0, 3, 1, 0, 0, 2], value: 0, mode: 'reflect' }),
    sample(f32(2, 4, 5), { pads: [1, 0, 1, 0, 3, 2], value: 0, mode: 'edge' }),
  ],
})

/** The gradient of one axis of `shape` that was padded with its own elements. */
function folded(
  dy: AnyTensor,
  shape: Shape,
  axis: number,
  before: number,
  after: number,
  mode: 'reflect' | 'edge',
): AnyTensor {
  const n = nth(shape, axis)
  if (typeof n === 'string' || n === shapes.UNKNOWN)
    throw new ShapeError(
      `pad: no gradient along axis ${axis} of ${shapes.show(shape)}, its size is not known`,
    )
  const parts = [slice(dy, axis, before, before + n)]
  const put = (part: AnyTensor, at: number) =>
    parts.push(padAxis(part, axis, at, n - at - nth<number>(part.shape, axis)))
  const [head, tail] = [slice(dy, axis, 0, before), slice(dy, axis, before + n, before + n + after)]
  if (mode === 'reflect') {
    if (before) put(reversed(head, axis), 1)
    if (after) put(reversed(tail, axis), n - 1 - after)
  } else {
    for (let i = 0; i < before; i++) put(slice(head, axis, i, i + 1), 0)
    for (let i = 0; i < after; i++) put(slice(tail, axis, i, i + 1), n - 1)
  }
  return parts.reduce((a, b) => add(a, b))
}

/** Elements of `x` itself around it, or zeros. */
const padWith = (x: AnyTensor, pads: readonly number[], mode: PadMode): AnyTensor =>
  Pad.apply([x], { pads, value: 0, mode })

/** Adds `before[i]` and `after[i]` elements of `value` around axis i. */
export const pad: PadFn = typed(
  (x: AnyTensor, before: readonly number[], after: readonly number[], value = 0): AnyTensor => {
    shapes.pad('pad', x.shape, before, after)
    return [...before, ...after].some(Boolean)
      ? Pad.apply([x], { pads: [...before, ...after], value, mode: undefined })
      : x
  },
  t => [t(2, 3), [0, 1], [1, 0]],
)

/** Primitives that passes look for. `ops` has functions alone: `export *` leaves this out. */
export default { ...reshapes, Concat, Pad, Slice, Split, padWith }
