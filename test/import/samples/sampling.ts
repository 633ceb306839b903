import { f32, i64 } from '../../../src/graph/sample.ts'
import { held, ints, type NodeSamples, nodeSample } from '../sample.ts'

const size = held('int64', [10], [])
const window = [
  nodeSample([size]),
  nodeSample([size], { periodic: 0 }),
  nodeSample([size], { output_datatype: 11 }, { tolerance: 1e-6 }),
]
const classes = f32(4)

export const samples: NodeSamples = {
  HannWindow: window,
  HammingWindow: window,
  BlackmanWindow: window,
  GridSample: (['zeros', 'border', 'reflection'] as const).flatMap(padding_mode => [
    ...['bilinear', 'nearest', 'bicubic'].flatMap(mode =>
      [0, 1].map(align_corners =>
        nodeSample([f32(2, 3, 4, 5), f32(2, 3, 2, 2)], { mode, padding_mode, align_corners }, { opset: 16 }),
      ),
    ),
    nodeSample([f32(2, 3, 4, 5), f32(2, 3, 2, 2)], { mode: 'cubic', padding_mode }),
    nodeSample([f32(1, 2, 3, 4, 5), f32(1, 2, 2, 3, 3)], { mode: 'linear', padding_mode }),
    nodeSample([f32(1, 2, 3, 4, 5), f32(1, 2, 2, 3, 3)], { mode: 'nearest', padding_mode, align_corners: 1 }),
  ]),
  AffineGrid: [
    nodeSample([f32(2, 2, 3), ints(2, 3, 4, 5)]),
    nodeSample([f32(2, 2, 3), ints(2, 3, 4, 5)], { align_corners: 1 }),
    nodeSample([f32(1, 3, 4), ints(1, 2, 2, 3, 4)]),
  ],
  Det: [nodeSample([f32(2, 3, 3)], {}, { gradient: false })],
  NegativeLogLikelihoodLoss: ['none', 'sum', 'mean'].flatMap(reduction => [
    nodeSample([f32(5, 4), i64(4, 5)], { reduction }),
    nodeSample([f32(5, 4, 2), i64(4, 5, 2), classes.positive()], { reduction, ignore_index: 1 }),
    nodeSample([f32(5, 4, 2), i64(4, 5, 2)], { reduction, ignore_index: 1 }),
  ]),
  SoftmaxCrossEntropyLoss: ['none', 'sum', 'mean'].flatMap(reduction => [
    nodeSample([f32(5, 4), i64(4, 5)], { reduction }, { outputs: 2 }),
    nodeSample([f32(5, 4, 2), held('int64', [0, 1, -1, 3, 2, 1, 0, -1, 1, 1], [5, 2]), classes.positive()], {
      reduction,
      ignore_index: -1,
    }),
  ]),
}
