import { attr, type TensorType } from '../graph/attributes.ts'
import { ShapeError } from '../graph/errors.ts'
import { fileOp } from '../graph/op.ts'
import { nth } from '../graph/present.ts'
import { f32, sample } from '../graph/sample.ts'
import { allFactors, type Dim, fromFactors, product, type Shape, show, UNKNOWN } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { reshape, transpose } from './layout.ts'

/** Which axis of the channels is the block: the first (depth–column–row), or the last (column–row–depth). */
type Order = 'DCR' | 'CRD'

/** A block of more pixels, as its square, comes from no real model. */
const MOST_BLOCK = 2 ** 20

/** A dim in parts of `by`. */
function divided(name: string, { shape }: TensorType, axis: number, by: number): Dim {
  if (shape.length !== 4)
    throw new ShapeError(`${name}: takes [n, channels, height, width], not ${show(shape)}`)
  if (!(by >= 1 && by <= MOST_BLOCK)) throw new ShapeError(`${name}: blocksize must be 1 to ${MOST_BLOCK}`)
  const dim = nth(shape, axis)
  if (dim === UNKNOWN) return UNKNOWN
  const { symbols, literal } = allFactors([dim])
  if (literal % by) throw new ShapeError(`${name}: dim ${dim} of ${show(shape)} is not divisible by ${by}`)
  return fromFactors({ symbols, literal: literal / by })
}

const spread = (x: TensorType, block: number): Shape => {
  const depth = divided('depthToSpace', x, 1, block * block)
  const [n = 1, , height = 1, width = 1] = x.shape
  return [n, depth, product([height, block]), product([width, block])]
}

const gathered = (x: TensorType, block: number): Shape => {
  const [height, width] = [2, 3].map(axis => divided('spaceToDepth', x, axis, block))
  const [n = 1, depth = 1] = x.shape
  return [n, product([depth, block * block]), height ?? 1, width ?? 1]
}

/** Channels to pixels of blocks, by a transpose. */
export function depthToSpacePlain(x: AnyTensor, block: number, order: Order): AnyTensor {
  const shape = spread(x, block)
  const [n = 1, , height = 1, width = 1]: Shape = x.shape
  const depth = nth(shape, 1)
  const y =
    order === 'DCR'
      ? transpose(reshape(x, [n, block, block, depth, height, width]), [0, 3, 4, 1, 5, 2])
      : transpose(reshape(x, [n, depth, block, block, height, width]), [0, 1, 4, 2, 5, 3])
  return reshape(y, shape)
}

/** Pixels of blocks to channels, by a transpose. */
export function spaceToDepthPlain(x: AnyTensor, block: number, order: Order): AnyTensor {
  const shape = gathered(x, block)
  const [n = 1, depth = 1]: Shape = x.shape
  const blocks = reshape(x, [n, depth, nth(shape, 2), block, nth(shape, 3), block])
  return reshape(transpose(blocks, order === 'DCR' ? [0, 3, 5, 1, 2, 4] : [0, 1, 3, 5, 2, 4]), shape)
}

const block = attr.int({ name: 'blocksize' })

const DepthToSpace = fileOp('DepthToSpace', {
  inputs: ['input'],
  outputs: ['output'],
  attrs: { block, mode: attr.string<Order>({ of: ['DCR', 'CRD'], default: 'DCR' }) },
  infer: ([x], { block }) => [{ dtype: x.dtype, shape: spread(x, block) }],
  // The elements in another order: dx = dy in the order of x
  vjp: ({ dy, attrs: { block, mode } }) => [
    mode === 'DCR' ? spaceToDepth(dy, block) : spaceToDepthPlain(dy, block, mode),
  ],
  decompose: ([x], { block, mode }) => [depthToSpacePlain(x, block, mode)],
  samples: [
    sample(f32(2, 8, 3, 2), { block: 2, mode: 'DCR' }),
    sample(f32(2, 8, 3, 2), { block: 2, mode: 'CRD' }),
  ],
})
/** Channels of `[n, c b², h, w]` as pixels of blocks, `[n, c, h b, w b]`. */
export const depthToSpace = (x: AnyTensor, block: number, mode: Order): AnyTensor =>
  DepthToSpace.apply([x], { block, mode })

const SpaceToDepth = fileOp('SpaceToDepth', {
  inputs: ['input'],
  outputs: ['output'],
  attrs: { block },
  infer: ([x], { block }) => [{ dtype: x.dtype, shape: gathered(x, block) }],
  // The elements in another order: dx = dy in the order of x
  vjp: ({ dy, attrs: { block } }) => [depthToSpace(dy, block, 'DCR')],
  decompose: ([x], { block }) => [spaceToDepthPlain(x, block, 'DCR')],
  samples: [sample(f32(2, 3, 4, 6), { block: 2 })],
})
/** Pixels of blocks of `[n, c, h b, w b]` as channels, `[n, b² c, h, w]`. */
export const spaceToDepth = (x: AnyTensor, block: number): AnyTensor => SpaceToDepth.apply([x], { block })
