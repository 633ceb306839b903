import type { Node } from '../graph/node.ts'
import { decode } from './codec.ts'
import { Node as NodeMessage, type NodeProto } from './onnx-proto.ts'

/** Bytes as text of one character each, as an attribute of a graph's node. */
export const keptText = (bytes: Uint8Array): string => Array.from(bytes, b => String.fromCharCode(b)).join('')

/** The node of a file that was kept. @param inputs names of what it reads, in the places that the file gives them */
export function keptNode(node: Node, inputs: readonly string[]): NodeProto {
  const bytes = Uint8Array.from(String(node.attrs.node), c => c.charCodeAt(0))
  const { attribute = [], input = [] } = decode(NodeMessage, bytes, node.op.type)
  const names = [...inputs]
  return { attribute, input: input.map(given => (given ? (names.shift() ?? '') : '')) }
}
