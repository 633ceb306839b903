import { f32 } from '../../../src/graph/sample.ts'
import { float, type NodeSamples, nodeSample } from '../sample.ts'

const x = f32(3, 8).distinct()

export const samples: NodeSamples = {
  Gelu: [nodeSample([x]), nodeSample([x], { approximate: 'tanh' })],
  LeakyRelu: [nodeSample([x]), nodeSample([x], { alpha: 0.2 })],
  Elu: [nodeSample([x]), nodeSample([x], { alpha: float(2) })],
  Softplus: [nodeSample([x])],
  Softsign: [nodeSample([x])],
  PRelu: [nodeSample([x, f32(8)])],
  HardSwish: [nodeSample([x])],
}
