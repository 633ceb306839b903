import { expect, test } from 'vitest'
import type { Graph } from '../../../src/graph/graph.ts'
import { input, parameter } from '../../../src/graph/leaf.ts'
import { print } from '../../../src/graph/print.ts'
import { conv2d, maxPool2d, mul, relu } from '../../../src/ops/index.ts'
import { ownChannels, wholeChannels } from '../../../src/passes/whole-channels.ts'

const filters = (out: number, inputs: number) =>
  parameter([out, inputs, 3, 3], { kind: 'constant', value: 0 })

const graphOf = (
  channels: number,
  build: (x: ReturnType<typeof input>, p: Graph['parameters']) => Graph['outputs'],
  p: Graph['parameters'],
): Graph => {
  const x = input('x', 'float32', ['batch', channels, 8, 8])
  return { inputs: { x }, parameters: p, outputs: build(x, p) }
}

test('channels that WebGPU computes wrong become a multiple of four, by zeros in the layer before', () => {
  const graph = graphOf(
    1,
    (x, { a, b }) => ({ y: conv2d(maxPool2d(relu(conv2d(x as never, a as never)), 2), b as never) }),
    { a: filters(6, 1), b: filters(16, 6) },
  )
  expect(print(ownChannels(wholeChannels(graph)))).toBe(print(graph))
  expect(print(wholeChannels(graph))).toMatchInlineSnapshot(`
    "input x:f32[batch,1,8,8]
    parameter a:f32[6,1,3,3]
    parameter b:f32[16,6,3,3]
    v0:f32[8,1,3,3] = Pad(a) {pads=[0,0,0,0,2,0,0,0] value=0}
    v1:f32[batch,8,6,6] = Conv(x, v0) {kernel_shape=[3,3] strides=[1,1] pads=[0,0,0,0] dilations=[1,1] group=1}
    v2:f32[batch,8,6,6] = Relu(v1)
    v3:f32[batch,8,3,3] = MaxPool(v2) {kernel_shape=[2,2] strides=[2,2] pads=[0,0,0,0] dilations=[1,1] indices=false}
    v4:f32[16,8,3,3] = Pad(b) {pads=[0,0,0,0,0,2,0,0] value=0}
    v5:f32[batch,16,1,1] = Conv(v3, v4) {kernel_shape=[3,3] strides=[1,1] pads=[0,0,0,0] dilations=[1,1] group=1}
    return y=v5"
  `)
})

test('a map that others read, and an input, are padded themselves', () => {
  const shared = graphOf(
    1,
    (x, { a, b }) => {
      const map = conv2d(x as never, a as never)
      return { y: conv2d(map, b as never), z: mul(map, 2) }
    },
    { a: filters(6, 1), b: filters(16, 6) },
  )
  expect(print(ownChannels(wholeChannels(shared)))).toBe(print(shared))
  expect(print(wholeChannels(shared))).toMatchInlineSnapshot(`
    "input x:f32[batch,1,8,8]
    parameter a:f32[6,1,3,3]
    parameter b:f32[16,6,3,3]
    v0:f32[batch,6,6,6] = Conv(x, a) {kernel_shape=[3,3] strides=[1,1] pads=[0,0,0,0] dilations=[1,1] group=1}
    v1:f32[batch,8,6,6] = Pad(v0) {pads=[0,0,0,0,0,2,0,0] value=0}
    v2:f32[16,8,3,3] = Pad(b) {pads=[0,0,0,0,0,2,0,0] value=0}
    v3:f32[batch,16,4,4] = Conv(v1, v2) {kernel_shape=[3,3] strides=[1,1] pads=[0,0,0,0] dilations=[1,1] group=1}
    v4:f32[batch,6,6,6] = Mul(v0, 2)
    return y=v3, z=v4"
  `)
  const first = graphOf(9, (x, { b }) => ({ y: conv2d(x as never, b as never) }), { b: filters(8, 9) })
  expect(print(wholeChannels(first))).toMatchInlineSnapshot(`
    "input x:f32[batch,9,8,8]
    parameter b:f32[8,9,3,3]
    v0:f32[batch,12,8,8] = Pad(x) {pads=[0,0,0,0,0,3,0,0] value=0}
    v1:f32[8,12,3,3] = Pad(b) {pads=[0,0,0,0,0,3,0,0] value=0}
    v2:f32[batch,8,6,6] = Conv(v0, v1) {kernel_shape=[3,3] strides=[1,1] pads=[0,0,0,0] dilations=[1,1] group=1}
    return y=v2"
  `)
})

test.each([
  ['channels in fours', 12, 16, 1],
  ['three channels', 3, 16, 1],
  ['channels that threes do not divide', 10, 16, 1],
  ['filters that fours do not divide', 6, 15, 1],
  ['groups', 6, 12, 2],
])('%s are left as they are', (_, channels, out, groups) => {
  const graph = graphOf(
    channels,
    (x, { b }) => ({ y: conv2d(x as never, b as never, undefined, { groups }) }),
    { b: filters(out, channels / groups) },
  )
  expect(wholeChannels(graph).outputs.y).toBe(graph.outputs.y)
})
