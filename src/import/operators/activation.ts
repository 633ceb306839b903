import * as ops from '../../ops/index.ts'
import type { Operators } from '../operator.ts'

/** Functions of each element by itself. */
export const ACTIVATIONS: Operators = {
  Gelu: n => ops.gelu(n.data(0), n.text('approximate', ['none', 'tanh'])),
  LeakyRelu: n => ops.leakyRelu(n.data(0), n.float('alpha', 0.01)),
  Elu: n => ops.elu(n.data(0), n.float('alpha', 1)),
  Softplus: n => ops.softplus(n.data(0)),
  Softsign: n => ops.softsign(n.data(0)),
  HardSwish: n => ops.hardswish(n.data(0)),
}
