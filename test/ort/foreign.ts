import { encode } from '../../src/export/codec.ts'
import {
  type AttributeProto,
  type GraphProto,
  Model,
  type NodeProto,
  type TensorProto,
} from '../../src/export/onnx-proto.ts'
import { tensorProto, toTyped } from '../../src/export/tensor-data.ts'
import type { DType } from '../../src/graph/dtype.ts'
import { hash, rng } from '../../src/graph/random.ts'

/** Bytes of a file that another program might have written. */
export const fileOf = (graph: GraphProto, opset = 17): Uint8Array =>
  encode(Model, {
    irVersion: 8,
    producerName: 'pytorch',
    producerVersion: '2.4.0',
    graph: { name: 'main_graph', ...graph },
    opsetImport: [{ domain: '', version: opset }],
  })

export const int = (name: string, i: number): AttributeProto => ({ name, type: 2, i })
export const ints = (name: string, values: number[]): AttributeProto => ({ name, type: 7, ints: values })
export const tensor = (name: string, t: TensorProto): AttributeProto => ({ name, type: 4, t })

export const node = (
  opType: string,
  input: string[],
  output: string,
  name = '',
  attribute: AttributeProto[] = [],
): NodeProto => ({ opType, input, output: [output], name, attribute })

export const values = (name: string, dtype: DType, dims: number[], data: readonly number[]): TensorProto =>
  tensorProto(name, dtype, dims, toTyped(data, dtype, data.length))

/** Standard normal weights. */
export const weight = (name: string, ...dims: number[]): TensorProto => {
  const random = rng(hash('weight', name))
  const size = dims.reduce((a, b) => a * b, 1)
  return values(
    name,
    'float32',
    dims,
    Array.from({ length: size }, () => random.normal()),
  )
}

export const port = (name: string, dims: (number | string)[], elemType = 1) => ({
  name,
  type: {
    tensorType: {
      elemType,
      shape: {
        dim: dims.map(d => (typeof d === 'number' ? { dimValue: d } : d ? { dimParam: d } : {})),
      },
    },
  },
})

/**
 * A small classifier as PyTorch's exporter writes one: a convolution that cuts patches, a class token that is
 * expanded to the batch, shapes computed at run time, transposed weights without names, doubled container names.
 */
export function pytorchFile(batch: string): Uint8Array {
  const scalar = (name: string, v: number) => values(name, 'int64', [], [v])
  const vector = (name: string, ...v: number[]) => values(name, 'int64', [v.length], v)
  const end = new BigInt64Array([0x7fffffffffffffffn]) // what x[:, 0:] is exported with
  return fileOf({
    initializer: [
      weight('cls_token', 1, 1, 8),
      weight('patch.proj.weight', 8, 1, 2, 2),
      weight('patch.proj.bias', 8),
      weight('onnx::MatMul_31', 8, 8),
      weight('blocks.0.fc.bias', 8),
      weight('head.weight', 3, 8),
      weight('head.bias', 3),
      scalar('zero', 0),
      vector('first', 0),
      vector('one', 1),
      vector('eight', 8),
      vector('rest', -1),
      vector('minus', -1),
      tensorProto('end', 'int64', [1], end),
    ],
    input: [port('pixels', [batch, 1, 4, 4])],
    output: [port('scores', [batch, 3])],
    node: [
      node('Conv', ['pixels', 'patch.proj.weight', 'patch.proj.bias'], 'c', '/patch/proj/Conv', [
        ints('kernel_shape', [2, 2]),
        ints('strides', [2, 2]),
      ]),
      // flatten(2): the shape is computed
      node('Shape', ['c'], 's', '/patch/Shape'),
      node('Slice', ['s', 'first', 'two', 'first'], 's2', '/patch/Slice'),
      node('Constant', [], 'two', '/patch/Constant', [tensor('value', values('', 'int64', [1], [2]))]),
      node('Concat', ['s2', 'rest'], 's3', '/patch/Concat', [int('axis', 0)]),
      node('Reshape', ['c', 's3'], 'flat', '/patch/Reshape', [int('allowzero', 0)]),
      node('Transpose', ['flat'], 'tokens', '/patch/Transpose', [ints('perm', [0, 2, 1])]),
      // cls_token.expand(batch, -1, -1)
      node('Shape', ['tokens'], 'ts', '/Shape'),
      node('Gather', ['ts', 'zero'], 'b', '/Gather', [int('axis', 0)]),
      node('Unsqueeze', ['b', 'first'], 'b1', '/Unsqueeze'),
      node('Concat', ['b1', 'minus', 'minus'], 'wanted', '/Concat', [int('axis', 0)]),
      node('Shape', ['wanted'], 'rank', '/Shape_1'),
      node('ConstantOfShape', ['rank'], 'ones', '/ConstantOfShape', [
        tensor('value', values('', 'int64', [1], [1])),
      ]),
      node('Mul', ['ones', 'minus'], 'minuses', '/Mul'),
      node('Equal', ['wanted', 'minuses'], 'kept', '/Equal'),
      node('Where', ['kept', 'ones', 'wanted'], 'target', '/Where'),
      node('Expand', ['cls_token', 'target'], 'cls', '/Expand'),
      node('Concat', ['cls', 'tokens'], 'x', '/Concat_1', [int('axis', 1)]),
      node('MatMul', ['x', 'onnx::MatMul_31'], 'm', '/blocks/blocks.0/fc/MatMul'),
      node('Add', ['blocks.0.fc.bias', 'm'], 'a', '/blocks/blocks.0/fc/Add'),
      node('Relu', ['a'], 'r', '/blocks/blocks.0/act/Relu'),
      node('Slice', ['r', 'first', 'end', 'one', 'one'], 'same', '/Slice_1'),
      node('Gather', ['same', 'zero'], 'token', '/Gather_1', [int('axis', 1)]),
      { ...node('Dropout', ['token'], '', '/drop/Dropout'), output: ['dropped', 'unread_mask'] },
      node('Gemm', ['dropped', 'head.weight', 'head.bias'], 'scores', '/head/Gemm', [int('transB', 1)]),
    ].sort((p, q) => Number(q.opType === 'Constant') - Number(p.opType === 'Constant')),
  })
}
