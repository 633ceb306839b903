import { f32, i64, whole } from '../../../src/graph/sample.ts'
import { held, ints, type NodeSample, type NodeSamples, nodeSample } from '../sample.ts'

const x = f32(3, 4, 5).distinct()
const flat = { gradient: false }
const none = held('int64', [], [0])

/** Axes as input and, before `since`, as attribute; kept and not; none at all. */
const reduced = (since: number, data = x): NodeSample[] => [
  nodeSample([data, ints(0, -1)]),
  nodeSample([data, ints(1)], { keepdims: 0 }),
  nodeSample([data], { axes: [1, 2], keepdims: 0 }, { opset: since - 1 }),
  nodeSample([data]),
  nodeSample([data, none], { keepdims: 0 }),
  nodeSample([data, none], { noop_with_empty_axes: 1 }),
]

export const samples: NodeSamples = {
  ReduceSum: [...reduced(13), nodeSample([i64(9, 3, 4), ints(1)])],
  ReduceMean: [...reduced(18), nodeSample([i64(9, 3, 4), ints(1)])],
  ReduceProd: [
    ...reduced(18, f32(3, 2, 5)),
    // None, one or several zeros in a row.
    nodeSample([whole('float32', 3, 9, 4), ints(1)]),
  ],
  ReduceMax: [...reduced(18), nodeSample([whole('uint8', 99, 3, 4), ints(1)])],
  ReduceMin: [...reduced(18), nodeSample([whole('int32', 99, 3, 4), ints(1)])],
  ReduceL1: [...reduced(18), nodeSample([whole('int32', 9, 3, 4).between(-9, 9), ints(1)])],
  ReduceL2: reduced(18),
  ReduceSumSquare: reduced(18),
  ReduceLogSum: reduced(18, f32(3, 4, 5).positive()),
  ReduceLogSumExp: reduced(18),
  ArgMax: [
    nodeSample([x], {}, flat),
    nodeSample([x], { axis: -1, keepdims: 0 }, flat),
    nodeSample([i64(3, 4, 9)], { axis: 1, select_last_index: 1 }),
    nodeSample([i64(3, 4, 9)], { axis: 1, keepdims: 0 }),
  ],
  ArgMin: [
    nodeSample([x], { axis: 1 }, flat),
    nodeSample([i64(3, 4, 9)], { axis: -1, keepdims: 0, select_last_index: 1 }),
    nodeSample([i64(3, 4, 9)], { axis: 1 }),
  ],
  Softmax: [
    nodeSample([x]),
    nodeSample([x], { axis: 1 }),
    nodeSample([x], {}, { opset: 11 }),
    nodeSample([x], { axis: 0 }, { opset: 11 }),
    nodeSample([x], { axis: 2 }, { opset: 11 }),
  ],
  LogSoftmax: [nodeSample([x], { axis: 0 }), nodeSample([x], {}, { opset: 11 })],
  Hardmax: [nodeSample([x], { axis: 1 }), nodeSample([x], {}, { opset: 11 })],
}
