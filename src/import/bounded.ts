import type { FileInfo } from '../export/read.ts'
import { BYTES } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { isLeaf, postorder } from '../graph/graph.ts'
import type { Node } from '../graph/node.ts'
import { type Dim, UNKNOWN } from '../graph/shape.ts'
import type { Tensor } from '../graph/tensor.ts'
import { importOnnx } from './import.ts'

/** What computing takes at most; not a number where a size is not known before. */
export interface Cost {
  /** Multiply–accumulates, and elements that are read or written. */
  readonly operations: number
  /** Of all results, as if none were freed. */
  readonly bytes: number
}

/** The size of a dim whose symbols all stand for one number. */
function sizeOf(dim: Dim, symbols: number): number {
  if (typeof dim === 'number') return dim === UNKNOWN ? Number.NaN : dim
  const size = (text: string): number => (/^\d+$/.test(text) ? Number(text) : symbols)
  const product = (text: string): number => text.split('*').reduce((n, part) => n * size(part), 1)
  return dim.split('+').reduce((n, part) => n + product(part), 0)
}

/** What it takes to compute tensors, each node once. @param symbols the number that every symbolic dim stands for */
export function workOf(tensors: readonly Tensor[], symbols: number): Cost {
  const bind = ({ dtype, shape }: Tensor) => ({ dtype, shape: shape.map(d => sizeOf(d, symbols)) })
  const elements = (types: readonly { readonly shape: readonly number[] }[]): number =>
    types.reduce((n, { shape }) => n + shape.reduce((a, b) => a * b, 1), 0)
  let operations = 0
  let bytes = 0
  for (const node of postorder(tensors)) {
    if (isLeaf(node)) continue
    const [inputs, outputs] = [node.inputs.map(bind), node.outputs.map(bind)]
    const macs = node.op.macs?.(inputs, outputs, node.attrs) ?? elements(outputs) * windowOf(node)
    operations += macs + elements(inputs) + elements(outputs)
    for (const y of outputs) bytes += elements([y]) * BYTES[y.dtype]
  }
  return { operations, bytes }
}

/** Elements that a pooling node reads for one of its results. */
const windowOf = ({ attrs: { kernel_shape: kernel } }: Node): number =>
  Array.isArray(kernel) ? kernel.reduce<number>((a, b) => a * Number(b), 1) : 1

/** A second or so of a processor, and for every byte of a file what no common model comes to. */
const OPERATIONS = { any: 2e10, perByte: 2000 } as const
const MEMORY = { any: 2 ** 30, perByte: 20 } as const

/**
 * Whether it is known before a file is run that it ends soon, in little memory, for its size: it consists of operators that
 * onnxgrad knows, on tensors of known sizes, without loops. What a file says of its origin does not count.
 * @param batch examples of a run
 */
export function isBounded(info: FileInfo, batch: number): boolean {
  const { functions = [], graph } = info.proto
  if (functions.length || info.loops || graph?.sparseInitializer?.length) return false
  const most = ({ any, perByte }: typeof OPERATIONS | typeof MEMORY) =>
    any + perByte * info.bytes.length * batch
  try {
    const { computed, kept } = importOnnx(info, '')
    if (kept.length) return false
    const { operations, bytes } = workOf(computed, batch)
    return operations <= most(OPERATIONS) && bytes <= most(MEMORY)
  } catch (error) {
    if (error instanceof UserError) return false
    throw error
  }
}
