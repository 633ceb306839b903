import { isConcrete } from '../../graph/bind.ts'
import { UserError } from '../../graph/errors.ts'
import { paddingOf, reachOf, type WindowAttrs, windowDims } from '../../graph/images.ts'
import { nth } from '../../graph/present.ts'
import { type Dim, type Shape, show, UNKNOWN } from '../../graph/shape.ts'
import type { NodeReader } from '../node-reader.ts'
import { unsupported } from '../unsupported.ts'

/** Known, or a symbol or formula. */
const isSize = (n: Dim): n is number => typeof n === 'number' && n !== UNKNOWN

/** A list with `each` whole numbers for each axis after the channels. */
export function perAxis(
  n: NodeReader,
  name: string,
  x: Shape,
  {
    each = 1,
    least,
    otherwise,
  }: { readonly each?: 1 | 2; readonly least: number; readonly otherwise?: number },
): readonly number[] {
  const axes = x.length - 2
  if (axes < 1) throw new UserError(`takes [n, channels, ...], not ${show(x)}`)
  const given = n.ints(name)
  const values = given?.length || otherwise === undefined ? (given ?? []) : Array(axes * each).fill(otherwise)
  if (values.length !== axes * each || values.some(v => v < least))
    throw new UserError(
      `${name} is [${values.join(',')}]; for ${show(x)} it must be ${axes * each} whole numbers of at least ${least}`,
    )
  return values
}

export type AutoPad = 'NOTSET' | 'VALID' | 'SAME_UPPER' | 'SAME_LOWER'

export const autoPadOf = (n: NodeReader): AutoPad =>
  n.text('auto_pad', ['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'])

/** The attribute as it is written. What is negative would take from the image. */
export function padsOf(n: NodeReader, x: Shape): readonly number[] {
  const pads = perAxis(n, 'pads', x, { each: 2, least: Number.MIN_SAFE_INTEGER, otherwise: 0 })
  if (pads.some(v => v < 0)) unsupported(`pads [${pads.join(',')}] below 0 are not supported`)
  return pads
}

/** Padding of an axis in two parts, of which one may be larger by 1. */
export const halves = (total: number, mode: AutoPad): [before: number, after: number] => {
  const [small, large] = [Math.floor(total / 2), Math.ceil(total / 2)]
  return mode === 'SAME_UPPER' ? [small, large] : [large, small]
}

/** How the window of a node moves over `x`, with padding in numbers. @param kernel where the node does not say it itself */
export function windowOf(n: NodeReader, x: Shape, kernel?: readonly number[]): WindowAttrs {
  const window: WindowAttrs = {
    kernel_shape: kernel && !n.has('kernel_shape') ? kernel : perAxis(n, 'kernel_shape', x, { least: 1 }),
    strides: perAxis(n, 'strides', x, { least: 1, otherwise: 1 }),
    pads: padsOf(n, x),
    dilations: perAxis(n, 'dilations', x, { least: 1, otherwise: 1 }),
  }
  const mode = autoPadOf(n)
  if (mode === 'NOTSET') return window
  const { kernel_shape, strides } = window
  const pads = kernel_shape.map((_, i) => {
    if (mode === 'VALID') return [0, 0] as const
    const [size, stride, reach] = [nth(x, i + 2), nth(strides, i), reachOf(window, i)]
    // As many places as strides begin in the image.
    if (isSize(size))
      return halves(Math.max(0, (Math.ceil(size / stride) - 1) * stride + reach + 1 - size), mode)
    if (stride === 1) return halves(reach, mode)
    return unsupported(
      `auto_pad ${mode} with strides [${strides.join(',')}] over ${show(x)} depends on sizes that are not known; give the sizes of the inputs`,
    )
  })
  return { ...window, pads: [...pads.map(([before]) => before), ...pads.map(([, after]) => after)] }
}

type PoolWindow = WindowAttrs & { readonly ceil_mode: number | undefined }

