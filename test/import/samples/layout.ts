import { f32 } from '../../../src/graph/sample.ts'
import { ints, type NodeSamples, nodeSample } from '../sample.ts'

export const samples: NodeSamples = {
  Flatten: [
    nodeSample([f32(2, 3, 4)]),
    nodeSample([f32(2, 3, 4)], { axis: 2 }),
    nodeSample([f32(2, 3, 4)], { axis: 0 }),
    nodeSample([f32(2, 3, 4)], { axis: -1 }),
  ],
  Squeeze: [
    nodeSample([f32(2, 1, 3, 1)]),
    nodeSample([f32(2, 1, 3, 1), ints(-1)]),
    nodeSample([f32(2, 1, 3)], { axes: [1] }, { opset: 11 }),
  ],
  Unsqueeze: [nodeSample([f32(2, 3), ints(0, -1)]), nodeSample([f32(2, 3)], { axes: [1] }, { opset: 11 })],
}
