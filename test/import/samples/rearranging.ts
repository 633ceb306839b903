import { bool, f32, i64 } from '../../../src/graph/sample.ts'
import { float, held, ints, type NodeSamples, nodeSample } from '../sample.ts'

const x = f32(2, 4, 5)
const old = { opset: 10 }

export const samples: NodeSamples = {
  Concat: [
    nodeSample([f32(2, 3), f32(2, 1), f32(2, 2)], { axis: -1 }),
    nodeSample([f32(2, 3)], { axis: 0 }),
    nodeSample([bool(2), bool(3)], { axis: 0 }),
  ],
  Split: [
    nodeSample([f32(7, 2)], { num_outputs: 3 }, { outputs: 3 }),
    nodeSample([f32(2, 6), ints(1, 5)], { axis: -1 }, { outputs: 2 }),
    nodeSample([f32(2, 6)], { axis: 1 }, { outputs: 2, opset: 13 }),
    nodeSample([f32(2, 6)], { axis: 1, split: [4, 2] }, { outputs: 2, opset: 11 }),
    nodeSample([f32(2, 6)], { axis: 1 }, { outputs: 1, opset: 13 }),
  ],
  Slice: [
    nodeSample([x], { starts: [1, -3], ends: [9, -1], axes: [1, 2] }, { opset: 9 }),
    nodeSample([x], { starts: [0, 1], ends: [2, 3] }, { opset: 9 }),
    nodeSample([x, ints(-1, 9), ints(-99, 0), ints(2, 1), ints(-2, -1)]),
    nodeSample([x, held('int32', [1]), held('int32', [2 ** 31 - 1])], {}, old),
    nodeSample([x, ints(3), ints(1), ints(1)]),
  ],
  Tile: [
    nodeSample([f32(2, 3), ints(2, 2)]),
    nodeSample([f32(2, 1, 3), ints(1, 1, 3)]),
    nodeSample([bool(2, 3), ints(1, 2)]),
    nodeSample([f32(2, 3), ints(1, 1)]),
    nodeSample([f32(2, 3), ints(0, 1)]),
  ],
  Pad: [
    nodeSample([x, ints(0, 1, 0, 1, 0, 2)]),
    nodeSample([x, ints(0, 1, -1, 1, -2, 2), held('float32', [1.5], [])]),
    nodeSample([x, ints(1, 2, 0, 1), held('float32', [1.5], []), ints(-1, 0)]),
    nodeSample([i64(9, 2, 3), ints(0, 1, 0, 1), held('int64', [7], [])]),
    nodeSample([bool(2, 3), ints(0, 1, 0, 1), held('bool', [1], [])]),
    nodeSample([x, ints(0, 1, -1, 1, 0, 2), f32()]),
    nodeSample([x], { pads: [0, 1, 0, 1, 0, 2], value: float(2) }, old),
    nodeSample([x], { pads: [0, 1, 2, 0, 0, 2], mode: 'reflect' }, old),
    ...['reflect', 'edge', 'wrap'].flatMap(mode => [
      nodeSample([x, ints(0, 3, 2, 1, 1, 4)], { mode }),
      nodeSample([x, ints(2, 1), null, ints(2)], { mode }),
      nodeSample([f32(3, 5), ints(0, 0, 0, 0)], { mode }),
    ]),
  ],
  DepthToSpace: [
    nodeSample([f32(2, 8, 3, 2)], { blocksize: 2 }),
    nodeSample([f32(1, 18, 2, 1)], { blocksize: 3, mode: 'CRD' }),
    nodeSample([f32(2, 8, 3, 2)], { blocksize: 2 }, old),
  ],
  SpaceToDepth: [nodeSample([f32(2, 3, 4, 6)], { blocksize: 2 })],
  Col2Im: [
    nodeSample([f32(1, 8, 6), ints(3, 4), ints(2, 2)]),
    nodeSample([f32(2, 12, 4), ints(4, 5), ints(2, 3)], {
      dilations: [2, 1],
      pads: [1, 0, 0, 1],
      strides: [2, 3],
    }),
    nodeSample([f32(1, 4, 3), ints(4), ints(2)]),
  ],
  CenterCropPad: [
    nodeSample([f32(5, 4, 3), ints(3, 4, 6)]),
    nodeSample([f32(5, 4, 3), ints(2, 7)], { axes: [-1, 0] }),
  ],
  Dropout: [
    nodeSample([x, held('float32', [0.3], [])], {}, { outputs: 2 }),
    nodeSample([x], { ratio: 0.25 }, { outputs: 2, opset: 10 }),
    nodeSample([x], { ratio: 0.25 }, { opset: 7 }),
  ],
  Reshape: [nodeSample([x, ints(0, -1)]), nodeSample([x, ints(5, -1, 2)], { allowzero: 1 })],
  Transpose: [nodeSample([x]), nodeSample([x], { perm: [2, 0, 1] })],
  Expand: [nodeSample([f32(3, 1), ints(2, 1, 4)]), nodeSample([f32(2, 3), ints(1)])],
}
