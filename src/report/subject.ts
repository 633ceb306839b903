import { METADATA } from '../export/export.ts'
import type { NodeProto, TensorProto, ValueInfoProto } from '../export/onnx-proto.ts'
import { leastRuntime } from '../export/opsets.ts'
import { type FileInfo, isWeight } from '../export/read.ts'
import { dtypeOf } from '../export/tensor-data.ts'
import { BYTES } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { type Graph, isLeaf, nodesOf, type Tensors } from '../graph/graph.ts'
import { nth, zip } from '../graph/present.ts'
import { print } from '../graph/print.ts'
import { printable } from '../graph/printable.ts'
import { type Shape, UNKNOWN } from '../graph/shape.ts'
import { surveyOnnx } from '../import/import.ts'
import { type Model, parameterCount } from '../nn/model.ts'
import { type Importable, importableOf } from './importable.ts'
import { byteSize, inWords } from './words.ts'

const basename = (path: string): string => path.split(/[\\/]/).at(-1) ?? path

/** An input or output, as it is shown. */
export interface Port {
  readonly name: string
  readonly dtype: string
  /** Undefined where a file leaves even the rank open. */
  readonly shape: Shape | undefined
}

/** What `inspect` tells of a model, wherever the model comes from. */
export interface Subject {
  /** Name in the layer table. */
  readonly name: string
  readonly heading: readonly string[]
  /** Labelled texts. */
  readonly about: readonly (readonly [label: string, text: string])[]
  /** Title and texts for machines. */
  readonly record: object
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
  /** How many numbers are learned, and the bytes that they take. */
  readonly parameters: number
  readonly parameterBytes: number
  /** Type of each node. */
  readonly operators: readonly string[]
  /** Of a file: what becomes of its nodes; undefined where its inputs or weights are damaged. */
  readonly importable?: Importable
  /** Undefined where a file holds what onnxgrad does not know; `reason` says what. */
  readonly graph?: Graph
  readonly reason?: string
  /** All nodes, one a line. */
  readonly listing: () => string
  /** The model to train; throws where a file does not say how to build it. */
  readonly model: () => Model
}

/** A model that programs know by name, before any training. */
export function modelSubject(model: Model, preset: string, config: object): Subject {
  const { name } = model
  const { graph } = model
  const ports = (tensors: Tensors): Port[] =>
    Object.entries(tensors).map(([port, { dtype, shape }]) => ({ name: port, dtype, shape }))
  const parameters = parameterCount(model)
  return {
    name,
    heading: [`${name}, preset ${preset}, before any training`],
    about: [['model', inWords(config)]],
    record: { model: name, preset, config },
    inputs: ports(graph.inputs),
    outputs: ports(graph.outputs),
    parameters,
    parameterBytes: parameters * BYTES.float32,
    operators: nodesOf(graph)
      .filter(node => !isLeaf(node))
      .map(({ op }) => typeName(op.domain, op.type)),
    graph,
    listing: () => print(graph),
    model: () => model,
  }
}

