import { type Dim, product, type Shape, show, sum, UNKNOWN, unify } from './dim.ts'
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

/**
 * How a window moves over the dims of `[n, c, ...]` after the channels, as ONNX writes it: one number for each of these axes, for
 * an image [vertical, horizontal].
 */
export type WindowAttrs = {
  readonly kernel_shape: readonly number[]
  readonly strides: readonly number[]
  /** Before each axis, then after each: for an image top, left, bottom, right. */
  readonly pads: readonly number[]
  readonly dilations: readonly number[]
  /** 1: the last window may reach beyond the padding, as long as it begins before. @default 0 */
  readonly ceil_mode?: number | undefined
}

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

/** Name of an op over windows of a kernel: `conv2d` for two axes. */
export const windowName = (name: string, { length }: readonly number[]): string => `${name}${length}d`

/** Distance between the first and the last element that a window sees along an axis. */
export const reachOf = ({ dilations, kernel_shape }: WindowAttrs, axis: number): number =>
  nth(dilations, axis) * (nth(kernel_shape, axis) - 1)

/** Elements of padding before and after an axis. */
export const paddingOf = ({ pads }: WindowAttrs, axis: number): [before: number, after: number] => [
  nth(pads, axis),
  nth(pads, axis + pads.length / 2),
]

/**
 * How many places a window has along each dim after the channels. A symbol stays where every pixel is one place.
 */
export const windowDims = (op: string, x: Shape, a: WindowAttrs): Dim[] =>
  a.kernel_shape.map((_, i) => {
    const n = nth(x, i + 2)
    const [before, after] = paddingOf(a, i)
    const [reach, stride] = [reachOf(a, i), nth(a.strides, i)]
    if (typeof n === 'string') return stride === 1 && before + after === reach ? n : UNKNOWN
    if (n === UNKNOWN) return UNKNOWN
    const room = n + before + after - reach - 1
    const places = a.ceil_mode ? ceilPlaces(room, stride, n + before) : Math.floor(room / stride) + 1
    return room < 0 && places < 1
      ? fail(
          `${op}: kernel ${list(a.kernel_shape)} does not fit into ${show(x)} with padding ${list(a.pads)} and dilation ${list(a.dilations)}`,
        )
      : places
  })

/** A window that would begin in the padding after the image has no place, as in PyTorch. @param end where that padding begins */
function ceilPlaces(room: number, stride: number, end: number): number {
  const places = Math.ceil(room / stride) + 1
  return (places - 1) * stride >= end ? places - 1 : places
}

/** Throws unless `x` is `[n, c, ...]` with one dim for each axis of a window. */
function spatial(op: string, x: Shape, { kernel_shape }: WindowAttrs): void {
  if (!kernel_shape.length || x.length !== kernel_shape.length + 2)
    fail(
      `${op}: takes [n, channels, ...] with a dim for each axis of kernel ${list(kernel_shape)}, not ${show(x)}`,
    )
}

/** Shape of the results of a window at each of its places: `[n, c, h, w]` → `[n, c, h', w']`. */
export function pool(op: string, x: Shape, attrs: WindowAttrs): Shape {
  spatial(op, x, attrs)
  return [...x.slice(0, 2), ...windowDims(op, x, attrs)]
}

/** Shape of a convolution of `[n, c, h, w]` with a weight `[out, c / groups, kh, kw]`, and a bias `[out]`. */
export function conv(
  op: string,
  x: Shape,
  weight: Shape,
  bias: Shape | undefined,
  groups: number,
  attrs: WindowAttrs,
): Shape {
  spatial(op, x, attrs)
  if (weight.length !== x.length) fail(`${op}: weight ${show(weight)} must have as many dims as ${show(x)}`)
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

/** What a transposed convolution has beside a window. */
export type TransposedAttrs = WindowAttrs & {
  readonly group: number
  readonly output_padding: readonly number[]
}

/** Shape of a transposed convolution of `[n, c, h, w]` with a weight `[c, out / groups, kh, kw]`, and a bias `[out]`. */
export function convTranspose(
  op: string,
  x: Shape,
  weight: Shape,
  bias: Shape | undefined,
  attrs: TransposedAttrs,
): Shape {
  spatial(op, x, attrs)
  if (weight.length !== x.length) fail(`${op}: weight ${show(weight)} must have as many dims as ${show(x)}`)
  const [n, channels, inputs] = [nth(x, 0), nth(x, 1), nth(weight, 0)]
  const { group } = attrs
  if (!(group >= 1) || unify(channels, inputs) === undefined || Number(inputs) % group)
    fail(`${op}: ${channels} channels of ${show(x)} do not fit the weight ${show(weight)} in ${group} groups`)
  const outputs = product([nth(weight, 1), group])
  if (bias && !sameShape(bias, [outputs]))
    fail(`${op}: bias ${show(bias)} does not fit weight ${show(weight)} in ${group} groups`)
  return [n, outputs, ...attrs.kernel_shape.map((_, i) => transposedDim(op, nth(x, i + 2), i, attrs))]
}

/** Size of an axis of `n` places that a transposed convolution writes: n strides and a rest. */
function transposedDim(op: string, n: Dim, i: number, attrs: TransposedAttrs): Dim {
  const [before, after] = paddingOf(attrs, i)
  const stride = nth(attrs.strides, i)
  const rest = reachOf(attrs, i) + 1 - stride - before - after + nth(attrs.output_padding, i)
  if (n === UNKNOWN) return UNKNOWN
  if (typeof n === 'string') return rest < 0 ? UNKNOWN : sum([product([n, stride]), rest])
  const size = n * stride + rest
  return size >= 0 ? size : fail(`${op}: padding ${list(attrs.pads)} removes more than all of the result`)
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
