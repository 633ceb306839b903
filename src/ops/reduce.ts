import { attr } from '../graph/attributes.ts'
import { UserError } from '../graph/errors.ts'
import type { Example } from '../graph/example.ts'
import { sizeOf } from '../graph/leaf.ts'
import type { Vjp } from '../graph/node.ts'
import { op } from '../graph/op.ts'
import { nth } from '../graph/present.ts'
import { f32, sample } from '../graph/sample.ts'
import type { Shape } from '../graph/shape.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { type ReduceFn, typed } from '../graph/typed/signatures.ts'
import { add, cast, div, equal, exp, log, mul, sub } from './elementwise.ts'
import { expand, reshape } from './layout.ts'

type Axes = number | readonly number[] | undefined
type ReduceAttrs = { readonly axes: readonly number[]; readonly keepdims: boolean }
type ReduceVjp = Vjp<ReduceAttrs, readonly ['data']>

/** @param since the first opset in which the axes are an input */
const reduction = (type: string, name: string, since: number, vjp: ReduceVjp, x = f32(3, 4, 5)) =>
  op(type, {
    inputs: ['data'],
    attrs: {
      axes: attr.ints({
        input: 1,
        since,
        emptyIsDefault: true,
        default: ({ inputs: [x] }) => [...(x?.shape ?? []).keys()],
      }),
      keepdims: attr.bool({ default: true }),
    },
    check: ({ number, attrs }) => {
      if (number('noop_with_empty_axes') && !attrs.axes)
        throw new UserError('noop_with_empty_axes without axes is not supported')
    },
    infer: ([x], { axes, keepdims }) => [
      { dtype: x.dtype, shape: shapes.reduce(name, x.shape, axes, keepdims) },
    ],
    along: (axis, [x], { axes, keepdims }) => {
      const kept = [...x.shape.keys()].filter(i => !axes.includes(i))
      const i = keepdims ? axis : nth(kept, axis)
      return kept.includes(i) ? [i] : undefined
    },
    vjp,
    samples: [sample(x, { axes: [0, 2], keepdims: true }), sample(x, { axes: [1], keepdims: false })],
  })

/** A reduced tensor with its reduced dims back as 1, so that it broadcasts against `shape`. */
const unreduced = (y: AnyTensor, shape: Shape, { axes }: ReduceAttrs): AnyTensor =>
  reshape(y, shapes.reduce('reduce', shape, axes, true))

/** Applies a reduction, unless there are no axes to reduce. */
const reduced = (
  op: ReturnType<typeof reduction>,
  name: string,
  x: AnyTensor,
  axes: Axes,
  keepdims: boolean,
): AnyTensor => {
  const attrs = attrsFor(name, x, axes, keepdims)
  return attrs.axes.length ? op.apply([x], attrs) : x
}

const attrsFor = (name: string, x: AnyTensor, axes: Axes, keepdims: boolean): ReduceAttrs => ({
  axes: shapes.axesOf(name, axes === undefined ? undefined : [axes].flat(), x.shape.length),
  keepdims,
})

const example: Example = t => [t(2, 3), 1]

// d Σx = dy, repeated
const ReduceSum = reduction('ReduceSum', 'sum', 13, ({ x: [x], dy, attrs }) => [
  expand(unreduced(dy, x.shape, attrs), x.shape),
])
/** Sum over `axes` (all when left out). */
export const sum: ReduceFn<'sum'> = typed(
  (x: AnyTensor, axes?: Axes, keepdims = false): AnyTensor => reduced(ReduceSum, 'sum', x, axes, keepdims),
  example,
)

// d mean(x) = dy / n, repeated
const ReduceMean = reduction('ReduceMean', 'mean', 18, ({ x: [x], dy, attrs }) => {
  const n = sizeOf(shapes.product(attrs.axes.map(a => x.shape.at(a))), dy.dtype)
  return [expand(unreduced(div(dy, n), x.shape, attrs), x.shape)]
})
/** Arithmetic mean over `axes` (all when left out). */
export const mean: ReduceFn<'mean'> = typed(
  (x: AnyTensor, axes?: Axes, keepdims = false): AnyTensor => reduced(ReduceMean, 'mean', x, axes, keepdims),
  example,
)

/** Gradient of an extreme: shared by the elements that attain it. */
const extremeVjp: ReduceVjp = ({ x: [x], y: [y], dy, attrs }) => {
  const hits = cast(equal(x, unreduced(y, x.shape, attrs)), dy.dtype)
  const share = div(unreduced(dy, x.shape, attrs), sum(hits, attrs.axes, true))
  return [mul(hits, share)]
}

const ReduceMax = reduction('ReduceMax', 'max', 18, extremeVjp)
/** Largest element over `axes` (all when left out); a tie shares the gradient evenly, as torch.amax does. */
export const max: ReduceFn<'max'> = typed(
  (x: AnyTensor, axes?: Axes, keepdims = false): AnyTensor => reduced(ReduceMax, 'max', x, axes, keepdims),
  example,
)

const ReduceMin = reduction('ReduceMin', 'min', 18, extremeVjp)
/** Smallest element over `axes` (all when left out); a tie shares the gradient evenly, as torch.amin does. */
export const min: ReduceFn<'min'> = typed(
  (x: AnyTensor, axes?: Axes, keepdims = false): AnyTensor => reduced(ReduceMin, 'min', x, axes, keepdims),
  example,
)

/** Variance over `axes`, divided by n (not n − 1). */
export const variance: ReduceFn<'variance'> = typed(
  (x: AnyTensor, axes?: Axes, keepdims = false): AnyTensor => {
    const centred = sub(x, mean(x, axes, true))
    return mean(mul(centred, centred), axes, keepdims)
  },
  example,
)

/** ln Σ exp(x), computed without overflow. */
export const logsumexp: ReduceFn<'logsumexp'> = typed(
  (x: AnyTensor, axes?: Axes, keepdims = false): AnyTensor => {
    const top = max(x, axes, true)
    const spread = log(sum(exp(sub(x, top)), axes, true))
    const attrs = attrsFor('logsumexp', x, axes, keepdims)
    return reshape(add(spread, top), shapes.reduce('logsumexp', x.shape, attrs.axes, keepdims))
  },
  example,
)

/** Undoes a broadcast: sums `x` down to the shape of `like`. */
const sumTo = (x: AnyTensor, like: AnyTensor): AnyTensor => {
  const lead = x.shape.length - like.shape.length
  const axes = [...x.shape.keys()].filter(i => i < lead || (like.shape[i - lead] === 1 && x.shape[i] !== 1))
  return reshape(sum(x, axes, false), like.shape)
}

/** Parts for passes and reverse mode. `ops` has functions alone: `export *` leaves this out. */
export default { ReduceMean, ReduceSum, reduction, sumTo, unreduced }
