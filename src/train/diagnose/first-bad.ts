import type { TypedArray } from '../../graph/array.ts'
import { BYTES, isFloat } from '../../graph/dtype.ts'
import { isLeaf, postorder } from '../../graph/graph.ts'
import type { Node } from '../../graph/node.ts'
import { lookup, nth } from '../../graph/present.ts'
import type { Tensor } from '../../graph/tensor.ts'
import { evaluate } from '../../runtime/evaluate.ts'
import type { Runtime } from '../../runtime/session.ts'

/** What of a tensor is not finite. */
export interface Defects {
  /** Elements, and how many of them are NaN or infinite. */
  readonly size: number
  readonly nan: number
  readonly infinite: number
}

/** Values that a node read. */
export interface Operand {
  /** Of an input. */
  readonly name?: string
  readonly least: number
  readonly most: number
}

/** The node that made the first value that is not finite out of values that are. */
export interface FirstBad extends Defects {
  /** Operator, as ONNX calls it. */
  readonly op: string
  readonly shape: readonly number[]
  readonly part: 'model' | 'loss' | 'gradient'
  /** Path of the layer, such as `blocks.0.attn`; empty for what belongs to none. */
  readonly layer: string
  readonly operands: readonly Operand[]
}

type Feeds = Readonly<Record<string, TypedArray>>

/** Where the model ends: its outputs, and the loss that is made of them. */
interface Ends {
  readonly ends: readonly Tensor[]
  readonly loss: Tensor
}

/** Bytes of intermediate results that are looked at together. */
const CHUNK = 2 ** 27

export function defectsOf(data: TypedArray): Defects {
  let nan = 0
  let infinite = 0
  if (data instanceof Float32Array)
    for (const v of data) {
      if (Number.isNaN(v)) nan++
      else if (!Number.isFinite(v)) infinite++
    }
  return { size: data.length, nan, infinite }
}

/**
 * The first node, each after its inputs, that makes of finite values what is not finite. Where there is none, because a
 * mask brought infinities in on purpose, the first that makes NaN of what has none.
 * @param results all that the step computes
 */
export async function firstBad(
  runtime: Runtime,
  results: readonly Tensor[],
  ends: Ends,
  feeds: Feeds,
): Promise<FirstBad | undefined> {
  const order = postorder(results)
  const bad = new Set<Tensor>(order.filter(n => isLeaf(n) && bringsInfinity(n)).flatMap(n => n.outputs))
  const withNaN = new Set<Tensor>()
  let makesNaN: Node | undefined
  for (const chunk of chunksOf(order)) {
    const tensors = chunk.flatMap(n => n.outputs)
    const got = await evaluate(runtime, Object.fromEntries(tensors.map((t, i) => [i, t])), feeds)
    for (const [i, t] of tensors.entries()) {
      const { nan, infinite } = defectsOf(lookup(got, i).data)
      if (nan) withNaN.add(t)
      if (nan || infinite) bad.add(t)
    }
    const begins = (of: ReadonlySet<Tensor>) => (n: Node) =>
      n.outputs.some(t => of.has(t)) && !n.inputs.some(t => of.has(t))
    const first = chunk.find(n => begins(bad)(n) && !bringsInfinity(n))
    if (first) return described(runtime, first, ends, feeds)
    makesNaN ??= chunk.find(begins(withNaN))
  }
  return makesNaN && described(runtime, makesNaN, ends, feeds)
}

/** Whether a node brings in infinities that it was told of, such as the border of a max pool. */
const bringsInfinity = ({ attrs }: Node): boolean =>
  Object.values(attrs).some(v => [v].flat().some(x => isInfinite(x)))

const isInfinite = (v: unknown): boolean =>
  v instanceof Float64Array ? v.some(isInfinite) : typeof v === 'number' && Math.abs(v) === Infinity

/** Nodes with float results, in order, in pieces of about {@link CHUNK} bytes. */
function* chunksOf(order: readonly Node[]): Generator<Node[]> {
  let chunk: Node[] = []
  let bytes = 0
  for (const node of order) {
    if (isLeaf(node) || !node.outputs.some(t => isFloat(t.dtype))) continue
    chunk.push(node)
    bytes += node.outputs.reduce((n, t) => n + bytesOf(t), 0)
    if (bytes < CHUNK) continue
    yield chunk
    chunk = []
    bytes = 0
  }
  if (chunk.length) yield chunk
}

const bytesOf = ({ dtype, shape }: Tensor): number =>
  shape.reduce<number>((n, d) => n * Number(d), BYTES[dtype])

async function described(
  runtime: Runtime,
  node: Node,
  { ends, loss }: Ends,
  feeds: Feeds,
): Promise<FirstBad> {
  const { inputs, outputs, op, scope } = node
  const output = nth(outputs, 0)
  const tensors = [output, ...inputs]
  const got = await evaluate(runtime, Object.fromEntries(tensors.map((t, i) => [i, t])), feeds)
  const contains = (root: Tensor) => postorder([root]).includes(node)
  const part = ends.some(contains) ? 'model' : contains(loss) ? 'loss' : 'gradient'
  return {
    op: op.type,
    shape: output.shape.map(Number),
    part,
    layer: part === 'loss' ? '' : scope,
    ...defectsOf(lookup(got, 0).data),
    operands: inputs.map((t, i): Operand => {
      const { name } = t.node.attrs
      return { ...(typeof name === 'string' && name ? { name } : {}), ...rangeOf(lookup(got, i + 1).data) }
    }),
  }
}

function rangeOf(data: TypedArray): { least: number; most: number } {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const v of data) {
    least = Math.min(least, Number(v))
    most = Math.max(most, Number(v))
  }
  return { least, most }
}
