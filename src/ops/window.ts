import { attr, type OnnxNode } from '../graph/attributes.ts'
import { ShapeError, UserError } from '../graph/errors.ts'
import { type WindowAttrs, windowDims } from '../graph/images.ts'
import { show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { concat, pad, reshape, slice } from './layout.ts'

type Two = readonly [number, number]

/** How ONNX writes {@link WindowAttrs}. The kernel of a convolution is that of its weight. */
export const WINDOW_FORMS = {
  kernel_shape: attr.ints<Two>(),
  strides: attr.ints<Two>({ default: [1, 1] }),
  pads: attr.ints<readonly [number, number, number, number]>({ default: [0, 0, 0, 0] }),
  dilations: attr.ints<Two>({ default: [1, 1] }),
}

/** Throws unless the windows of a node are over two axes. */
export function twoAxes({ inputs: [x], attrs }: OnnxNode): void {
  for (const [name, count] of Object.entries({ kernel_shape: 2, strides: 2, dilations: 2, pads: 4 })) {
    const value = attrs[name]
    if (x?.shape.length !== 4 || (Array.isArray(value) && value.length !== count))
      throw new UserError(`windows over ${show(x?.shape ?? [])} are not supported, only over two axes`)
  }
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
  const [top, left, bottom, right] = a.pads
  const padded = pad(x, [0, 0, top, left], [0, 0, bottom, right], value)
  const cut = (y: AnyTensor, i: 0 | 1, at: number, places: number): AnyTensor => {
    const start = at * a.dilations[i]
    return slice(y, i + 2, start, start + (places - 1) * a.strides[i] + 1, a.strides[i])
  }
  const [rows, columns] = a.kernel_shape
  const pieces = Array.from({ length: rows * columns }, (_, k) => {
    const row = cut(padded, 0, Math.floor(k / columns), height)
    return reshape(cut(row, 1, k % columns, width), [n, c, 1, height, width])
  })
  return concat(pieces, 2)
}
