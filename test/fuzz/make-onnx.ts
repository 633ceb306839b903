import { mlp, vit } from '../../models/index.ts'
import { encode } from '../../src/export/codec.ts'
import { exportOnnx, METADATA } from '../../src/export/export.ts'
import {
  type AttributeProto,
  type GraphProto,
  Model,
  type ModelProto,
  type NodeProto,
  type TensorProto,
} from '../../src/export/onnx-proto.ts'
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

const string = (name: string, s: string): AttributeProto => ({ name, type: 3, s: Buffer.from(s) })
const yes = values('', 'bool', [], [1])
const graph = (name: string, g: GraphProto): AttributeProto => ({ name, type: 5, g: { name, ...g } })

/** A loop of 1024 rounds that carries one value. */
const loop = (from: string, to: string, body: GraphProto) =>
  node('Loop', ['rounds', 'yes', from], to, '', [graph('body', body)])
/** A body that does nothing with what it gets, in which names end with `at`. */
const idle = (at: string, nodes: readonly NodeProto[] = [], result = `v${at}`): GraphProto => ({
  input: [port(`i${at}`, []), port(`go${at}`, []), port(`v${at}`, [])],
  node: [...nodes],
  output: [port('yes', []), port(result, [])],
})
const looped = (body: GraphProto): Uint8Array =>
  one({
    initializer: [values('rounds', 'int64', [], [1024]), { ...yes, name: 'yes' }],
    node: [loop('x', 'y', body)],
  })

/** Branches of which only the run time knows which is taken, in each other. */
function choices(depth: number): NodeProto {
  const inner = depth ? choices(depth - 1) : node('Relu', ['x'], 'c0')
  const branch = (name: string) => graph(name, { node: [inner], output: [port(`c${depth}`, [2, 3])] })
  return node('If', ['p'], `c${depth + 1}`, '', [branch('then_branch'), branch('else_branch')])
}

/** Functions that call each other, each the one before it 16 times. */
function calling(first = 't0'): Uint8Array {
  const body = (type: string, domain = '') =>
    Array.from({ length: 16 }, (_, i) => ({
      ...node(type, [`t${i}`], `t${i + 1}`),
      domain,
    }))
  const called = (name: string, nodes: NodeProto[]) => ({
    name,
    domain: 'own',
    input: ['t0'],
    output: ['t16'],
    node: nodes,
    opsetImport: [{ domain: '', version: 17 }],
  })
  return encode(Model, {
    irVersion: 10,
    graph: { name: 'g', input: [x], output: [y], node: [{ ...node('f3', ['x'], 'y'), domain: 'own' }] },
    functions: [
      called('f0', [node('Relu', [first], 't1'), ...body('Relu').slice(1)]),
      ...[1, 2, 3].map(i => called(`f${i}`, body(`f${i - 1}`, 'own'))),
    ],
    opsetImport: [
      { domain: '', version: 17 },
      { domain: 'own', version: 1 },
    ],
  })
}

/** A known list that nodes pass on. */
const followed = (shape: number[], count: number, next: (from: string, to: string) => NodeProto) =>
  one({
    node: [
      node('Constant', [], 'k0', '', [
        tensor('value', values('', 'int64', shape, new Array<number>(1024).fill(1))),
      ]),
      ...Array.from({ length: count }, (_, i) => next(`k${i}`, `k${i + 1}`)),
      node('Relu', ['x'], 'y'),
    ],
  })

/** A node whose second input is a list of the file. */
const listed = (type: string, given: readonly number[], dims: number[] = [2, 3]) =>
  fileOf({
    input: [port('x', dims)],
    output: [y],
    node: [
      node('Constant', [], 'l', '', [tensor('value', values('', 'int64', [given.length], given))]),
      node(type, ['x', 'l'], 'y', 'n'),
    ],
  })

