import { mlp, vit } from '../../models/index.ts'
import { encode } from '../../src/export/codec.ts'
import { exportOnnx, METADATA } from '../../src/export/export.ts'
import { type GraphProto, Model, type ModelProto, type TensorProto } from '../../src/export/onnx-proto.ts'
import type { Model as AnyModel } from '../../src/nn/model.ts'
import { normalized } from '../../src/nn/normalize.ts'
import { initialized } from '../../src/nn/trained.ts'
import { fileOf, int, ints, node, port, pytorchFile, tensor, values, weight } from '../ort/foreign.ts'

const small = { image: 4, channels: 1, classes: 2 }
const normalization = { mean: [0.5], std: [0.25] }

const own = (model: AnyModel): Uint8Array =>
  exportOnnx({
    ...initialized(normalized(model, 'image', normalization)),
    classes: ['a', 'b'],
    training: { epochs: 1, testAccuracy: 0.5 },
  })

const x = port('x', [2, 3])
const y = port('y', [2, 3])
const one = (graph: GraphProto): Uint8Array => fileOf({ input: [x], output: [y], ...graph })
const withMetadata = (key: string, value: string): Uint8Array =>
  encode(Model, {
    irVersion: 8,
    graph: { input: [x], output: [y], node: [node('Relu', ['x'], 'y')] },
    opsetImport: [{ domain: '', version: 17 }],
    metadataProps: [{ key, value }],
  } satisfies ModelProto)

/** A weight whose data lie in another file. */
const outside = (location: string): Uint8Array =>
  one({
    initializer: [
      {
        name: 'w',
        dims: [2, 3],
        dataType: 1,
        dataLocation: 1,
        externalData: [
          { key: 'location', value: location },
          { key: 'length', value: '24' },
        ],
      },
    ],
    node: [node('Add', ['x', 'w'], 'y')],
  })

const added = (w: TensorProto): Uint8Array => one({ initializer: [w], node: [node('Add', ['x', 'w'], 'y')] })

/** One name for everything that has one. */
const named = (name: string): Uint8Array =>
  fileOf({
    input: [port(name, [name, 2, 3])],
    initializer: [weight(`${name}.weight`, 2, 3)],
    node: [
      node('Add', [name, `${name}.weight`], `${name}/0`, `/${name}/${name}/Add`),
      node('Transpose', [`${name}/0`], `${name}.`, name, [ints('perm', [0, 2, 1])]),
      node('Softmax', [`${name}.`], `${name}!`, name, [int('axis', -1)]),
    ],
    output: [port(`${name}!`, [name, 3, 2])],
  })

/** A length-delimited field of bytes. */
export function field(id: number, content: Uint8Array): Uint8Array {
  const length: number[] = []
  for (let n = content.length; ; n = Math.floor(n / 128)) {
    length.push(n < 128 ? n : (n % 128) | 128)
    if (n < 128) break
  }
  return Buffer.concat([Uint8Array.of((id << 3) | 2, ...length), content])
}

const nested = (id: number, times: number): Uint8Array => {
  let bytes: Uint8Array = new Uint8Array()
  for (let i = 0; i < times; i++) bytes = field(id, bytes)
  return bytes
}

/** `If` in `If` in …, as attributes hold graphs. */
function branches(depth: number): Uint8Array {
  let graph: Uint8Array = new Uint8Array()
  for (let i = 0; i < depth; i++) {
    const attribute = Buffer.concat([field(1, Buffer.from('then_branch')), field(6, graph)])
    graph = field(1, Buffer.concat([field(4, Buffer.from('If')), field(5, attribute)]))
  }
  return Buffer.concat([Uint8Array.of(8, 8), field(7, graph)])
}

const good = own(mlp({ ...small, hidden: [3] }))
const list = (name: string, length: number) =>
  values(name, 'int64', [length], new Array<number>(length).fill(1))
const chain = (count: number, type: string) =>
  Array.from({ length: count }, (_, i) => node(type, [i ? `v${i}` : 'x'], i < count - 1 ? `v${i + 1}` : 'y'))

