import { attr } from '../graph/attributes.ts'
import { FLOATS } from '../graph/dtype.ts'
import { ShapeError, UserError } from '../graph/errors.ts'
import { fileOp, sameDType } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import { show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { add, div, mul, pow } from './elementwise.ts'
import { vjp } from './grad.ts'
import { padAxis, slice } from './layout.ts'

type ResponseAttrs = {
  readonly alpha: number
  readonly beta: number
  readonly bias: number
  readonly size: number
}

/** The sum has a term for each. */
const MOST_SIZE = 1023

/** x / (bias + α/size Σ x²)^β with the sum as one slice of the channels for each of its terms. */
function plain(x: AnyTensor, { alpha, beta, bias, size }: ResponseAttrs): AnyTensor {
  const count: number = x.shape[1]
  const before = Math.floor((size - 1) / 2)
  const squares = padAxis(mul(x, x), 1, before, size - 1 - before)
  const terms = Array.from({ length: size }, (_, i) => slice(squares, 1, i, i + count))
  const total = terms.reduce((a, b) => add(a, b))
  return div(x, pow(add(mul(total, alpha / size), bias), beta))
}

/** Local response normalization over `size` neighbouring channels (Krizhevsky et al. 2012). `[n, c, h, w]` */
export const LRN = fileOp('LRN', {
  inputs: ['X'],
  attrs: {
    alpha: attr.float({ default: 1e-4 }),
    beta: attr.float({ default: 0.75 }),
    bias: attr.float({ default: 1 }),
    size: attr.int(),
  },
  infer: ([x], { size }) => {
    sameDType('responseNorm', [x], FLOATS)
    if (x.shape.length !== 4 || typeof x.shape[1] !== 'number' || x.shape[1] < 0)
      throw new ShapeError(
        `responseNorm: takes [n, channels, h, w] with a known number of channels, not ${show(x.shape)}`,
      )
    if (!(size >= 1 && size <= MOST_SIZE) || size % 2 === 0)
      throw new UserError(`responseNorm: size must be odd, at least 1 and at most ${MOST_SIZE}, not ${size}`)
    return [x]
  },
  along: axis => (axis === 1 ? undefined : [axis]),
  // that of the quotient written out
  vjp: ({ x: [x], dy, attrs }) => vjp(plain(x, attrs), dy, [x]),
  lacks: ({ dtype }) => dtype === 'float64',
  decompose: ([x], attrs) => [plain(x, attrs)],
  samples: [
    sample(f32(2, 6, 3, 4), { alpha: 0.5, beta: 0.75, bias: 1, size: 3 }),
    sample(f32(2, 3, 4, 2), { alpha: 1, beta: 0.5, bias: 2, size: 5 }),
  ],
})
