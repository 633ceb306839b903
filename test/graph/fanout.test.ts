import { expect, test } from 'vitest'
import { type Graph, isLeaf, nodesOf } from '../../src/graph/graph.ts'
import { input } from '../../src/graph/leaf.ts'
import type { Tensor } from '../../src/graph/tensor.ts'
import { concat, split } from '../../src/ops/layout.ts'
import { limitFanout } from '../../src/passes/fanout.ts'

const graphOf = (inputs: readonly Tensor[], outputs: readonly Tensor[]): Graph => ({
  inputs: Object.fromEntries(inputs.map((t, i) => [`x${i}`, t])),
  parameters: {},
  outputs: Object.fromEntries(outputs.map((t, i) => [`y${i}`, t])),
})

const widest = (graph: Graph): number =>
  Math.max(...nodesOf(graph).map(n => Math.max(n.inputs.length, n.outputs.length)))

/** The leaves of a tree of concatenations, from left to right. */
const leavesOf = (t: Tensor): Tensor[] => (isLeaf(t.node) ? [t] : t.node.inputs.flatMap(leavesOf))

test('a concatenation of many tensors becomes a tree of small ones, in the same order', () => {
  const inputs = Array.from({ length: 38 }, (_, i) => input(`x${i}`, 'float32', [2, i + 1, 3]))
  const narrow = limitFanout(graphOf(inputs, [concat(inputs, 1)]), 6)
  const y = narrow.outputs.y0!
  expect(widest(narrow)).toBe(6)
  expect(leavesOf(y)).toEqual(inputs)
  expect(
    nodesOf(narrow)
      .filter(n => !isLeaf(n))
      .map(n => n.attrs.axis),
  ).toEqual(Array(9).fill(1))
  expect(y.shape).toEqual([2, (38 * 39) / 2, 3])
})

test('a split into many pieces becomes a slice for each that is read', () => {
  const sizes = [4, 1, 3, 2, 5, 1, 7]
  const x = input('x0', 'float32', [2, 23])
  const pieces = split(x, 1, sizes)
  const narrow = limitFanout(graphOf([x], [pieces[0]!, pieces[2]!, pieces[6]!]), 6)
  const slices = Object.values(narrow.outputs).map(t => t.node)
  expect(slices.map(n => [n.op.type, n.inputs[0], n.attrs.axes, n.attrs.starts, n.attrs.ends])).toEqual([
    ['Slice', x, [1], [0], [4]],
    ['Slice', x, [1], [5], [8]],
    ['Slice', x, [1], [16], [23]],
  ])
})

test('nodes that are narrow enough stay as they are', () => {
  const x = input('x0', 'float32', [6])
  const graph = graphOf([x], [concat([...split(x, 0, 6)].reverse(), 0)])
  expect(limitFanout(graph, 6).outputs).toEqual(graph.outputs)
  expect(limitFanout(graph, Number.POSITIVE_INFINITY).outputs).toEqual(graph.outputs)
})
