import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { filesBeside } from '../../src/data/beside-node.ts'
import { encode } from '../../src/export/codec.ts'
import {
  type GraphProto,
  Model,
  type ModelProto,
  type NodeProto,
  type TensorProto,
} from '../../src/export/onnx-proto.ts'
import { readOnnx } from '../../src/export/read.ts'
import { UserError } from '../../src/graph/errors.ts'
import { nodeRuntime, wasmRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { field } from '../fuzz/make-onnx.ts'
import { node, port, tensor, values } from './foreign.ts'

/** The numbers of a file that lies where onnxruntime would find it: beside the model, in the working folder. */
const SECRET = [1234.5, 2345.5, 3456.5, 4567.5]
const bytesOf = (numbers: readonly number[]) => new Uint8Array(Float32Array.from(numbers).buffer)

const EXTERNAL = 1
const outside = (name: string, entries: Readonly<Record<string, string>> = {}): TensorProto => ({
  name,
  dims: [4],
  dataType: 1,
  dataLocation: EXTERNAL,
  externalData: Object.entries({ location: 'weights.bin', ...entries }).map(([key, value]) => ({
    key,
    value,
  })),
})

const modelOf = (graph: GraphProto, more: ModelProto = {}): ModelProto => ({
  irVersion: 8,
  opsetImport: [
    { domain: '', version: 17 },
    { domain: 'mine', version: 1 },
  ],
  graph: { name: 'g', input: [port('x', [4])], output: [port('y', [4])], ...graph },
  ...more,
})

const ADD = node('Add', ['x', 'w'], 'y')
const yes = values('yes', 'bool', [], [1])
const constant = (t: TensorProto, output = 'w'): NodeProto =>
  node('Constant', [], output, 'c', [tensor('value', t)])
/** Both branches are one graph, whose output is `w`. */
const either = (graph: GraphProto, output = 'w'): NodeProto =>
  node('If', ['yes'], output, 'if', [
    { name: 'then_branch', type: 5, g: { name: 't', output: [port('o', [4])], ...graph } },
    { name: 'else_branch', type: 5, g: { name: 'e', output: [port('o', [4])], ...graph } },
  ])
const held = (t: TensorProto): GraphProto => ({ initializer: [t], node: [node('Identity', [t.name!], 'o')] })
const called = (nodes: NodeProto[]): ModelProto =>
  modelOf(
    { node: [{ ...node('F', ['x'], 'y'), domain: 'mine' }] },
    {
      functions: [
        {
          name: 'F',
          domain: 'mine',
          input: ['x'],
          output: ['y'],
          node: nodes,
          opsetImport: [{ domain: '', version: 17 }],
        },
      ],
    },
  )
const sparse = (t: TensorProto) => ({
  values: t,
  indices: values('i', 'int64', [4], [0, 1, 2, 3]),
  dims: [4],
})
const once = values('once', 'int64', [], [1])
const looped = (body: GraphProto): ModelProto =>
  modelOf({
    initializer: [yes, once],
    node: [
      node('Loop', ['once', 'yes', 'x'], 'y', 'loop', [
        {
          name: 'body',
          type: 5,
          g: {
            name: 'b',
            input: [port('i', [], 7), port('go', [], 9), port('v', [4])],
            output: [port('on', [], 9), port('r', [4])],
            ...body,
            node: [node('Identity', ['go'], 'on'), ...(body.node ?? [])],
          },
        },
      ]),
    ],
  })

/** Where a tensor may be in a model; each computes x + w. */
const PLACES: Readonly<Record<string, ModelProto>> = {
  initializer: modelOf({ initializer: [outside('w')], node: [ADD] }),
  'sparse initializer': modelOf({ sparseInitializer: [sparse(outside('w'))], node: [ADD] }),
  'value of a Constant': modelOf({ node: [constant(outside('')), ADD] }),
  'sparse value of a Constant': modelOf({
    node: [
      node('Constant', [], 'w', 'c', [{ name: 'sparse_value', type: 11, sparseTensor: sparse(outside('')) }]),
      ADD,
    ],
  }),
  'initializer of a branch': modelOf({ initializer: [yes], node: [either(held(outside('v'))), ADD] }),
  'Constant in a branch': modelOf({
    initializer: [yes],
    node: [either({ node: [constant(outside(''), 'o')] }), ADD],
  }),
  'branch of a branch': modelOf({
    initializer: [yes],
    node: [either({ node: [either(held(outside('v')), 'o')] }), ADD],
  }),
  'initializer of a loop': looped({ initializer: [outside('w')], node: [node('Add', ['v', 'w'], 'r')] }),
  'Constant in a loop': looped({ node: [constant(outside('')), node('Add', ['v', 'w'], 'r')] }),
  'Constant in a function': called([constant(outside('')), ADD]),
  'branch in a function': called([
    constant({ ...yes, name: '' }, 'yes'),
    either({ node: [constant(outside(''), 'o')] }),
    ADD,
  ]),
}

/** Places that no operator of these models reads. */
const UNREAD: Readonly<Record<string, ModelProto>> = {
  'attribute of tensors': modelOf({
    node: [{ ...ADD, attribute: [{ name: 'a', type: 9, tensors: [outside('')] }] }],
  }),
  'attribute of sparse tensors': modelOf({
    node: [{ ...ADD, attribute: [{ name: 'a', type: 12, sparseTensors: [sparse(outside(''))] }] }],
  }),
  'attribute of graphs': modelOf({
    node: [{ ...ADD, attribute: [{ name: 'a', type: 10, graphs: [held(outside('v'))] }] }],
  }),
  'indices of a sparse initializer': modelOf({
    sparseInitializer: [
      { values: values('w', 'float32', [4], SECRET), indices: { ...outside('i'), dataType: 7 }, dims: [4] },
    ],
    node: [ADD],
  }),
  'default of a function': modelOf(
    { node: [ADD] },
    {
      functions: [{ name: 'F', domain: 'mine', attributeProto: [tensor('a', outside(''))] }],
    },
  ),
  'training information': modelOf({ node: [ADD] }, { trainingInfo: [{ algorithm: held(outside('v')) }] }),
  'location that is neither': modelOf({ initializer: [{ ...outside('w'), dataLocation: 2 }], node: [ADD] }),
  'entries without a location': modelOf({
    initializer: [
      { name: 'w', dims: [4], dataType: 1, externalData: [{ key: 'location', value: 'weights.bin' }] },
    ],
    node: [ADD],
  }),
}

const here = process.cwd()
let folder: string
let cpu: Runtime
let wasm: Runtime
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onnxgrad-external-'))
  await writeFile(join(folder, 'weights.bin'), bytesOf(SECRET))
  await writeFile(join(folder, 'x.onnx'), '')
  process.chdir(folder)
  cpu = await nodeRuntime('cpu')
  wasm = await wasmRuntime()
})
afterAll(async () => {
  process.chdir(here)
  await rm(folder, { recursive: true })
})

