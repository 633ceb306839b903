import { attr } from '../graph/attributes.ts'
import { FLOATS } from '../graph/dtype.ts'
import { ShapeError } from '../graph/errors.ts'
import { channels } from '../graph/images.ts'
import { fileOp, sameDType } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import { show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { add, div, mul, sqrt, sub } from './elementwise.ts'
import { vjp } from './grad.ts'
import { reshape } from './layout.ts'
import { mean, variance } from './reduce.ts'

/** The norm of each channel of each image as a mean and a variance: the form that is differentiated. */
function plain(x: AnyTensor, scale: AnyTensor, bias: AnyTensor, epsilon: number): AnyTensor {
  const axes = [...x.shape.keys()].slice(2)
  const shape = [scale.shape[0], ...axes.map(() => 1)]
  const xhat = div(sub(x, mean(x, axes, true)), sqrt(add(variance(x, axes, true), epsilon)))
  return add(mul(xhat, reshape(scale, shape)), reshape(bias, shape))
}

/** (x − mean) / √(variance + ε) · scale + bias over the places of each channel (Ulyanov et al. 2016). `[n, c, ...]` */
export const InstanceNormalization = fileOp('InstanceNormalization', {
  inputs: ['input', 'scale', 'B'],
  outputs: ['output'],
  attrs: { epsilon: attr.float({ default: 1e-5 }) },
  infer: ([x, scale, bias]) => {
    sameDType('instanceNorm', [x, scale, bias], FLOATS)
    if (x.shape.length < 3)
      throw new ShapeError(`instanceNorm: takes [n, channels, ...], not ${show(x.shape)}`)
    if (x.shape.slice(2).includes(0))
      throw new ShapeError(`instanceNorm: ${show(x.shape)} has no places to take a mean of`)
    channels('instanceNorm', x.shape, { scale: scale.shape, bias: bias.shape })
    return [x]
  },
  along: axis => (axis === 0 ? [0, null, null] : undefined),
  // that of the norm written with a mean and a variance
  vjp: ({ x: [x, scale, bias], dy, attrs: { epsilon } }) => {
    const [dx, dscale, dbias] = vjp(plain(x, scale, bias, epsilon), dy, [x, scale, bias])
    return [dx, dscale, dbias]
  },
  lacks: ({ dtype }) => dtype === 'float64',
  decompose: ([x, scale, bias], { epsilon }) => [plain(x, scale, bias, epsilon)],
  samples: [
    sample(f32(2, 3, 4, 5), f32(3), f32(3), { epsilon: 1e-5 }),
    sample(f32(2, 3, 7), f32(3), f32(3), { epsilon: 1e-2 }),
  ],
})
