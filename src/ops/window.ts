import { ShapeError } from '../graph/errors.ts'
import { type Dim, type Shape, show, UNKNOWN } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { concat, pad, reshape, slice } from './layout.ts'

/** How a window moves over the last two dims of an image; pairs are [vertical, horizontal]. */
export type WindowAttrs = {
  readonly kernel_shape: readonly number[]
  readonly strides: readonly number[]
  /** top, left, bottom, right */
  readonly pads: readonly number[]
  readonly dilations: readonly number[]
}

export const WINDOW_FORMS = {
  kernel_shape: { kind: 'ints' },
  strides: { kind: 'ints' },
  pads: { kind: 'ints' },
  dilations: { kind: 'ints' },
} as const

export interface WindowOptions {
  readonly stride?: Pair
  readonly padding?: Pair
  readonly dilation?: Pair
}

/** A number for both directions, or one for each. */
export type Pair = number | readonly [vertical: number, horizontal: number]
const pairOf = (value: Pair): readonly [number, number] =>
  typeof value === 'number' ? [value, value] : value

/** Checked attributes of a public function's options. */
export function windowAttrs(
  name: string,
  x: AnyTensor,
  kernel: Pair,
  { stride = 1, padding = 0, dilation = 1 }: WindowOptions,
): WindowAttrs {
  if (x.shape.length !== 4)
    throw new ShapeError(`${name}: takes [n, channels, height, width], not ${show(x.shape)}`)
  const whole = (what: string, value: Pair, least: number): readonly [number, number] => {
    const pair = pairOf(value)
    for (const v of pair)
      if (!Number.isInteger(v) || v < least)
        throw new ShapeError(`${name}: ${what} must be whole and at least ${least}, not ${v}`)
    return pair
  }
  const [top, left] = whole('padding', padding, 0)
  return {
    kernel_shape: whole('kernel', kernel, 1),
    strides: whole('stride', stride, 1),
    pads: [top, left, top, left],
    dilations: whole('dilation', dilation, 1),
  }
}

/** Places of the window along each of the last two dims. */
export function windowDims(name: string, from: Shape, a: WindowAttrs): Dim[] {
  return [0, 1].map(i => {
    const n = from[i + 2]!
    if (typeof n === 'string' || n === UNKNOWN) return UNKNOWN
    const room = n + a.pads[i]! + a.pads[i + 2]! - a.dilations[i]! * (a.kernel_shape[i]! - 1) - 1
    if (room < 0)
      throw new ShapeError(
        `${name}: a kernel of ${a.kernel_shape} (dilation ${a.dilations}, padding ${a.pads}) does not fit into ${show(from)}`,
      )
    return Math.floor(room / a.strides[i]!) + 1
  })
}

/**
 * What the window sees at each of its places, `[n, c, h, w]` → `[n, c, kernel, h', w']`: one strided slice for each
 * element of the kernel. `value` stands outside the image.
 */
export function windows(name: string, x: AnyTensor, a: WindowAttrs, value = 0): AnyTensor {
  const [height, width] = windowDims(name, x.shape, a)
  if (typeof height !== 'number' || typeof width !== 'number' || height < 0 || width < 0)
    throw new ShapeError(`${name}: height and width of ${show(x.shape)} must be known here`)
  const [n, c] = x.shape
  const [top, left, bottom, right] = a.pads as [number, number, number, number]
  const padded = pad(x, [0, 0, top, left], [0, 0, bottom, right], value)
  const cut = (y: AnyTensor, i: 0 | 1, at: number, places: number): AnyTensor => {
    const start = at * a.dilations[i]!
    return slice(y, i + 2, start, start + (places - 1) * a.strides[i]! + 1, a.strides[i])
  }
  const [rows, columns] = a.kernel_shape as [number, number]
  const pieces = Array.from({ length: rows * columns }, (_, k) => {
    const row = cut(padded, 0, Math.floor(k / columns), height)
    return reshape(cut(row, 1, k % columns, width), [n!, c!, 1, height, width])
  })
  return concat(pieces, 2)
}