/** Models of ours and of others, and what is none. */
export const hostileOnnx = (): Record<string, Uint8Array> => ({
  'good-mlp': good,
  'good-vit': own(vit({ ...small, patch: 2, dim: 4, depth: 1, heads: 2, mlp: 4 })),
  'good-pytorch': pytorchFile('N'),
  empty: new Uint8Array(),
  'no-graph': encode(Model, { irVersion: 8 }),
  truncated: good.subarray(0, good.length / 2),
  // bytes
  'varint-too-long': Buffer.concat([Uint8Array.of(8), Buffer.alloc(12, 0xff), good]),
  'length-past-the-end': Buffer.concat([Uint8Array.of(8, 8, 0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f), good]),
  'length-below-zero': Buffer.concat([Uint8Array.of(8, 8, 0x3a), Buffer.alloc(9, 0xff), Uint8Array.of(1)]),
  group: Buffer.concat([Uint8Array.of((90 << 3) | 3, (90 << 3) | 4), good]),
  'groups-in-groups': Buffer.concat([Buffer.alloc(20_000, (9 << 3) | 3), good]),
  'end-of-no-group': Buffer.concat([Uint8Array.of((9 << 3) | 4), good]),
  'messages-in-messages': Buffer.concat([nested(9, 5000), good]),
  'graph-twice': Buffer.concat([good, field(7, field(2, Buffer.from('second')))]),
  'list-ends-in-an-element': Buffer.concat([
    Uint8Array.of(8, 8),
    field(7, field(5, Buffer.concat([field(1, Uint8Array.of(0x80)), field(8, Buffer.from('w'))]))),
  ]),
  'branches-in-branches': branches(200),
  // graphs
  cycle: one({ node: [node('Add', ['x', 'b'], 'a'), node('Relu', ['a'], 'b'), node('Relu', ['b'], 'y')] }),
  'node-reads-itself': one({ node: [node('Add', ['x', 'y'], 'y')] }),
  'name-twice': one({ node: [node('Relu', ['x'], 'y'), node('Relu', ['x'], 'y')] }),
  'input-twice': fileOf({ input: [x, x], output: [y], node: [node('Relu', ['x'], 'y')] }),
  'no-outputs': fileOf({ input: [x], node: [node('Relu', ['x'], 'y')] }),
  'no-names': fileOf({ input: [{}], output: [{}], node: [{}], initializer: [{}] }),
  'chain-of-1000': one({ node: chain(1000, 'Relu') }),
  'path-of-200-layers': one({
    node: chain(50, 'Relu').map(n => ({ ...n, name: `${'a/'.repeat(200)}Relu` })),
  }),
  'name-proto': named('__proto__'),
  'name-constructor': named('constructor'),
  'name-to-string': named('toString'),
  'name-control-characters': named('a\u001b[31m\r\n\u2028\u202eb'),
  'name-of-1000-characters': named('n'.repeat(1000)),
  // shapes
  'dims-huge': fileOf({
    input: [port('x', [2 ** 40, 2 ** 40])],
    output: [x],
    node: [node('Relu', ['x'], 'y')],
  }),
  'dims-negative': added({ ...weight('w', 4), dims: [-2, -2] }),
  'dims-1000': added({ ...weight('w', 1), dims: new Array<number>(1000).fill(1) }),
  'dims-overflow-to-zero': added({
    name: 'w',
    dims: [2 ** 32, 2 ** 32, 0],
    dataType: 1,
    rawData: new Uint8Array(),
  }),
  'input-of-1000-dims': fileOf({
    input: [port('x', new Array<number>(1000).fill(1))],
    output: [y],
    node: [node('Transpose', ['x'], 'y')],
  }),
  'size-doubles-at-each-node': fileOf({
    input: [port('x', ['n', 3])],
    output: [port('v40', ['', 3])],
    node: Array.from({ length: 40 }, (_, i) =>
      node('Concat', [i ? `v${i}` : 'x', i ? `v${i}` : 'x'], `v${i + 1}`, '', [int('axis', 0)]),
    ),
  }),
  'split-into-a-billion': one({ node: [node('Split', ['x'], 'y', 's', [int('num_outputs', 1e9)])] }),
  'axes-5000': one({
    node: [node('Unsqueeze', ['x'], 'y', 'u', [ints('axes', [...Array(10_000).keys()])])],
  }),
  'shape-of-negative-length': one({
    initializer: [values('s', 'int64', [1], [-5])],
    node: [node('ConstantOfShape', ['s'], 'y', 'c', [tensor('value', values('', 'int64', [1], [1]))])],
  }),
  'lists-joined-without-end': one({
    initializer: [list('l', 1024)],
    node: [node('Concat', new Array<string>(1000).fill('l'), 'y', 'c', [int('axis', 0)])],
  }),
  'inputs-3000': one({ node: [node('Max', new Array<string>(3000).fill('x'), 'y')] }),
  'stride-zero': fileOf({
    input: [port('x', [1, 1, 4, 4])],
    output: [port('y', [1, 1, 2, 2])],
    initializer: [weight('w', 1, 1, 2, 2)],
    node: [node('Conv', ['x', 'w'], 'y', 'c', [ints('strides', [0, 0]), ints('kernel_shape', [2, 2])])],
  }),
  'groups-zero': fileOf({
    input: [port('x', [1, 2, 4, 4])],
    output: [port('y', [1, 2, 3, 3])],
    initializer: [weight('w', 2, 1, 2, 2)],
    node: [node('Conv', ['x', 'w'], 'y', 'c', [int('group', 0)])],
  }),
  // data
  'raw-data-short': added({ ...weight('w', 2, 3), dims: [2, 4] }),
  'raw-data-long': added({ ...weight('w', 2, 3), dims: [1, 3] }),
  'not-a-number-as-integer': added({ name: 'w', dims: [1], dataType: 7, doubleData: [Number.NaN] }),
  'floats-as-integers': added({ name: 'w', dims: [1], dataType: 7, floatData: [Number.NaN] }),
  'type-unknown': added({ name: 'w', dims: [1], dataType: 99, int32Data: [1] }),
  'outside-parent': outside('../../secret.bin'),
  'outside-absolute': outside('/etc/hostname'),
  'outside-beside': outside('weights.bin'),
  'outside-without-location': added({ name: 'w', dims: [1], dataType: 1, dataLocation: 1 }),
  // metadata
  'metadata-classes-a-number': withMetadata(METADATA.classes, '5'),
  'metadata-model-null': withMetadata(METADATA.model, '{"name":"vit","config":null}'),
  'metadata-model-a-list': withMetadata(METADATA.model, '[]'),
  'metadata-normalization-text': withMetadata(METADATA.normalization, '{"mean":"0.5","std":[1]}'),
  'metadata-training-null': withMetadata(METADATA.training, 'null'),
  'metadata-no-json': withMetadata(METADATA.training, '{'),
  'metadata-deep': withMetadata(METADATA.training, `{"a":${'['.repeat(9000)}${']'.repeat(9000)}}`),
  'metadata-proto': withMetadata('__proto__', 'polluted'),
  'metadata-own-proto': withMetadata(METADATA.model, '{"name":"mlp","config":{"__proto__":{"image":4}}}'),
  'metadata-control-characters': withMetadata('a\u001b]0;title\u0007', '\u001b[2J\r\n'),
})
