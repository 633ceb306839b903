import { attr, type TensorType } from '../graph/attributes.ts'
import { ShapeError } from '../graph/errors.ts'
import { sizeOf } from '../graph/leaf.ts'
import { fileOp, sameDType } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import { product, type Shape, show, unify } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { abs, add, cast, div, equal, floor, maximum, minimum, mul, neg, sub } from './elementwise.ts'
import { gatherElements } from './gather.ts'
import { vjp } from './grad.ts'
import { expand, reshape, select } from './layout.ts'

type GridAttrs = {
  readonly mode: 'linear' | 'nearest' | 'cubic'
  readonly padding: 'zeros' | 'border' | 'reflection'
  readonly align: boolean
}

function sampled({ shape: x }: TensorType, { shape: grid }: TensorType): Shape {
  const axes = x.length - 2
  const [n = 1, channels = 1] = x
  if (axes < 1 || grid.length !== x.length || unify(grid.at(-1) ?? 0, axes) === undefined)
    throw new ShapeError(
      `gridSample: grid ${show(grid)} must have a place of ${axes} numbers in each of ${axes} axes for ${show(x)}`,
    )
  return [n, channels, ...grid.slice(1, -1)]
}

/** A place along an axis, and its share in the result. */
interface Tap {
  readonly place: AnyTensor
  /** Undefined: all. */
  readonly share: AnyTensor | undefined
}

/** The nearest whole number, the even one of two. */
function rounded(v: AnyTensor): AnyTensor {
  const up = floor(add(v, 0.5))
  const isTie = cast(equal(add(v, 0.5), up), v.dtype)
  return sub(up, mul(isTie, sub(up, mul(floor(mul(up, 0.5)), 2))))
}

/** Places outside as in a mirror: a triangle wave between both ends. */
function reflected(v: AnyTensor, size: AnyTensor, align: boolean): AnyTensor {
  const least = align ? 0 : -0.5
  const range = align ? sub(size, 1) : size
  const from = abs(sub(v, least))
  const period = mul(range, 2)
  const within = sub(from, mul(floor(div(from, period)), period))
  return add(sub(range, abs(sub(within, range))), least)
}

const clamped = (v: AnyTensor, size: AnyTensor): AnyTensor => minimum(maximum(v, 0), sub(size, 1))

/** Shares of the four neighbours of a place that is `t` after the second (Keys 1981, with -0.75). */
function cubic(t: AnyTensor): AnyTensor[] {
  const a = -0.75
  const near = (d: AnyTensor) => add(mul(mul(sub(mul(d, a + 2), a + 3), d), d), 1)
  const far = (d: AnyTensor) => mul(sub(mul(add(mul(sub(d, 5), d), 8), d), 4), a)
  const rest = add(neg(t), 1)
  return [far(add(t, 1)), near(t), near(rest), far(add(rest, 1))]
}

/** What a grid's numbers read along one axis. */
function taps(g: AnyTensor, size: AnyTensor, { mode, padding, align }: GridAttrs): Tap[] {
  const apart = align ? mul(mul(add(g, 1), 0.5), sub(size, 1)) : mul(sub(mul(add(g, 1), size), 1), 0.5)
  const inside = (v: AnyTensor) =>
    padding === 'border' ? clamped(v, size) : padding === 'zeros' ? v : reflected(v, size, align)
  const found = (v: AnyTensor, share?: AnyTensor): Tap => {
    const place = clamped(padding === 'reflection' ? rounded(reflected(v, size, align)) : v, size)
    if (padding !== 'zeros') return { place, share }
    const exists = cast(equal(place, v), v.dtype)
    return { place, share: share ? mul(share, exists) : exists }
  }
  if (mode === 'nearest') return [found(rounded(inside(rounded(apart))))]
  // onnxruntime pads what a cubic reads, not where it stands.
  const at = mode === 'cubic' ? apart : inside(apart)
  const low = floor(at)
  const t = sub(at, low)
  if (mode === 'linear') return [found(low, add(neg(t), 1)), found(add(low, 1), t)]
  return cubic(t).map((share, k) => found(add(low, k - 1), share))
}

/** The reference for the operator, and the form that is differentiated: a gather for each neighbour. */
function plain(x: AnyTensor, grid: AnyTensor, attrs: GridAttrs): AnyTensor {
  const shape = sampled(x, grid)
  const dims: Shape = x.shape.slice(2)
  const [n = 1, channels = 1] = shape
  const places = product(shape.slice(2))
  const flat = reshape(x, [n, channels, product(dims)])
  // The last axis of the image is the first number of the grid.
  const all = dims.reduce<Tap[]>((sofar, dim, i) => {
    const size = sizeOf(dim, x.dtype)
    const own = taps(select(grid, -1, dims.length - 1 - i), size, attrs)
    const whole = sizeOf(dim, 'int64')
    return own.flatMap(tap => {
      const place = cast(tap.place, 'int64')
      if (!sofar.length) return [{ place, share: tap.share }]
      return sofar.map(before => ({
        place: add(mul(before.place, whole), place),
        share: before.share && tap.share ? mul(before.share, tap.share) : (before.share ?? tap.share),
      }))
    })
  }, [])
  const parts = all.map(({ place, share }): AnyTensor => {
    const index = expand(reshape(place, [n, 1, places]), [n, channels, places])
    const found = gatherElements(flat, index, 2)
    return share ? mul(found, reshape(share, [n, 1, places])) : found
  })
  return reshape(
    parts.reduce((a, b) => add(a, b)),
    shape,
  )
}

/** Names before opset 20. */
const FORMER = { linear: 'bilinear', nearest: 'nearest', cubic: 'bicubic' } as const

const GridSample = fileOp('GridSample', {
  since: 16,
  inputs: ['X', 'grid'],
  attrs: {
    mode: attr.string<GridAttrs['mode']>({
      default: 'linear',
      written: (mode, opset) => (opset < 20 ? FORMER[mode] : mode),
    }),
    padding: attr.string<GridAttrs['padding']>({ name: 'padding_mode', default: 'zeros' }),
    align: attr.bool({ name: 'align_corners', default: false }),
  },
  infer: ([x, grid]) => [{ dtype: sameDType('gridSample', [x, grid]), shape: sampled(x, grid) }],
  lacks: ({ dtype }) => dtype !== 'float32',
  decompose: ([x, grid], attrs) => [plain(x, grid, attrs)],
  // that of a gather for each neighbour
  vjp: ({ x: [x, grid], dy, attrs }) => vjp(plain(x, grid, attrs), dy, [x, grid]),
  samples: (['zeros', 'border', 'reflection'] as const).flatMap(padding => [
    sample(f32(2, 3, 4, 5), f32(2, 3, 2, 2), { mode: 'linear', padding, align: false }),
    sample(f32(2, 3, 4, 5), f32(2, 3, 2, 2), { mode: 'nearest', padding, align: true }),
    sample(f32(1, 2, 4, 5), f32(1, 3, 2, 2), { mode: 'cubic', padding, align: false }),
    sample(f32(1, 2, 4, 5), f32(1, 3, 2, 2), { mode: 'linear', padding, align: true }),
  ]),
})
/** Values of an image at places between its pixels, `[n, c, ...]` and `[n, ...places, axes]` → `[n, c, ...places]`. */
export const gridSample = (x: AnyTensor, grid: AnyTensor, attrs: GridAttrs): AnyTensor =>
  GridSample.apply([x, grid], attrs)
