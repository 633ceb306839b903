import { lookup } from '../graph/present.ts'

/** How ONNX's Resize computes its elements, by ONNX's names. */
export interface Interpolation {
  readonly mode: 'nearest' | 'linear' | 'cubic'
  readonly coordinate_transformation_mode: CoordinateMode
  readonly nearest_mode: NearestMode
  readonly cubic_coeff_a: number
  /** Elements beyond the edges have no weight; otherwise the edge is repeated. */
  readonly exclude_outside: boolean
  readonly antialias?: boolean | undefined
}

/** One axis that is resized. */
export interface ResizedAxis {
  readonly from: number
  readonly to: number
  readonly scale: number
  /** The part of the axis that is seen, as fractions of it; for `tf_crop_and_resize`. */
  readonly start: number
  readonly end: number
}

/** In single precision, as runtimes compute: at a tie the nearest element depends on the last bit. */
const f = Math.fround

type Place = (i: number, axis: ResizedAxis) => number

const halfPixel: Place = (i, { scale }) => f(f(f(i + 0.5) / scale) - 0.5)

/** Where element `i` of the output lies in the input: coordinate_transformation_mode of ONNX's Resize. */
const PLACES = {
  half_pixel: halfPixel,
  // The centre of the input stays the centre of an output whose size was rounded.
  half_pixel_symmetric: (i, axis) => {
    const adjustment = f(axis.to / f(axis.scale * axis.from))
    return f(f((axis.from / 2) * f(1 - adjustment)) + halfPixel(i, axis))
  },
  pytorch_half_pixel: (i, axis) => (axis.to > 1 ? halfPixel(i, axis) : 0),
  align_corners: (i, { from, to }) => (to === 1 ? 0 : f(f(i * (from - 1)) / (to - 1))),
  asymmetric: (i, { scale }) => f(i / scale),
  tf_half_pixel_for_nn: (i, { scale }) => f(f(i + 0.5) / scale),
  tf_crop_and_resize: (i, { from, to, start, end }) =>
    to > 1
      ? f(f(start * (from - 1)) + f(f(f(i * f(end - start)) * (from - 1)) / (to - 1)))
      : f(f(0.5 * f(start + end)) * (from - 1)),
} satisfies Readonly<Record<string, Place>>

export type CoordinateMode = keyof typeof PLACES

const NEAREST = {
  round_prefer_floor: x => Math.ceil(x - 0.5),
  round_prefer_ceil: x => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
} satisfies Readonly<Record<string, (x: number) => number>>

export type NearestMode = keyof typeof NEAREST

const placesOf = (how: Interpolation, axis: ResizedAxis): number[] => {
  const place: Place = PLACES[how.coordinate_transformation_mode]
  return Array.from({ length: axis.to }, (_, i) => place(i, axis))
}

/** Whether each element of the output lies in the input; only a cropped part can reach beyond it. */
export const insideOf = (how: Interpolation, axis: ResizedAxis): boolean[] =>
  placesOf(how, axis).map(
    x => how.coordinate_transformation_mode !== 'tf_crop_and_resize' || (x >= 0 && x <= axis.from - 1),
  )

const within = (i: number, { from }: ResizedAxis): number => Math.min(Math.max(i, 0), from - 1)

/** The element of the input that each element of the output is, for mode `nearest`. */
export const nearestOf = (how: Interpolation, axis: ResizedAxis): number[] =>
  placesOf(how, axis).map(x => within(NEAREST[how.nearest_mode](x), axis))

/** Weight of an element at a distance, and the distance from which on it is 0. */
interface Kernel {
  readonly reach: number
  readonly at: (distance: number) => number
}

const KERNELS: Readonly<Record<string, (a: number) => Kernel>> = {
  linear: () => ({ reach: 1, at: d => Math.max(0, 1 - d) }),
  // Keys 1981, "Cubic convolution interpolation for digital image processing".
  cubic: a => ({
    reach: 2,
    at: d =>
      d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0,
  }),
}

/** Weights of an axis, `[to, from]` in row-major order, for modes `linear` and `cubic`: output = weights · input. */
export function weightsOf(how: Interpolation, axis: ResizedAxis): number[] {
  const { from, to } = axis
  const kernel = lookup(KERNELS, how.mode)(how.cubic_coeff_a)
  // Where elements are left out, the kernel is as wide as the step from one to the next.
  const narrowing = how.antialias ? Math.min(axis.scale, 1) : 1
  const reach = kernel.reach / narrowing
  const matrix = new Array<number>(from * to).fill(0)
  for (const [row, x] of placesOf(how, axis).entries()) {
    let total = 0
    const taps: (readonly [column: number, weight: number])[] = []
    for (let i = Math.ceil(x - reach); i <= x + reach; i++) {
      if (how.exclude_outside && i !== within(i, axis)) continue
      const weight = kernel.at(Math.abs(i - x) * narrowing)
      taps.push([within(i, axis), weight])
      total += weight
    }
    for (const [column, weight] of taps) {
      const at = row * from + column
      matrix[at] = Number(matrix[at]) + weight / total
    }
  }
  return matrix
}
