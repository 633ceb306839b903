import type { ModelProto, NodeProto } from '../export/onnx-proto.ts'
import type { FileInfo } from '../export/read.ts'

const readsAny = (nodes: readonly NodeProto[], names: readonly string[]): boolean =>
  nodes.some(node => node.input?.some(name => names.includes(name)))

/** A batch norm that takes its batch's statistics, as one that takes the running ones. */
function evaluating(node: NodeProto, nodes: readonly NodeProto[]): NodeProto {
  if (node.opType !== 'BatchNormalization' || node.domain) return node
  const [y, ...statistics] = node.output ?? []
  const mode = node.attribute?.find(a => a.name === 'training_mode')
  if ((!mode?.i && !statistics.length) || y === undefined || readsAny(nodes, statistics)) return node
  const attribute = (node.attribute ?? []).filter(a => a !== mode)
  return { ...node, attribute, output: [y] }
}

/**
 * A file that was exported in training mode, with batch norms in evaluation mode: their running statistics are then part of what is
 * loaded, and a model is set to training by `setBatchNorm`.
 */
export function inEvaluation(info: FileInfo): FileInfo {
  const { graph } = info.proto
  const nodes = graph?.node ?? []
  const returned = new Set(graph?.output?.map(o => o.name))
  const changed = nodes.map(node =>
    node.output?.slice(1).some(name => returned.has(name)) ? node : evaluating(node, nodes),
  )
  if (!graph || changed.every((node, i) => node === nodes[i])) return info
  const proto: ModelProto = { ...info.proto, graph: { ...graph, node: changed } }
  return { ...info, proto }
}