async function run(bytes: Uint8Array): Promise<number[]> {
  const session = await cpu.load(bytes)
  const { y } = await session.run({ x: cpu.tensor('float32', Float32Array.of(0, 0, 0, 0), [4]) })
  await session.close()
  return [...(y!.data as Float32Array)]
}

const failure = (work: () => unknown): Promise<UserError> =>
  Promise.resolve()
    .then(work)
    .then(
      () => expect.fail('it was read'),
      (error: UserError) => error,
    )

describe('a tensor in another file, which is there', () => {
  test.each(Object.entries({ ...PLACES, ...UNREAD }))('is not read: %s', async (_, proto) => {
    const bytes = encode(Model, proto)
    for (const work of [() => readOnnx(bytes, 'x.onnx'), () => cpu.load(bytes), () => wasm.load(bytes)]) {
      const error = await failure(work)
      expect(error).toBeInstanceOf(UserError)
      expect(error.message).toMatch(/is stored in another file, weights\.bin; give --external-data/)
      expect(error.message).not.toContain('1234')
    }
  })

  test.each(Object.entries(PLACES))('is read when it is asked for: %s', async (_, proto) => {
    const { bytes, outside } = readOnnx(encode(Model, proto), 'x.onnx', {
      external: filesBeside(join(folder, 'x.onnx')),
    })
    expect(outside).toEqual([])
    expect(await run(bytes)).toEqual(SECRET)
  })

  test('may be left out to look at the rest', () => {
    const bytes = encode(Model, PLACES.initializer!)
    const info = readOnnx(bytes, 'x.onnx', { external: 'leave' })
    expect(info.outside).toEqual(['weights.bin'])
    expect(info.bytes).toBe(bytes)
  })

  test('does not hide in fields that are not known, or that are there twice', async () => {
    const head = encode(Model, { irVersion: 8, opsetImport: [{ version: 17 }] })
    const relu = field(1, field(4, Buffer.from('Relu')))
    const file = (part: Uint8Array) => Buffer.concat([head, field(7, Buffer.concat([relu, part]))])
    const initializer = Buffer.concat([
      Buffer.from([1 << 3, 4, 2 << 3, 1]),
      field(8, Buffer.from('w')),
      field(13, Buffer.concat([field(1, Buffer.from('location')), field(2, Buffer.from('weights.bin'))])),
      Buffer.from([14 << 3, EXTERNAL]),
    ])
    const said = async (part: Uint8Array) => (await failure(() => readOnnx(file(part), 'x.onnx'))).message
    expect(await said(field(5, initializer))).toMatch(
      /^x\.onnx: initializer w: is stored in another file, weights/,
    )
    // Readers of the format pass over a second location that they do not know, and keep the first.
    const twice = Buffer.concat([initializer, Buffer.from([14 << 3, 2])])
    expect(await said(field(5, twice))).toBe(
      'x.onnx: not a valid ONNX file (field dataLocation occurs twice)',
    )
    expect(await said(field(9, initializer))).toBe(
      'x.onnx: not a valid ONNX file (GraphProto has an unknown field, 9)',
    )
  })

  test('nor behind the name of another format', async () => {
    const bytes = encode(Model, { ...PLACES.initializer, producerName: 'ORTM' })
    expect((await failure(() => readOnnx(bytes, 'x.onnx'))).message).toMatch(
      /^x\.onnx: is in ONNX Runtime's own format/,
    )
  })
})

