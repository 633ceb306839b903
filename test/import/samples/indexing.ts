import { bool, f32, i64 } from '../../../src/graph/sample.ts'
import { held, ints, type NodeSamples, nodeSample } from '../sample.ts'

const x = f32(4, 3)
const index = held('int64', [0, -1, 2, 1, -3, 3], [2, 3])
const updates = f32(2, 3)
const nd = held('int64', [1, -1, 0, 2, 3, 0], [3, 2])
const fixed = { gradient: false }

export const samples: NodeSamples = {
  Gather: [
    nodeSample([x, ints(-1, 0, -4)]),
    nodeSample([x, held('int32', [2, -1, -1], [1, 3])], { axis: -1 }),
    nodeSample([x, held('int64', [-2], [])], { axis: 1 }),
  ],
  GatherElements: [
    nodeSample([x, held('int64', [-1, 0, 2, -4, -1, 1], [2, 3])]),
    nodeSample([x, held('int64', [-1, 0, 2, -3], [4, 1])], { axis: -1 }),
  ],
  GatherND: [
    nodeSample([x, nd]),
    nodeSample([f32(2, 3, 4), held('int64', [-1, 0, 2, 1], [2, 2, 1])], { batch_dims: 1 }),
    nodeSample([f32(2, 3, 4), held('int64', [-1, 0, -1, 0], [2, 1, 2])]),
  ],
  Scatter: [nodeSample([x, index, updates], { axis: 0 }, { opset: 9 })],
  ScatterElements: [
    nodeSample([x, index, updates]),
    nodeSample([x, index, updates], {}, { opset: 11 }),
    nodeSample([x, held('int64', [-1, 0, 1, 2], [4, 1]), f32(4, 1)], { axis: -1 }),
    ...['add', 'mul', 'max', 'min'].map(reduction =>
      nodeSample([x.distinct(), held('int64', [0, -1, 2, 0, 3, -2], [2, 3]), updates], {
        axis: 0,
        reduction,
      }),
    ),
    // Updates of zero: one alone, two at one place
    nodeSample([x, held('int64', [0, 1, 0, 0, -3, 2], [2, 3]), held('float32', [0, 0, 2, 3, 0, 4], [2, 3])], {
      reduction: 'mul',
    }),
  ],
  ScatterND: [
    nodeSample([x, nd, f32(3)]),
    nodeSample([x, held('int64', [-1, 0], [2, 1]), updates]),
    ...['add', 'mul', 'max', 'min'].flatMap(reduction => [
      nodeSample([x, held('int64', [-1, 1, 0, 2, 2, 1], [3, 2]), f32(3).distinct()], { reduction }),
      nodeSample([f32(3, 4).distinct(), held('int64', [-1, 0], [2, 1]), f32(2, 4)], { reduction }),
    ]),
  ],
  OneHot: [
    nodeSample([i64(5, 3), ints(5), f32(2)]),
    nodeSample([held('int64', [0, -1, 7, -9], [2, 2]), held('int64', [4], []), f32(2)], { axis: 1 }),
    nodeSample([held('float32', [0, 2, -1]), held('float32', [3]), f32(2)], { axis: 0 }),
  ],
  EyeLike: [
    nodeSample([f32(3, 4)], {}, fixed),
    nodeSample([f32(3, 4)], { k: 1, dtype: 7 }, fixed),
    nodeSample([f32(3, 4)], { k: -2 }, fixed),
  ],
  NonZero: [nodeSample([bool(3, 4)]), nodeSample([f32(2, 3, 4)], {}, fixed), nodeSample([bool()])],
  Compress: [
    nodeSample([x, held('bool', [1, 0, 1])], { axis: 0 }),
    nodeSample([x, held('bool', [1, 0, 1])], { axis: -1 }),
    nodeSample([x, held('bool', [0, 1, 1, 0, 1])]),
    nodeSample([x, bool(4)], { axis: 0 }, fixed),
    nodeSample([x, bool(12)], {}, fixed),
  ],
  TopK: [
    nodeSample([f32(3, 5).distinct(), ints(3)], {}, { outputs: 2 }),
    nodeSample([f32(3, 5).distinct(), ints(2)], { axis: 0, largest: 0 }, { outputs: 2 }),
    nodeSample([f32(3, 5).distinct(), ints(2)], { axis: -1 }, { outputs: 2, opset: 10 }),
    nodeSample([f32(3, 5).distinct()], { k: 2, axis: 1 }, { outputs: 2, opset: 9 }),
  ],
  ReverseSequence: [
    nodeSample([f32(4, 3, 2), ints(1, 4, 2)]),
    nodeSample([f32(3, 4), ints(1, 4, 2)], { batch_axis: 0, time_axis: 1 }),
  ],
  CumSum: [
    nodeSample([f32(3, 5), held('int64', [1], [])]),
    nodeSample([f32(3, 5), held('int32', [-2], [])], { exclusive: 1 }),
    nodeSample([f32(3, 5), ints(0)], { exclusive: 1, reverse: 1 }),
  ],
  Trilu: [
    nodeSample([f32(4, 5)]),
    nodeSample([f32(2, 4, 5), held('int64', [-1], [])], { upper: 0 }),
    nodeSample([f32(4, 5), i64(3)], { upper: 0 }),
    nodeSample([f32(4, 5), i64(3)]),
    nodeSample([bool(4, 5), held('int64', [1], [])]),
  ],
  Range: [
    nodeSample([held('float32', [1], []), held('float32', [8], []), held('float32', [2.5], [])]),
    nodeSample([held('int64', [3], []), i64(9), held('int64', [-1], [])]),
    nodeSample([held('int32', [10], []), held('int32', [4], []), held('int32', [-3], [])]),
  ],
  TensorScatter: [
    nodeSample([f32(2, 4, 3), f32(2, 2, 3), ints(1, 2)], {}, { opset: 24 }),
    nodeSample([f32(2, 4, 3), f32(2, 2, 3), ints(3, 1)], { mode: 'circular', axis: 1 }, { opset: 24 }),
    nodeSample([f32(2, 3, 4), f32(2, 3, 2)], { axis: 2 }, { opset: 24 }),
  ],
}
