import * as ops from '../../ops/index.ts'
import rectifiers from '../../ops/rectifiers.ts'
import type { Operators } from '../operator.ts'

/** Functions of each element by itself. */
export const ACTIVATIONS: Operators = {
  Gelu: n => ops.gelu(n.data(0), n.text('approximate', ['none', 'tanh'])),
  LeakyRelu: n => ops.leakyRelu(n.data(0), n.float('alpha', 0.01)),
  Elu: n => ops.elu(n.data(0), n.float('alpha', 1)),
  Softplus: n => ops.softplus(n.data(0)),
  Softsign: n => ops.softsign(n.data(0)),
  PRelu(n) {
    const [x, slope] = [n.data(0), n.data(1)]
    // Before opset 7 the slopes were those of the channels.
    const channels = n.opset < 7 && slope.shape.length === 1 && x.shape.length > 2
    const shape = [slope.shape[0], ...x.shape.slice(2).map(() => 1)]
    return rectifiers.PRelu.apply([x, channels ? ops.reshape(slope, shape) : slope])
  },
  HardSwish: n => ops.hardswish(n.data(0)),
}
