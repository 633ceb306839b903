import { attr } from '../graph/attributes.ts'
import { isConcrete } from '../graph/bind.ts'
import { ShapeError } from '../graph/errors.ts'
import { paddingOf, reachOf, type WindowAttrs, windowDims } from '../graph/images.ts'
import { nth, zip } from '../graph/present.ts'
import { product, show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { concat, pad, reshape, slice } from './layout.ts'

/** How ONNX writes {@link WindowAttrs}. What a file leaves out, such as `auto_pad`, is filled in where it is imported. */
export const WINDOW_FORMS = {
  kernel_shape: attr.ints(),
  strides: attr.ints(),
  pads: attr.ints(),
  dilations: attr.ints(),
}

/** That of pooling: only written where it is 1. */
export const CEIL_MODE = { ceil_mode: attr.int<number | undefined>({ optional: true }) }

/** Axes that are windowed, as messages name them. */
export const axesText = ({ kernel_shape }: WindowAttrs): string =>
  kernel_shape.length === 2 ? 'height and width' : 'sizes'

/** How many places the window has along each axis. @throws ShapeError where a size is not known */
export function placesOf(name: string, x: AnyTensor, a: WindowAttrs): number[] {
  const places = windowDims(name, x.shape, a)
  if (!isConcrete(places))
    throw new ShapeError(`${name}: ${axesText(a)} of ${show(x.shape)} must be known here`)
  return [...places]
}

/** Index of element `k`, in row-major order, along each axis. */
export function indicesOf(k: number, sizes: readonly number[]): number[] {
  const at: number[] = []
  let rest = k
  for (const size of sizes.toReversed()) {
    at.unshift(rest % size)
    rest = Math.floor(rest / size)
  }
  return at
}

/**
 * What the window sees at each of its places, `[n, c, h, w]` → `[n, c, kernel, h', w']`: one strided slice for each
 * element of the kernel. `value` stands outside the image.
 */
export function windows(name: string, x: AnyTensor, a: WindowAttrs, value = 0): AnyTensor {
  const places = placesOf(name, x, a)
  const [n, c, ...sizes] = x.shape
  const ends = places.map((count, i) => {
    const [before, after] = paddingOf(a, i)
    // The last window may reach beyond the padding.
    return Math.max(after, (count - 1) * nth(a.strides, i) + reachOf(a, i) + 1 - before - sizes[i])
  })
  const padded = pad(x, [0, 0, ...a.pads.slice(0, sizes.length)], [0, 0, ...ends], value)
  const pieces = Array.from({ length: Number(product(a.kernel_shape)) }, (_, k) => {
    const cut = indicesOf(k, a.kernel_shape).reduce((y: AnyTensor, at, i): AnyTensor => {
      const start = at * nth(a.dilations, i)
      const stride = nth(a.strides, i)
      return slice(y, i + 2, start, start + (nth(places, i) - 1) * stride + 1, stride)
    }, padded)
    return reshape(cut, [n, c, 1, ...places])
  })
  return concat(pieces, 2)
}

/**
 * How many elements a window sees at each of its places, in row-major order; those of the padding count if `padding`
 * says so, those beyond it never.
 */
export function seenCounts(name: string, x: AnyTensor, a: WindowAttrs, padding: boolean): number[] {
  const along = placesOf(name, x, a).map((places, i) => {
    const [before, after] = padding ? paddingOf(a, i) : [0, 0]
    const size = Number(x.shape[i + 2])
    return Array.from({ length: places }, (_, place) => {
      const start = place * nth(a.strides, i) - nth(a.pads, i)
      const seen = Array.from({ length: nth(a.kernel_shape, i) }, (_, k) => start + k * nth(a.dilations, i))
      return seen.filter(at => at >= -before && at < size + after).length
    })
  })
  return along.reduce((counts, axis) => counts.flatMap(n => axis.map(m => n * m)), [1])
}

/** The sum over axes of an index and a factor each. */
export const dot = (a: readonly number[], b: readonly number[]): number =>
  zip(a, b).reduce((sum, [x, y]) => sum + x * y, 0)
