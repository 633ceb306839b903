import { attr } from '../graph/attributes.ts'
import { ShapeError } from '../graph/errors.ts'
import { fileOp } from '../graph/op.ts'
import { nth } from '../graph/present.ts'
import { f32, sample } from '../graph/sample.ts'
import { product, type Shape, show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { reshape } from './layout.ts'
import { sum } from './reduce.ts'

const Tile = fileOp('Tile', {
  inputs: ['input'],
  outputs: ['output'],
  attrs: { repeats: attr.dims({ input: 1 }) },
  infer: ([x], { repeats }) => {
    if (repeats.length !== x.shape.length)
      throw new ShapeError(
        `tile: repeats [${repeats.join()}] must be one number for each axis of ${show(x.shape)}`,
      )
    return [{ dtype: x.dtype, shape: x.shape.map((d, i) => product([d, nth(repeats, i)])) }]
  },
  // d tile(x) = dy summed over the repeats
  vjp: ({ x: [x], dy, attrs: { repeats } }) => {
    const dims: Shape = x.shape
    const apart = dims.flatMap((d, i) => [nth(repeats, i), d])
    return [
      sum(
        reshape(dy, apart),
        [...dims.keys()].map(i => 2 * i),
      ),
    ]
  },
  samples: [sample(f32(2, 3), { repeats: [2, 1] }), sample(f32(2, 1, 3), { repeats: [1, 4, 2] })],
})

/** `x` again and again along each axis. */
export const tile = (x: AnyTensor, repeats: Shape): AnyTensor => Tile.apply([x], { repeats })
