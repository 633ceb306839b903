import { bool, f32, i64, whole } from '../../../src/graph/sample.ts'
import { float, held, type NodeSamples, nodeSample } from '../sample.ts'

const x = f32(3, 8).distinct()
const pair = [f32(3, 8), f32(8).positive()]
const three = [f32(3, 4), f32(4), f32(2, 1, 1)]
const integers = [i64(9, 3, 4), i64(9, 4).between(1, 9)]
const small = whole('int8', 99, 3, 4)
const flat = { gradient: false }

export const samples: NodeSamples = {
  Add: [nodeSample(pair), nodeSample(integers)],
  Sub: [nodeSample(pair), nodeSample(integers)],
  Mul: [nodeSample(pair), nodeSample(integers)],
  Div: [nodeSample(pair), nodeSample(integers)],
  Pow: [
    nodeSample([f32(3, 8).positive(), f32(8)]),
    nodeSample([f32(3, 8), held('int64', [2], [])]),
    nodeSample([f32(3, 8).positive(), i64(4, 8)]),
    nodeSample([i64(4, 3, 8), f32(8).between(0, 3)]),
    nodeSample([whole('int32', 9, 3, 8), i64(4, 8)]),
  ],
  Mod: [
    nodeSample(pair, { fmod: 1 }),
    nodeSample([i64(9, 3, 4).between(-20, 20), i64(9, 4).between(1, 9)]),
    nodeSample([i64(9, 3, 4).between(-20, 20), i64(9, 4).between(-9, -1)]),
    nodeSample([i64(9, 3, 4).between(-20, 20), i64(9, 4).between(1, 9)], { fmod: 1 }),
  ],
  Equal: [nodeSample([bool(3, 4), bool(4)]), nodeSample([i64(3, 3, 4), i64(3, 4)])],
  Greater: [nodeSample(pair, {}, flat), nodeSample(integers)],
  Less: [nodeSample(pair, {}, flat), nodeSample(integers)],
  And: [nodeSample([bool(3, 4), bool(4)])],
  Or: [nodeSample([bool(3, 4), bool(4)])],
  Xor: [nodeSample([bool(3, 4), bool(4)])],
  Max: [nodeSample(three), nodeSample([f32(3)]), nodeSample(integers)],
  Min: [nodeSample(three), nodeSample([f32(3)]), nodeSample(integers)],
  Mean: [nodeSample(three), nodeSample([f32(3)])],
  Neg: [nodeSample([f32(3)]), nodeSample([i64(9, 3)])],
  BitShift: [
    nodeSample([whole('uint8', 255, 3, 4), whole('uint8', 8, 4)], { direction: 'LEFT' }),
    nodeSample([whole('uint64', 255, 3, 4), whole('uint64', 8, 4)], { direction: 'RIGHT' }),
  ],
  Clip: [
    nodeSample([x, held('float32', [-0.6], []), held('float32', [0.8], [])]),
    nodeSample([x, null, held('float32', [0.8], [])]),
    nodeSample([x, f32(), f32().positive()], {}, flat),
    nodeSample([x, f32().between(-0.7, -0.6), f32().between(0.6, 0.7)]),
    nodeSample([x], { min: float(-0.6) }, { opset: 6 }),
    nodeSample([i64(9, 8), held('int64', [2], []), held('int64', [5], [])]),
    nodeSample([small, whole('int8', 5), whole('int8', 50)]),
    nodeSample([x, f32().between(-0.7, -0.6)]),
  ],
  Where: [
    nodeSample([bool(3, 4), f32(3, 4), f32(4)]),
    nodeSample([bool(3, 4), whole('uint8', 9, 3, 4), whole('uint8', 9, 4)]),
  ],
  Cast: [
    nodeSample([x], { to: 9 }, flat),
    nodeSample([x], { to: 5 }, flat),
    nodeSample([x], { to: 11 }),
    nodeSample([bool(3)], { to: 13 }),
    nodeSample([small], { to: 1 }),
  ],
  CastLike: [nodeSample([x, i64(3, 1)], {}, flat), nodeSample([i64(9, 3), f32(1)], {}, flat)],
  Swish: [nodeSample([x], { alpha: 1.5 }, { opset: 24 }), nodeSample([x], {}, { opset: 24 })],
}