const image = (type: string, ...attributes: AttributeProto[]) =>
  fileOf({
    input: [port('x', [1, 4, 4, 4])],
    output: [y],
    node: [node(type, ['x'], 'y', 'n', attributes)],
  })

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
  // operators
  'fill-of-a-terabyte': fileOf({
    input: [x],
    output: [y],
    node: [
      node('Constant', [], 'l', '', [tensor('value', values('', 'int64', [1], [2 ** 40]))]),
      node('ConstantOfShape', ['l'], 'y'),
    ],
  }),
  'heads-of-a-matrix': one({
    node: [
      { ...node('MultiHeadAttention', ['x'], 'y', 'n', [int('num_heads', 1)]), domain: 'com.microsoft' },
    ],
  }),
  'heads-zero': fileOf({
    input: [port('x', [1, 2, 6])],
    output: [y],
    node: [
      node('Attention', ['x', 'x', 'x'], 'y', 'n', [int('q_num_heads', 0), int('kv_num_heads', 2 ** 31)]),
    ],
  }),
  'attention-of-a-billion-tokens': fileOf({
    input: [port('x', [1, 1, 2 ** 30, 4])],
    output: [port('y', [1, 1, 2 ** 30, 4])],
    node: [node('Attention', ['x', 'x', 'x'], 'y', 'n', [int('is_causal', 1)])],
  }),
  'window-of-a-billion': fileOf({
    input: [x],
    output: [y],
    node: [
      node('Constant', [], 'l', '', [tensor('value', values('', 'int64', [], [1e9]))]),
      node('HannWindow', ['l'], 'y', 'n'),
    ],
  }),
  'grid-of-a-billion': listed('AffineGrid', [1, 1, 1e9, 1e9], [1, 2, 3]),
  'grid-of-60-axes': fileOf({
    input: [port('x', new Array<number>(60).fill(1)), port('g', [...new Array<number>(59).fill(1), 58])],
    output: [y],
    node: [node('GridSample', ['x', 'g'], 'y', 'n')],
  }),
  'grid-of-1000-axes': listed('AffineGrid', new Array<number>(1000).fill(1), [1, 2, 3]),
  'centre-of-too-few-axes': listed('CenterCropPad', [1]),
  'slice-without-starts': fileOf({
    input: [x],
    output: [y],
    initializer: [values('none', 'int64', [0], []), values('one', 'int64', [1], [1])],
    node: [node('Slice', ['x', 'none', 'one', 'one'], 'y', 's')],
  }),
  'block-of-size-zero': image('DepthToSpace', int('blocksize', 0)),
  'neighbours-a-billion': image('LRN', int('size', 1e9 + 1)),
  'known-split-into-a-billion': followed([1024], 1, (from, to) =>
    node('Split', [from], to, 's', [int('num_outputs', 1e9)]),
  ),
  'known-of-64-axes': followed([...new Array<number>(63).fill(1), 1024], 500, (from, to) =>
    node('Transpose', [from], to),
  ),
  'known-without-end': followed([1024], 500, (from, to) => node('Mul', [from, from], to)),
  'loops-without-nodes': looped(
    idle('', [loop('v', 'r', idle('2', [loop('v2', 'r2', idle('3'))], 'r2'))], 'r'),
  ),
  'loop-that-doubles': looped(idle('', [node('Concat', ['v', 'v'], 'r', '', [int('axis', 0)])], 'r')),
  'loop-of-no-inputs': looped({ output: [port('yes', [])] }),
  'scan-of-a-billion': one({
    node: [
      node('Scan', ['x'], 'y', 's', [
        int('num_scan_inputs', 1e9),
        graph('body', { input: [x], output: [x] }),
      ]),
    ],
  }),
  'choices-in-choices': fileOf({
    input: [x, { name: 'p', type: { tensorType: { elemType: 9, shape: { dim: [] } } } }],
    output: [port('c6', [2, 3])],
    node: [choices(5)],
  }),
  'functions-of-many-nodes': calling(),
  'functions-that-fail': calling('nothing'),
  'letters-a-thousand': one({
    node: [
      node('Einsum', new Array<string>(1000).fill('x'), 'y', 'e', [
        string('equation', `${new Array<string>(1000).fill('ij').join()}->ij`),
      ]),
    ],
  }),
  'axis-far-below-zero': fileOf(
    {
      input: [x],
      output: [y],
      node: [node('Add', ['x', 'x'], 'y', 'a', [int('axis', -(2 ** 50)), int('broadcast', 1)])],
    },
    6,
  ),
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
