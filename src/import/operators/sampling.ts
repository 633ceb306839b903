import { UserError } from '../../graph/errors.ts'
import { constant } from '../../graph/leaf.ts'
import { type Dim, product, type Shape, show } from '../../graph/shape.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import { gridSample } from '../../ops/grid-sample.ts'
import { concat, expand, reshape, transpose } from '../../ops/layout.ts'
import { matmul } from '../../ops/matmul.ts'
import '../../ops/det.ts'
import type { NodeReader } from '../node-reader.ts'
import type { Operators } from '../operator.ts'
import { constantValue, importedType } from '../tensor.ts'
import { unsupported } from '../unsupported.ts'
import type { Value } from '../value.ts'

/** Constants that a node needs are made as it is read, and a small file has many nodes; longer ones come from no real model. */
const MOST_MADE = 2 ** 12

const isMade = (dim: Dim): dim is number => typeof dim === 'number' && dim >= 0 && dim <= MOST_MADE

/** Σ cₖ cos(2πki / N) for i = 0, 1, …, where N is the size, or one less for a window that is symmetric. */
function cosines(n: NodeReader, ...coefficients: readonly number[]): Value {
  const size = n.number('size', 0) ?? 0
  const periodic = n.flag('periodic', true)
  const code = n.int('output_datatype', 1)
  const dtype = importedType(code) ?? unsupported(`element type ${code} is not supported`)
  if (!Number.isInteger(size) || !isMade(size))
    return unsupported(`a window of ${size} elements is not supported, only 0 to ${MOST_MADE}`)
  const period = periodic ? size : size - 1
  const values = Array.from({ length: size }, (_, i) =>
    coefficients.reduce((sum, c, k) => sum + c * Math.cos((2 * Math.PI * k * i) / period), 0),
  )
  return constantValue(values, dtype, [size])
}

/** Places of pixels along an axis, from −1 to 1 between its ends, or between the middles of its outermost pixels. */
const places = (size: number, align: boolean): number[] =>
  Array.from({ length: size }, (_, i) => (align ? -1 + (2 / (size - 1)) * i : (2 * i + 1) / size - 1))

/** Operators that make windows and grids, and read images with them. */
export const SAMPLING: Operators = {
  HannWindow: n => cosines(n, 0.5, -0.5),
  HammingWindow: n => cosines(n, 25 / 46, -21 / 46),
  BlackmanWindow: n => cosines(n, 0.42, -0.5, 0.08),
  GridSample(n) {
    const given = n.text('mode', ['linear', 'bilinear', 'nearest', 'cubic', 'bicubic'])
    // Names before opset 20
    const mode = given === 'bilinear' ? 'linear' : given === 'bicubic' ? 'cubic' : given
    const padding = n.text('padding_mode', ['zeros', 'border', 'reflection'])
    // Each axis doubles the neighbours of a place. onnxruntime has two and three, too.
    const x = n.data(0)
    if (x.shape.length > 5)
      return unsupported(`${show(x.shape)} is not supported, only up to 3 axes after the channels`)
    return gridSample(x, n.data(1), { mode, padding, align: n.flag('align_corners') })
  },
  AffineGrid(n) {
    const [theta, size, align] = [n.data(0), n.dims(1), n.flag('align_corners')]
    const [batch, , ...dims]: Shape = size
    const axes = dims.length
    if (batch === undefined || !axes || theta.shape.length !== 3)
      throw new UserError(`a grid of ${show(size)} by ${show(theta.shape)} is not one of images`)
    const known = dims.filter(isMade)
    if (axes > 3) return unsupported(`a grid of ${show(size)} is not supported, only of up to 3 axes`)
    if (known.length < axes)
      return unsupported(
        `a grid of ${show(size)} is not supported, only of up to ${MOST_MADE} places an axis`,
      )
    // A row for each place: its coordinates, the last axis first, and 1. Only those of an axis are written out.
    const column = (t: AnyTensor): AnyTensor => expand(t, [...known, 1])
    const along = known.map((d, i) =>
      column(constant(places(d, align), theta.dtype, [d, ...known.slice(i + 1).map(() => 1), 1])),
    )
    const points = concat([...along.toReversed(), column(constant(1, theta.dtype, [1]))], axes)
    const base = reshape(points, [product(known), axes + 1])
    return reshape(matmul(base, transpose(theta, [0, 2, 1])), [theta.shape[0], ...known, axes])
  },
}