describe('files beside a model', () => {
  const read = (
    entries: Readonly<Record<string, string>>,
    model = join(folder, 'x.onnx'),
    t: TensorProto = {},
  ) =>
    readOnnx(
      encode(Model, modelOf({ initializer: [{ ...outside('w', entries), ...t }], node: [ADD] })),
      'x.onnx',
      {
        external: filesBeside(model),
      },
    )

  test.each<[string, Readonly<Record<string, string>>, RegExp]>([
    ['a path upwards', { location: '../weights.bin' }, /\.\.\/weights\.bin, which is not a file name in/],
    ['a path from the root', { location: '/etc/hostname' }, /\/etc\/hostname, which is not a file name/],
    ['a path downwards', { location: 'sub/weights.bin' }, /sub\/weights\.bin, which is not a file name/],
    ['a path of Windows', { location: '..\\weights.bin' }, /which is not a file name/],
    ['a drive of Windows', { location: 'C:weights.bin' }, /which is not a file name/],
    ['the folder', { location: '.' }, /which is not a file name/],
    ['the folder above', { location: '..' }, /which is not a file name/],
    ['no name', { location: '' }, /does not say where/],
    ['a name with a control character', { location: 'weights.bin\u0000' }, /which is not a file name/],
    ['a file that is not there', { location: 'none.bin' }, /none\.bin does not exist$/],
    ['a folder', { location: 'folder' }, /folder is not a file$/],
    ['a link out of the folder', { location: 'link' }, /link is a link that leaves the folder/],
    [
      'an offset that is no number',
      { offset: '-4' },
      /has an offset of -4 in weights\.bin: the file is damaged/,
    ],
    [
      'an offset beyond the end',
      { offset: '4' },
      /ends at byte 20 of weights\.bin, but that file has 16 bytes/,
    ],
    [
      'a length that does not fit',
      { length: '12' },
      /has 12 bytes in weights\.bin, but its dims \[4\] need 16/,
    ],
  ])('are refused by name: %s', async (_, entries, message) => {
    await mkdir(join(folder, 'folder'), { recursive: true })
    await rm(join(folder, 'link'), { force: true })
    await symlink('/etc/hostname', join(folder, 'link'))
    const error = await failure(() => read(entries))
    expect(error).toBeInstanceOf(UserError)
    expect(error.message).toMatch(/^x\.onnx: initializer w: /)
    expect(error.message).toMatch(message)
    expect(read({}).outside).toEqual([])
  })

  test('are read from an offset, and once for all tensors', async () => {
    await writeFile(join(folder, 'two.bin'), bytesOf([0, 0, ...SECRET]))
    const asked: string[] = []
    const t = (name: string, offset: number) =>
      outside(name, { location: 'two.bin', offset: String(offset), length: '16' })
    const proto = modelOf({
      initializer: [t('w', 8), t('v', 0)],
      node: [node('Add', ['x', 'w'], 'z'), node('Mul', ['z', 'v'], 'u'), node('Add', ['z', 'u'], 'y')],
    })
    const beside = filesBeside(join(folder, 'x.onnx'))
    const { bytes } = readOnnx(encode(Model, proto), 'x.onnx', {
      external(name) {
        asked.push(name)
        return beside(name)
      },
    })
    expect(asked).toEqual(['two.bin'])
    const v = [0, 0, SECRET[0]!, SECRET[1]!]
    expect(await run(bytes)).toEqual(SECRET.map((s, i) => Math.fround(s + Math.fround(s * v[i]!))))
  })

  // As the caches of downloads keep both: under names of their own, with links to them.
  test('are read where links lead to the folder that the model itself lies in', async () => {
    const [store, shown] = [join(folder, 'store'), join(folder, 'shown')]
    for (const path of [store, shown]) await mkdir(path)
    await writeFile(join(store, 'a1'), '')
    await writeFile(join(store, 'b2'), bytesOf(SECRET))
    await symlink(join(store, 'a1'), join(shown, 'x.onnx'))
    await symlink(join(store, 'b2'), join(shown, 'weights.bin'))
    expect(await run(read({}, join(shown, 'x.onnx')).bytes)).toEqual(SECRET)
  })
})