/** That of pooling. @throws Unsupported where runtimes do not agree */
export function poolOf(n: NodeReader, x: Shape): PoolWindow {
  const window = windowOf(n, x)
  const mode = autoPadOf(n)
  if (mode.startsWith('SAME') && window.dilations.some(d => d > 1))
    unsupported(
      `auto_pad ${mode} with dilations [${window.dilations.join(',')}] is not supported; runtimes pad it differently`,
    )
  if (!n.flag('ceil_mode')) return { ...window, ceil_mode: undefined }
  const ceiled = { ...window, ceil_mode: 1 }
  if (!isConcrete(x.slice(2))) return ceiled
  // Where it adds no place it is left out: before opset 22, ONNX counts places that begin in the padding.
  const adds = paddingFor(ceiled, x).after.some((after, i) => after > paddingOf(window, i)[1])
  return adds ? ceiled : { ...window, ceil_mode: undefined }
}

/**
 * Elements of padding around the axes of `x` so that all windows lie within.
 * @throws Unsupported for sizes that are not known, where they matter
 */
export function paddingFor(
  window: WindowAttrs,
  x: Shape,
): { before: readonly number[]; after: readonly number[] } {
  const places = windowDims('pooling', x, window)
  const parts = window.strides.map((stride, i): [number, number] => {
    const [before, after] = paddingOf(window, i)
    const [size, count] = [nth(x, i + 2), nth(places, i)]
    if (!window.ceil_mode) return [before, after]
    if (!isSize(size) || !isSize(count))
      return unsupported(
        `ceil_mode over ${show(x)} depends on sizes that are not known; give the sizes of the inputs`,
      )
    return [before, Math.max(after, (count - 1) * stride + reachOf(window, i) + 1 - size - before)]
  })
  return { before: parts.map(([before]) => before), after: parts.map(([, after]) => after) }
}

/** The window of a transposed convolution: padding that gives the sizes that a node asks for. */
export function transposedOf(
  n: NodeReader,
  x: Shape,
  kernel: readonly number[],
): WindowAttrs & { readonly output_padding: readonly number[] } {
  const axes = kernel.length
  const window: WindowAttrs = {
    kernel_shape: n.has('kernel_shape') ? perAxis(n, 'kernel_shape', x, { least: 1 }) : kernel,
    strides: perAxis(n, 'strides', x, { least: 1, otherwise: 1 }),
    pads: padsOf(n, x),
    dilations: perAxis(n, 'dilations', x, { least: 1, otherwise: 1 }),
  }
  const extra = perAxis(n, 'output_padding', x, { least: 0, otherwise: 0 })
  const mode = autoPadOf(n)
  const wanted = n.ints('output_shape')
  if (wanted?.length && wanted.length !== axes && wanted.length !== axes + 2)
    throw new UserError(`output_shape [${wanted.join(',')}] must have a size for each axis of ${show(x)}`)
  const sizes = wanted?.length ? wanted.slice(-axes) : undefined
  const parts = window.strides.map((stride, i) => {
    if (!sizes && mode === 'NOTSET') return { pads: paddingOf(window, i), rest: nth(extra, i) }
    if (!sizes && mode === 'VALID') return { pads: [0, 0] as const, rest: nth(extra, i) }
    // What the result has beyond a stride for each place.
    const over = reachOf(window, i) + 1 - stride + nth(extra, i)
    if (!sizes) return { pads: halves(Math.max(0, over), mode), rest: nth(extra, i) }
    const size = nth(x, i + 2)
    if (!isSize(size))
      return unsupported(
        `output_shape for ${show(x)} depends on sizes that are not known; give the sizes of the inputs`,
      )
    const total = size * stride + over - nth(sizes, i)
    return { pads: halves(Math.max(0, total), mode), rest: nth(extra, i) + Math.max(0, -total) }
  })
  const beyond = parts.some(({ rest }, i) => rest >= nth(window.strides, i))
  if (beyond)
    unsupported(
      `output_padding [${parts.map(p => p.rest).join(',')}] that is not below strides [${window.strides.join(',')}] is not supported`,
    )
  return {
    ...window,
    pads: [...parts.map(p => p.pads[0]), ...parts.map(p => p.pads[1])],
    output_padding: parts.map(p => p.rest),
  }
}
