import { attr } from '../graph/attributes.ts'
import { ShapeError } from '../graph/errors.ts'
import { one } from '../graph/example.ts'
import { op } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { typed, type UnaryFn } from '../graph/typed/signatures.ts'

const CumSum = op('CumSum', {
  inputs: ['x'],
  outputs: ['y'],
  attrs: {
    axis: attr.int({ input: 1 }),
    reverse: attr.bool({ default: false }),
    exclusive: attr.bool({ default: false }),
  },
  infer: ([x], { axis }) => {
    shapes.axisOf('cumsum', axis, x.shape.length)
    return [x]
  },
  // d cumsum(x) = cumsum of dy from the other end
  vjp: ({ dy, attrs }) => [scan(dy, { ...attrs, reverse: !attrs.reverse })],
  samples: [
    sample(f32(3, 5), { axis: 1, reverse: false, exclusive: false }),
    sample(f32(3, 2, 4), { axis: 0, reverse: true, exclusive: false }),
    sample(f32(3, 5), { axis: -1, reverse: false, exclusive: true }),
  ],
})
type ScanAttrs = { readonly axis: number; readonly reverse: boolean; readonly exclusive: boolean }
const scan = (x: AnyTensor, attrs: ScanAttrs): AnyTensor => CumSum.apply([x], attrs)

/** Running sums along `axis`, each with its own element. */
export const cumsum: UnaryFn<[axis: number]> = typed(
  (x: AnyTensor, axis: number): AnyTensor =>
    scan(x, { axis: shapes.axisOf('cumsum', axis, x.shape.length), reverse: false, exclusive: false }),
  t => [t(2, 3), 1],
)

const Trilu = op('Trilu', {
  inputs: ['input'],
  outputs: ['output'],
  attrs: {
    upper: attr.bool({ default: true }),
    k: attr.int({ input: 1, saturates: true, default: 0 }),
  },
  infer: ([x], { upper }) => {
    if (x.shape.length < 2)
      throw new ShapeError(`${upper ? 'triu' : 'tril'}: ${shapes.show(x.shape)} needs at least 2 dims`)
    return [x]
  },
  // d tril(x) = tril(dy)
  vjp: ({ dy, attrs: { upper, k } }) => [upper ? triu(dy, k) : tril(dy, k)],
  samples: [
    sample(f32(3, 5, 5), { upper: false, k: 0 }),
    sample(f32(4, 6), { upper: true, k: 1 }),
    sample(f32(4, 6), { upper: false, k: -1 }),
  ],
})
/** The last two axes' lower triangle, zeros above; `k` diagonals above the main one are kept too. */
export const tril: UnaryFn<[k?: number]> = typed(
  (x: AnyTensor, k = 0): AnyTensor => Trilu.apply([x], { upper: false, k }),
  one,
)
/** The last two axes' upper triangle, zeros below; it starts `k` diagonals above the main one. */
export const triu: UnaryFn<[k?: number]> = typed(
  (x: AnyTensor, k = 0): AnyTensor => Trilu.apply([x], { upper: true, k }),
  one,
)