/** An `.onnx` file. @param build makes the model that the file names */
export function fileSubject(
  path: string,
  info: FileInfo,
  build: (name: string, config: object) => Model,
): Subject {
  const { bytes, proto, opset, metadata } = info
  const file = proto.graph ?? {}
  const weights = (file.initializer ?? []).filter(t => isWeight(proto, t))
  const sizes = weights.map(t => (t.dims ?? []).reduce((a, b) => a * b, 1))
  const given = new Set(file.initializer?.map(t => t.name))
  const others = (proto.opsetImport ?? []).flatMap(({ domain, version }) =>
    domain && domain !== 'ai.onnx' ? [`${printable(domain)} ${version}`] : [],
  )
  const opsets = [`opset ${opset}`, ...others]
  const producer = printable([proto.producerName, proto.producerVersion].filter(Boolean).join(' '))
  const known = { version: metadata[METADATA.version], input: metadata[METADATA.input] }
  const runtime = metadata[METADATA.runtime] ?? leastRuntime(opset)
  const { model, preprocessing, normalization, classes, training, outside } = info
  const own = new Set<string>(Object.values(METADATA))
  const foreign = Object.entries(metadata).filter(([key]) => !own.has(key))
  return {
    name: printable(String(model?.name ?? (file.name || basename(path)))),
    heading: [
      `${path}  ${byteSize(bytes.length)}`,
      `ONNX ${opsets.join(', ')}, IR version ${proto.irVersion}${producer && `, written by ${producer}`}`,
    ],
    about: [
      [
        'model',
        model?.config ? [inWords(model.name), inWords(model.config)].filter(Boolean).join(': ') : model,
      ],
      ...Object.entries({ input: known.input, preprocessing, normalization, classes, training }),
      ['runs on', runtime && `onnxruntime ${runtime} and later`],
      ['weights', weightsText(weights, sizes)],
      ['other files', outside.length ? outside : undefined],
      ...foreign,
      ['description', proto.docString || file.docString],
    ].flatMap(([label, value]) => (value ? [[printable(String(label)), inWords(value)] as const] : [])),
    record: {
      file: path,
      bytes: bytes.length,
      opset,
      opsets: Object.fromEntries((proto.opsetImport ?? []).map(o => [o.domain || 'ai.onnx', o.version])),
      irVersion: proto.irVersion,
      ...(runtime ? { onnxruntime: runtime } : {}),
      producer,
      ...(outside.length ? { otherFiles: outside } : {}),
      metadata: {
        ...Object.fromEntries(foreign),
        ...known,
        model,
        preprocessing,
        normalization,
        classes,
        training,
      },
    },
    inputs: (file.input ?? []).filter(i => !given.has(i.name)).map(portOf),
    outputs: (file.output ?? []).map(portOf),
    parameters: sizes.reduce((a, b) => a + b, 0),
    parameterBytes: weights.reduce(
      (n, t, i) => n + nth(sizes, i) * BYTES[dtypeOf(t.dataType) ?? 'float32'],
      0,
    ),
    operators: (file.node ?? []).map(n => printable(typeName(n.domain, n.opType))),
    ...graphOf(path, info, file.node ?? []),
    model() {
      if (!model)
        throw new UserError(
          `${path}: only models that onnxgrad made can be trained, and this file names none`,
        )
      return build(model.name, model.config)
    },
  }
}

function graphOf(path: string, info: FileInfo, nodes: readonly NodeProto[]) {
  const { outcomes, result } = surveyOnnx(info, basename(path))
  const importable = outcomes ? { importable: importableOf(outcomes) } : {}
  if (result instanceof UserError)
    return { ...importable, reason: result.message, listing: () => plainLines(nodes.map(nodeText)) }
  const { graph } = result
  return { ...importable, graph, listing: () => plainLines(print(graph).split('\n')) }
}

const typeName = (domain: string | undefined, type = '?'): string => (domain ? `${domain}.${type}` : type)

const plainLines = (lines: readonly string[]): string => lines.map(line => printable(line, 1000)).join('\n')

const nodeText = ({ input = [], output = [], name, domain, opType }: NodeProto): string =>
  `${output.join(', ')} = ${typeName(domain, opType)}(${input.join(', ')})${name ? `  # ${name}` : ''}`

/** Element types of ONNX that onnxgrad does not compute with. */
const OTHER_TYPES: Readonly<Record<number, string>> = {
  8: 'string',
  14: 'complex64',
  15: 'complex128',
  16: 'bfloat16',
}

/** How many weights have which dtype, the most frequent first; undefined where all are float32. */
function weightsText(weights: readonly TensorProto[], sizes: readonly number[]): string | undefined {
  const counts = new Map<string, number>()
  for (const [{ dataType = 0 }, size] of zip(weights, sizes)) {
    const dtype = dtypeOf(dataType) ?? OTHER_TYPES[dataType] ?? `type ${dataType}`
    counts.set(dtype, (counts.get(dtype) ?? 0) + size)
  }
  if ([...counts.keys()].every(dtype => dtype === 'float32')) return undefined
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([dtype, count]) => `${count.toLocaleString('en-US')} ${dtype}`)
    .join(', ')
}

function portOf({ name = '', type }: ValueInfoProto): Port {
  const { elemType, shape } = type?.tensorType ?? {}
  const dtype =
    dtypeOf(elemType) ?? OTHER_TYPES[elemType ?? 0] ?? (type?.tensorType ? `type ${elemType}` : 'no tensor')
  const dims =
    shape && (shape.dim ?? []).map(d => (d.dimParam ? printable(d.dimParam) : (d.dimValue ?? UNKNOWN)))
  return { name: printable(name), dtype, shape: dims }
}
