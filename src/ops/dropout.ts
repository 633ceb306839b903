import { attr } from '../graph/attributes.ts'
import { ShapeError, UserError } from '../graph/errors.ts'
import { noGradient, op } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import { currentScope } from '../graph/scope.ts'
import { show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { type FloatUnaryFn, typed } from '../graph/typed/signatures.ts'

type Per = 'element' | 'sample'

const Dropout = op('Dropout', {
  random: true,
  inputs: ['data'],
  outputs: ['output'],
  // `site` keeps apart two layers that drop the same tensor; it and `per` are not written: ONNX's Dropout is the
  // identity unless its third input says that it trains.
  attrs: {
    rate: attr.scalar({ name: 'ratio', input: 1, default: 0.5 }),
    site: attr.internal({ default: '' }),
    per: attr.internal<Per>({ default: 'element' }),
  },
  infer: ([x]) => [x],
  vjp: noGradient('the step compiler replaces it with a random mask before differentiation'),
  samples: [
    sample(f32(3, 4), { rate: 0.5, site: '', per: 'element' }),
    sample(f32(3, 4), { rate: 0.2, site: '', per: 'sample' }),
  ],
})

const drop = (name: string, x: AnyTensor, rate: number, per: Per): AnyTensor => {
  if (!(rate >= 0 && rate < 1))
    throw new UserError(`${name}: the rate must be at least 0 and below 1, not ${rate}`)
  return rate === 0 ? x : Dropout.apply([x], { rate, site: currentScope(), per })
}

/**
 * Sets a fraction `rate` of the elements to zero and scales the rest by 1 / (1 − rate) (Srivastava et al. 2014) in a training step;
 * otherwise it is the identity.
 */
export const dropout: FloatUnaryFn<[rate: number]> = typed(
  (x: AnyTensor, rate: number): AnyTensor => drop('dropout', x, rate, 'element'),
  t => [t(2, 3), 0.5],
)

/**
 * Stochastic depth (Huang et al. 2016), for a residual branch: sets a fraction `rate` of the samples (axis 0) to zero and scales
 * the others by 1 / (1 − rate), like timm's DropPath, in a training step; otherwise it is the identity. @param x `[B, ...]`
 */
export const dropPath: FloatUnaryFn<[rate: number]> = typed(
  (x: AnyTensor, rate: number): AnyTensor => {
    if (x.shape.length === 0) throw new ShapeError(`dropPath: ${show(x.shape)} has no batch axis`)
    return drop('dropPath', x, rate, 'sample')
  },
  t => [t(2, 3), 0.5],
)

export default { Dropout }
