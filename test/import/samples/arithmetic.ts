import { f32 } from '../../../src/graph/sample.ts'
import { float, type NodeSamples, nodeSample } from '../sample.ts'

const three = [f32(3, 4), f32(4), f32(2, 1, 1)]

export const samples: NodeSamples = {
  Sum: [nodeSample(three), nodeSample([f32(3)])],
  Gemm: [
    nodeSample([f32(5, 7), f32(7, 3)]),
    nodeSample([f32(7, 5), f32(3, 7), f32(3)], { transA: 1, transB: 1, alpha: 0.5, beta: 2.5 }),
    nodeSample([f32(5, 7), f32(7, 3), f32(5, 1)], { beta: float(1) }),
  ],
}
