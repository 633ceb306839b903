import { f32, i64 } from '../../../src/graph/sample.ts'
import { held, type NodeSamples, nodeSample } from '../sample.ts'

const image = f32(2, 4, 3, 5)
const four = f32(4)
const rows = f32(2, 3, 4)
const ids = { ...i64(9, 2, 3), dtype: 'int32' as const }

export const samples: NodeSamples = {
  BatchNormalization: [
    nodeSample([image, four, four, four, four.positive()], { epsilon: 0.01 }),
    nodeSample([image, four, four, four, four.positive()], { spatial: 1 }, { opset: 7 }),
    nodeSample(
      [image, four, four, four, four.positive()],
      { training_mode: 1, momentum: 0.8 },
      { outputs: 3, opset: 15 },
    ),
    nodeSample([image, four, four, four, four.positive()], { training_mode: 1 }, { outputs: 3, opset: 14 }),
  ],
  GroupNormalization: [
    nodeSample([image, four, four], { num_groups: 2, epsilon: 0.01 }),
    nodeSample([image, f32(2), f32(2)], { num_groups: 2 }, { opset: 18 }),
  ],
  LayerNormalization: [
    nodeSample([rows, four, four], { stash_type: 1 }),
    nodeSample([rows, f32(3, 4)], { axis: 1, epsilon: 0.01 }, { outputs: 3 }),
    nodeSample([rows, f32(1, 4), f32(3, 1)], { axis: 1 }),
    nodeSample([rows, f32(2, 3, 4), f32(2, 3, 4)], { axis: 0 }, { outputs: 2 }),
  ],
  RMSNormalization: [
    nodeSample([rows, four], {}, { opset: 23 }),
    nodeSample([rows, f32(3, 4)], { axis: -2, epsilon: 0.01, stash_type: 1 }, { opset: 23 }),
  ],
  SimplifiedLayerNormalization: [
    nodeSample([rows, four]),
    nodeSample([rows, f32(3, 4)], { axis: 1, epsilon: 0.01 }, { outputs: 2 }),
  ],
  LpNormalization: [
    nodeSample([rows]),
    nodeSample([rows.distinct()], { p: 1, axis: 1 }),
    nodeSample([held('float32', [3, 4, 0, 0], [2, 2])], { p: 2, axis: 1 }),
  ],
  MeanVarianceNormalization: [nodeSample([image]), nodeSample([rows], { axes: [0, 1] })],
  'com.microsoft.SkipLayerNormalization': [
    nodeSample([rows, rows, four, four, four], { epsilon: 0.01 }),
    nodeSample([rows, rows, four]),
  ],
  'com.microsoft.SkipSimplifiedLayerNormalization': [
    nodeSample([rows, rows, four, four], { epsilon: 0.01 }),
    nodeSample([rows, rows, four]),
  ],
  'com.microsoft.EmbedLayerNormalization': [
    nodeSample(
      [ids, { ...ids, domain: { below: 2 } }, f32(9, 4), f32(5, 4), f32(2, 4), four, four],
      {},
      { outputs: 2 },
    ),
    nodeSample(
      [ids, null, f32(9, 4), f32(5, 4), null, four, four, { ...ids, domain: { below: 2 } }],
      { epsilon: 0.01 },
      { outputs: 2 },
    ),
  ],
}
