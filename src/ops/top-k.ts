import { attr } from '../graph/attributes.ts'
import type { DType } from '../graph/dtype.ts'
import { ShapeError } from '../graph/errors.ts'
import { op } from '../graph/op.ts'
import { nth } from '../graph/present.ts'
import { f32, sample } from '../graph/sample.ts'
import type { Shape } from '../graph/shape.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import type { Slice } from '../graph/typed/pieces.ts'
import type { Arg, Out } from '../graph/typed/shapes.ts'
import { typed } from '../graph/typed/signatures.ts'
import { scatterAdd } from './gather.ts'

/** Values and indices; as many of an axis as a slice of its first `k` has. */
type TopKFn = <D extends DType, S extends Shape, K extends number, A extends number = -1>(
  x: Tensor<D, S>,
  k: K,
  axis?: Arg<Slice<'topK', S, A, 0, K, 1>, A>,
) => readonly [
  values: Tensor<D, Out<Slice<'topK', S, A, 0, K, 1>>>,
  indices: Tensor<'int64', Out<Slice<'topK', S, A, 0, K, 1>>>,
]

const TopK = op('TopK', {
  inputs: ['X'],
  outputs: ['Values', 'Indices'],
  attrs: {
    k: attr.ints<readonly [number]>({ input: 1 }),
    axis: attr.int({ default: -1 }),
    largest: attr.bool({ default: true }),
    sorted: attr.bool({ default: true }),
  },
  infer: ([x], { k: [k], axis }) => {
    const place = shapes.axisOf('topK', axis, x.shape.length)
    const dim = nth(x.shape, place)
    if (!Number.isInteger(k) || k < 0 || (typeof dim === 'number' && dim !== shapes.UNKNOWN && k > dim))
      throw new ShapeError(`topK: cannot take the top ${k} of dim ${dim} of ${shapes.show(x.shape)}`)
    const shape = x.shape.with(place, k)
    return [
      { dtype: x.dtype, shape },
      { dtype: 'int64', shape },
    ]
  },
  // values = x gathered at the indices: dx = dy added into zeros there
  vjp: ({ x: [x], y: [, indices], dy, attrs: { axis } }) => [scatterAdd(x.shape, indices, dy, axis)],
  samples: [
    sample(f32(3, 7).distinct(), { k: [3], axis: 1, largest: true, sorted: true }),
    sample(f32(5, 2, 3).distinct(), { k: [2], axis: 0, largest: false, sorted: true }),
  ],
})
/** The `k` largest elements along `axis`, largest first, and their indices (int64), the lower one first at a tie. */
export const topK: TopKFn = typed(
  (x: AnyTensor, k: number, axis = -1): readonly AnyTensor[] =>
    TopK.applyAll([x], {
      k: [k],
      axis: shapes.axisOf('topK', axis, x.shape.length),
      largest: true,
      sorted: true,
    }),
  t => [t(2, 3), 2],
)

/** For files. `ops` has functions alone: `export *` leaves this out. */
export default { TopK }
