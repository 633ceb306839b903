import { type Dim, product, type Shape, show, UNKNOWN, unify } from './dim.ts'
import { ShapeError } from './errors.ts'
import { nth } from './present.ts'
import { equalParts, sameShape } from './shape.ts'

/** Shape rules of convolutions, pooling and norms of channels; `typed/images.ts` holds them for the compiler. */

/** A number for both directions, or one for each. */
export type Pair = number | readonly [vertical: number, horizontal: number]

export interface WindowOptions {
  /** @default 1 for convolutions, the kernel for pooling */
  readonly stride?: Pair
  /** Zeros on both sides. @default 0 */
  readonly padding?: Pair
  /** Distance between the elements that a window sees. @default 1 */
  readonly dilation?: Pair
}

/** How a window moves over the last two dims of an image, as ONNX writes it; pairs are [vertical, horizontal]. */
export type WindowAttrs = {
  readonly kernel_shape: Two
  readonly strides: Two
  /** top, left, bottom, right */
  readonly pads: readonly [number, number, number, number]
  readonly dilations: Two
}
type Two = readonly [number, number]

const fail = (message: string): never => {
  throw new ShapeError(message)
}

const list = (numbers: readonly number[]): string => `[${numbers.join(',')}]`

/** Throws unless `x` has the dims of a batch of images. */
export function images(op: string, x: Shape): void {
  if (x.length !== 4) fail(`${op}: takes [n, channels, height, width], not ${show(x)}`)
}

/** Checked attributes for a public function's options. */
export function windowAttrs(
  op: string,
  kernel: Pair,
  { stride = 1, padding = 0, dilation = 1 }: WindowOptions,
): WindowAttrs {
  const whole = (what: string, value: Pair, least: number): readonly [number, number] => {
    const pair = typeof value === 'number' ? ([value, value] as const) : value
    for (const v of pair)
      if (!Number.isInteger(v) || v < least)
        fail(`${op}: ${what} must be whole and at least ${least}, not ${v}`)
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

/** How many places a window has along each of the last two dims. A symbol stays where every pixel is one place. */
export function windowDims(op: string, x: Shape, a: WindowAttrs): [Dim, Dim] {
  const along = (i: 0 | 1): Dim => {
    const n = nth(x, i + 2)
    const padding = a.pads[i] + a.pads[i === 0 ? 2 : 3]
    const reach = a.dilations[i] * (a.kernel_shape[i] - 1)
    if (typeof n === 'string') return a.strides[i] === 1 && padding === reach ? n : UNKNOWN
    if (n === UNKNOWN) return UNKNOWN
    const room = n + padding - reach - 1
    if (room < 0)
      fail(
        `${op}: kernel ${list(a.kernel_shape)} does not fit into ${show(x)} with padding ${list(a.pads)} and dilation ${list(a.dilations)}`,
      )
    return Math.floor(room / a.strides[i]) + 1
  }
  return [along(0), along(1)]
}

/** Shape of the results of a window at each of its places: `[n, c, h, w]` → `[n, c, h', w']`. */
export function pool(op: string, x: Shape, attrs: WindowAttrs): Shape {
  images(op, x)
  return [...x.slice(0, 2), ...windowDims(op, x, attrs)]
}

/** Shape of a convolution of `[n, c, h, w]` with a weight `[out, c / groups, kh, kw]`, and a bias `[out]`. */
export function conv2d(
  op: string,
  x: Shape,
  weight: Shape,
  bias: Shape | undefined,
  groups: number,
  attrs: WindowAttrs,
): Shape {
  images(op, x)
  filters(op, weight)
  const [n, channels] = [nth(x, 0), nth(x, 1)]
  const [outputs, perGroup] = [nth(weight, 0), nth(weight, 1)]
  if (!(groups >= 1) || unify(channels, product([perGroup, groups])) === undefined)
    fail(
      `${op}: ${channels} channels of ${show(x)} do not fit the weight ${show(weight)} in ${groups} groups`,
    )
  if (typeof outputs === 'number' && outputs !== UNKNOWN && outputs % groups)
    fail(
      `${op}: ${outputs} output channels of the weight ${show(weight)} are not divisible by groups ${groups}`,
    )
  const places = windowDims(op, x, attrs)
  if (bias && !sameShape(bias, [outputs]))
    fail(`${op}: bias ${show(bias)} does not fit weight ${show(weight)}`)
  return [n, outputs, ...places]
}

/** Throws unless `weight` has the dims of a convolution's filters. */
export function filters(op: string, weight: Shape): void {
  if (weight.length !== 4) fail(`${op}: takes a weight [out, channels, height, width], not ${show(weight)}`)
}

/** Throws unless `x` is `[n, c, ...]` and each of `vectors` `[c]`. */
export function channels(op: string, x: Shape, vectors: Readonly<Record<string, Shape>>): void {
  if (x.length < 2) fail(`${op}: takes [n, channels, ...], not ${show(x)}`)
  for (const [what, shape] of Object.entries(vectors))
    if (!sameShape(shape, [nth(x, 1)]))
      fail(`${op}: ${what} ${show(shape)} does not fit the channels of ${show(x)}`)
}

/** How many channels of `[n, c, ...]` are in each of `groups` equal groups. */
export function channelsPerGroup(op: string, x: Shape, groups: number): number {
  channels(op, x, {})
  return nth(equalParts(op, x, 1, groups), 0)
}
