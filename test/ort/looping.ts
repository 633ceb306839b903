import type { GraphProto } from '../../src/export/onnx-proto.ts'
import { node, port, tensor, values } from './foreign.ts'

/** x [n, 4], doubled `times` times by a Loop; of 2^62 times none sees the end. */
export function looping(times: number): GraphProto {
  const rows = (name: string) => port(name, ['n', 4])
  const body: GraphProto = {
    name: 'body',
    input: [port('i', [], 7), port('go', [], 9), rows('v')],
    output: [port('on', [], 9), rows('w')],
    node: [node('Identity', ['go'], 'on'), node('Add', ['v', 'v'], 'w')],
  }
  return {
    input: [rows('x')],
    output: [rows('y')],
    node: [
      node('Constant', [], 'times', '', [tensor('value', values('', 'int64', [], [times]))]),
      node('Loop', ['times', '', 'x'], 'y', 'loop', [{ name: 'body', type: 5, g: body }]),
    ],
  }
}

/** The same of images of 2 × 2 pixels, as a classifier reads them. */
export function loopingImages(times: number): GraphProto {
  const { node: nodes = [], ...graph } = looping(times)
  return {
    ...graph,
    input: [port('image', ['n', 1, 2, 2])],
    initializer: [values('row', 'int64', [2], [-1, 4])],
    node: [node('Reshape', ['image', 'row'], 'x'), ...nodes],
  }
}
