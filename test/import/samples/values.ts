import { f32 } from '../../../src/graph/sample.ts'
import { float, floats, held, ints, type NodeSamples, nodeSample } from '../sample.ts'

export const samples: NodeSamples = {
  Identity: [nodeSample([f32(2, 3)])],
  Constant: [
    nodeSample([], { value_int: 3 }),
    nodeSample([], { value_ints: [1, 2] }),
    nodeSample([], { value_float: float(0.5) }),
    nodeSample([], { value_floats: floats(0.5, 2) }),
  ],
  ConstantOfShape: [nodeSample([ints(2, 3)]), nodeSample([held('int64', [], [0])])],
}
