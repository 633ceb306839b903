import { sizeOf } from '../graph/leaf.ts'
import { type Along, type AttrForm, type Op, op, type TensorType } from '../graph/node.ts'
import { f32, sample } from '../graph/sample.ts'
import type { Shape } from '../graph/shape.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { type ReduceFn, typed } from '../graph/typed/signatures.ts'
import { add, cast, div, equal, exp, log, mul, sub } from './elementwise.ts'
import { expand, reshape } from './layout.ts'

type Axes = number | readonly number[] | undefined
interface ReduceAttrs {
  readonly [key: string]: readonly number[] | boolean
  readonly axes: readonly number[]
  readonly keepdims: boolean
}

const forms = (since: number): { axes: AttrForm; keepdims: AttrForm } => ({
  axes: { kind: 'ints', input: 1, since },
  keepdims: { kind: 'bool' },
})

const infer =
  (name: string) =>
  ([x]: readonly TensorType[], { axes, keepdims }: ReduceAttrs): TensorType[] => [
    { dtype: x!.dtype, shape: shapes.reduce(name, x!.shape, axes, keepdims) },
  ]

const along: Along<ReduceAttrs> = (axis, [x], { axes, keepdims }) => {
  const kept = [...x!.shape.keys()].filter(i => !axes.includes(i))
  const i = keepdims ? axis : kept[axis]!
  return kept.includes(i) ? [i] : undefined
}

const samples = [
  sample(f32(3, 4, 5), { axes: [0, 2], keepdims: true }),
  sample(f32(3, 4, 5), { axes: [1], keepdims: false }),
]

/** A reduced tensor with its reduced dims back as 1, so that it broadcasts against `shape`. */
const unreduced = (y: AnyTensor, shape: Shape, { axes }: ReduceAttrs): AnyTensor =>
  reshape(y, shapes.reduce('reduce', shape, axes, true))

/** Applies a reduction, unless there are no axes to reduce. */
const reduced = (
  op: Op<ReduceAttrs>,
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

export const ReduceSum = op('ReduceSum', {
  attrs: forms(13),
  infer: infer('sum'),
  along,
  // d Σx = dy, repeated
  vjp: ({ x: [x], dy, attrs }) => [expand(unreduced(dy, x!.shape, attrs), x!.shape)],
  samples,
})
/** Sum over `axes` (all when left out). */
export const sum: ReduceFn<'sum'> = typed(
  (x: AnyTensor, axes?: Axes, keepdims = false): AnyTensor => reduced(ReduceSum, 'sum', x, axes, keepdims),
)

export const ReduceMean = op('ReduceMean', {
  attrs: forms(18),
  infer: infer('mean'),
  along,
  // d mean(x) = dy / n, repeated
  vjp: ({ x: [x], dy, attrs }) => {
    const n = sizeOf(shapes.product(attrs.axes.map(a => x!.shape[a]!)), dy.dtype)
    return [expand(unreduced(div(dy, n), x!.shape, attrs), x!.shape)]
  },
  samples,
})
/** Arithmetic mean over `axes` (all when left out). */
export const mean: ReduceFn<'mean'> = typed(
  (x: AnyTensor, axes?: Axes, keepdims = false): AnyTensor => reduced(ReduceMean, 'mean', x, axes, keepdims),
)

/** Gradient of an extreme: shared by the elements that attain it. */
const extremeVjp = ({ x: [x], y: [y], dy, attrs }: ExtremeArgs): AnyTensor[] => {
  const hits = cast(equal(x!, unreduced(y!, x!.shape, attrs)), dy.dtype)
  const share = div(unreduced(dy, x!.shape, attrs), sum(hits, attrs.axes, true))
  return [mul(hits, share)]
}
interface ExtremeArgs {
  readonly x: readonly AnyTensor[]
  readonly y: readonly AnyTensor[]
  readonly dy: AnyTensor
  readonly attrs: ReduceAttrs
}

const ReduceMax = op('ReduceMax', { attrs: forms(18), infer: infer('max'), along, vjp: extremeVjp, samples })
/** Largest element over `axes` (all when left out); a tie shares the gradient evenly, as torch.amax does. */
export const max: ReduceFn<'max'> = typed(
  (x: AnyTensor, axes?: Axes, keepdims = false): AnyTensor => reduced(ReduceMax, 'max', x, axes, keepdims),
)

const ReduceMin = op('ReduceMin', { attrs: forms(18), infer: infer('min'), along, vjp: extremeVjp, samples })
/** Smallest element over `axes` (all when left out); a tie shares the gradient evenly, as torch.amin does. */
export const min: ReduceFn<'min'> = typed(
  (x: AnyTensor, axes?: Axes, keepdims = false): AnyTensor => reduced(ReduceMin, 'min', x, axes, keepdims),
)

/** Variance over `axes`, divided by n (not n − 1). */
export const variance: ReduceFn<'variance'> = typed(
  (x: AnyTensor, axes?: Axes, keepdims = false): AnyTensor => {
    const centred = sub(x, mean(x, axes, true))
    return mean(mul(centred, centred), axes, keepdims)
  },
)

/** ln Σ exp(x), computed without overflow. */
export const logsumexp: ReduceFn<'logsumexp'> = typed(
  (x: AnyTensor, axes?: Axes, keepdims = false): AnyTensor => {
    const top = max(x, axes, true)
    const spread = log(sum(exp(sub(x, top)), axes, true))
    const attrs = attrsFor('logsumexp', x, axes, keepdims)
    return reshape(add(spread, top), shapes.reduce('logsumexp', x.shape, attrs.axes, keepdims))
  },
)

/** Undoes a broadcast: sums `x` down to the shape of `like`. */
export const sumTo = (x: AnyTensor, like: AnyTensor): AnyTensor => {
  const lead = x.shape.length - like.shape.length
  const axes = [...x.shape.keys()].filter(i => i < lead || (like.shape[i - lead] === 1 && x.shape[i] !== 1))
  return reshape(sum(x, axes, false), like.shape)
}
