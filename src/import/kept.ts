import { encode } from '../export/codec.ts'
import { keptText } from '../export/kept.ts'
import { type AttributeProto, Node, type NodeProto, type ValueInfoProto } from '../export/onnx-proto.ts'
import type { TensorType } from '../graph/attributes.ts'
import { keptOp } from '../graph/kept.ts'
import { makeNode } from '../graph/node.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { checkShape, statedDim } from './dims.ts'
import type { NodeReader } from './node-reader.ts'
import { importedType } from './tensor.ts'

/** Types that a file states for its values, by name. */
export type StatedTypes = ReadonlyMap<string, ValueInfoProto>

/** Domains of operators that onnxruntime has. */
const KNOWN: ReadonlySet<string> = new Set(['', 'ai.onnx.ml', 'com.microsoft'])

/** Whether the graphs of an attribute read nothing of what is around them, whose names may be others in the next file. */
const isClosed = ({ g, graphs = [] }: AttributeProto): boolean =>
  [...(g ? [g] : []), ...graphs].every(graph => {
    const own = new Set([...(graph.input ?? []), ...(graph.initializer ?? [])].map(v => v.name ?? ''))
    for (const node of graph.node ?? []) {
      if (!(node.input ?? []).every(name => !name || own.has(name))) return false
      if (!(node.attribute ?? []).every(isClosed)) return false
      for (const name of node.output ?? []) own.add(name)
    }
    return graph.output?.every(o => own.has(o.name ?? '')) ?? true
  })

/**
 * The outputs of a node that runs as the file has it, without a gradient; undefined where the file does not state their types, or the
 * node holds graphs that read values around them.
 */
export function keptOutputs(
  proto: NodeProto,
  node: NodeReader,
  stated: StatedTypes,
): readonly AnyTensor[] | undefined {
  if (!KNOWN.has(node.domain) || !(proto.attribute ?? []).every(isClosed)) return undefined
  const types = (proto.output ?? []).map(name => statedType(stated.get(name)))
  if (!types.length || !types.every(t => t !== undefined)) return undefined
  const inputs = node.inputs.flatMap((_, i) => node.optional(i) ?? [])
  const bytes = encode(Node, {
    attribute: proto.attribute ?? [],
    input: node.inputs.map(v => (v ? 'given' : '')),
    opType: node.type,
    domain: node.domain,
  })
  return makeNode(keptOp(node.type, node.domain, types, node.version), inputs, {
    node: keptText(bytes),
    ...Object.fromEntries(types.map((t, i) => [`shape${i}`, t.shape])),
  }).outputs
}

/** The type that a file states for a value, where onnxgrad can compute with it. */
export function statedType(info: ValueInfoProto | undefined): TensorType | undefined {
  const { elemType, shape } = info?.type?.tensorType ?? {}
  const dtype = importedType(elemType)
  // The node itself still computes half precision.
  if (!dtype || !shape || (dtype === 'float32' && elemType !== 1)) return undefined
  const dims = (shape.dim ?? []).map(d => (d.dimParam ? statedDim(d.dimParam) : (d.dimValue ?? -1)))
  const type = { dtype, shape: dims }
  checkShape(type)
  return type
}
