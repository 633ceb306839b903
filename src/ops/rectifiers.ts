import { attr } from '../graph/attributes.ts'
import { FLOATS, isFloat } from '../graph/dtype.ts'
import { elementwise, fileOp, sameDType } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { softplus } from './activation.ts'
import {
  abs,
  add,
  cast,
  clip,
  div,
  exp,
  greater,
  less,
  mul,
  sigmoid,
  sub,
  tanh,
  where,
} from './elementwise.ts'
import { onesLike, zerosLike } from './fill.ts'

const x = f32(3, 8).distinct()
// onnxruntime's kernels are of single precision.
const single = ({ dtype }: { readonly dtype: string }): boolean => dtype === 'float64'
/** Ones where the condition holds, else zeros. */
const mask = (condition: AnyTensor, like: AnyTensor): AnyTensor => cast(condition, like.dtype)
/** exp x for x ≤ 0, else 1: of a branch that is not taken, and must not overflow. */
const decay = (x: AnyTensor): AnyTensor => exp(clip(x, Number.NEGATIVE_INFINITY, 0))

const PRelu = fileOp('PRelu', {
  inputs: ['X', 'slope'],
  infer: ([x, slope]) => {
    shapes.expand('prelu: slope', slope.shape, x.shape)
    return [{ dtype: sameDType('prelu', [x, slope], FLOATS), shape: x.shape }]
  },
  along: elementwise,
  // y = x for x > 0, else s x: dx = dy or s dy, ds = 0 or x dy
  vjp: ({ x: [x, slope], dy }) => {
    const positive = greater(x, 0)
    return [where(positive, dy, mul(dy, slope)), where(positive, zerosLike(x), mul(dy, x))]
  },
  decompose: ([x, slope]) => [where(greater(x, 0), x, mul(x, slope))],
  lacks: single,
  samples: [sample(x, f32(8)), sample(f32(2, 3, 4).distinct(), f32(3, 1))],
})

/** clip(α x + β, 0, 1), in elementary ops. */
export const hardSigmoid = (x: AnyTensor, alpha: number, beta: number): AnyTensor =>
  clip(add(mul(x, alpha), beta), 0, 1)

const HardSigmoid = fileOp('HardSigmoid', {
  inputs: ['X'],
  attrs: { alpha: attr.float({ default: 0.2 }), beta: attr.float({ default: 0.5 }) },
  infer: ([x]) => [{ dtype: sameDType('hardSigmoid', [x], FLOATS), shape: x.shape }],
  along: elementwise,
  // y = clip(α x + β, 0, 1): dx = α dy where 0 < y < 1
  vjp: ({ y: [y], dy, attrs: { alpha } }) => [
    mul(dy, mul(mask(greater(mul(y, sub(onesLike(y), y)), 0), dy), alpha)),
  ],
  decompose: ([x], { alpha, beta }) => [hardSigmoid(x, alpha, beta)],
  lacks: single,
  samples: [sample(x, { alpha: 0.3, beta: 0.4 })],
})

const Selu = fileOp('Selu', {
  inputs: ['X'],
  attrs: {
    alpha: attr.float({ default: 1.6732632423543772 }),
    gamma: attr.float({ default: 1.0507009873554805 }),
  },
  infer: ([x]) => [{ dtype: sameDType('selu', [x], FLOATS), shape: x.shape }],
  along: elementwise,
  // y = γ x for x > 0, else γ α (eˣ − 1): dx = γ dy or γ α eˣ dy
  vjp: ({ x: [x], dy, attrs: { alpha, gamma } }) => [
    mul(dy, where(greater(x, 0), mul(onesLike(x), gamma), mul(decay(x), alpha * gamma))),
  ],
  decompose: ([x], { alpha, gamma }) => [mul(where(greater(x, 0), x, mul(sub(decay(x), 1), alpha)), gamma)],
  lacks: single,
  samples: [sample(x, { alpha: 1.5, gamma: 1.2 })],
})

const Celu = fileOp('Celu', {
  inputs: ['X'],
  attrs: { alpha: attr.float({ default: 1 }) },
  infer: ([x]) => [{ dtype: sameDType('celu', [x], FLOATS), shape: x.shape }],
  along: elementwise,
  // y = x for x > 0, else α (exp(x/α) − 1): dx = dy or exp(x/α) dy
  vjp: ({ x: [x], dy, attrs: { alpha } }) => [where(greater(x, 0), dy, mul(dy, decay(div(x, alpha))))],
  decompose: ([x], { alpha }) => [where(greater(x, 0), x, mul(sub(decay(div(x, alpha)), 1), alpha))],
  lacks: single,
  samples: [sample(x, { alpha: 1.5 })],
})

const Mish = fileOp('Mish', {
  since: 18,
  inputs: ['X'],
  infer: ([x]) => [{ dtype: sameDType('mish', [x], FLOATS), shape: x.shape }],
  along: elementwise,
  // y = x t with t = tanh(softplus(x)): dx = (t + x (1 − t²) σ(x)) dy
  vjp: ({ x: [x], dy }) => {
    const t = tanh(softplus(x))
    return [mul(dy, add(t, mul(mul(x, sub(onesLike(t), mul(t, t))), sigmoid(x))))]
  },
  decompose: ([x]) => [mul(x, tanh(softplus(x)))],
  lacks: single,
  samples: [sample(f32(3, 8))],
})

const ThresholdedRelu = fileOp('ThresholdedRelu', {
  inputs: ['X'],
  attrs: { alpha: attr.float({ default: 1 }) },
  infer: ([x]) => [{ dtype: sameDType('thresholdedRelu', [x], FLOATS), shape: x.shape }],
  along: elementwise,
  // y = x for x > α, else 0: dx = [x > α] dy
  vjp: ({ x: [x], dy, attrs: { alpha } }) => [mul(dy, mask(greater(x, alpha), dy))],
  decompose: ([x], { alpha }) => [where(greater(x, alpha), x, zerosLike(x))],
  lacks: single,
  samples: [sample(x, { alpha: 0.7 })],
})

const Shrink = fileOp('Shrink', {
  inputs: ['input'],
  outputs: ['output'],
  attrs: { bias: attr.float({ default: 0 }), lambd: attr.float({ default: 0.5 }) },
  infer: ([x]) => [x],
  along: elementwise,
  // y = x − b for x > λ, x + b for x < −λ, else 0: dx = [|x| > λ] dy
  vjp: ({ x: [x], dy, attrs: { lambd } }) =>
    isFloat(dy.dtype) ? [mul(dy, mask(greater(abs(x), lambd), dy))] : [null],
  decompose: ([x], { bias, lambd }) => [
    where(greater(x, lambd), sub(x, bias), where(less(x, -lambd), add(x, bias), zerosLike(x))),
  ],
  // onnxruntime's kernel for doubles computes in single precision.
  lacks: single,
  samples: [sample(x, { bias: 0.3, lambd: 0.7 })],
})

/** Primitives that files may have. */
export default { Celu, HardSigmoid, Mish, PRelu, Selu, Shrink, ThresholdedRelu }
