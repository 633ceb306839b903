import { none, op } from '../graph/node.ts'
import { f32, sample } from '../graph/sample.ts'
import { currentScope } from '../graph/scope.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { type FloatUnaryFn, typed } from '../graph/typed/signatures.ts'

const Dropout = op('Dropout', {
  random: true,
  // `site` keeps apart two layers that drop the same tensor and is not written; ONNX's Dropout is the identity
  // unless its third input says that it trains.
  infer: ([x], _: { rate: number; site: string }) => [x!],
  attrs: { rate: { kind: 'scalar', input: 1 } },
  vjp: none('the step compiler replaces it by a random mask before it differentiates'),
  samples: [sample(f32(3, 4), { rate: 0.5, site: '' })],
})

/**
 * Sets a share `rate` of the elements to zero and scales the rest by 1 / (1 − rate) (Srivastava et al. 2014) in a
 * training step; anywhere else it is the identity.
 */
export const dropout: FloatUnaryFn<[rate: number]> = typed(
  (x: AnyTensor, rate: number): AnyTensor =>
    rate === 0 ? x : Dropout.apply([x], { rate, site: currentScope() }),
)
