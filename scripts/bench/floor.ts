import { lower } from '../../src/export/lower.ts'
import { type Graph, nodesOf } from '../../src/graph/graph.ts'
import { Constant, input } from '../../src/graph/leaf.ts'
import { makeNode } from '../../src/graph/node.ts'
import { nth } from '../../src/graph/present.ts'
import type { Shape } from '../../src/graph/shape.ts'
import type { AnyTensor, Tensor } from '../../src/graph/tensor.ts'
import { concat, reshape, slice } from '../../src/ops/layout.ts'
import type { OrtTensor, Runtime, Session } from '../../src/runtime/session.ts'

/**
 * The matrix products of a step and nothing else: what no rewriting of the rest can save. Products with a constant
 * (sums and transpositions in disguise) are left out, and so are biases.
 */
export function productsOf(step: Graph): Graph {
  const inputs: Record<string, Tensor> = {}
  const operand = (t: Tensor, place: number): Tensor => {
    const name = `${place}:${t.dtype}[${t.shape.join()}]`
    inputs[name] ??= input(name, t.dtype, t.shape)
    return inputs[name]
  }
  const read: AnyTensor[] = []
  for (const node of nodesOf(step)) {
    const operands = node.inputs.slice(0, 2)
    if (!node.op.macs || operands.some(t => t.node.op === Constant)) continue
    // `null` keeps products of equal shapes apart. One element of each is read, so that its memory is used again.
    const y: AnyTensor = nth(makeNode(node.op, operands.map(operand), node.attrs, null).outputs, 0)
    read.push(slice(reshape(y, [-1]), 0, 0, 1))
  }
  return { inputs, parameters: {}, outputs: { y: concat(read, 0) } }
}

const sizeOf = (shape: Shape): number => (shape as readonly number[]).reduce((a, b) => a * b, 1)

/** A loaded {@link productsOf}: call it for one run. */
export async function loadProducts(
  runtime: Runtime,
  step: Graph,
  threads: number | undefined,
): Promise<() => Promise<unknown>> {
  const graph = productsOf(step)
  const settings = { optimize: 'disabled', ...(threads ? { threads } : {}) } as const
  const session: Session = await runtime.load(lower(graph, { name: 'products', opset: 21 }), settings)
  const feeds: Record<string, OrtTensor> = {}
  for (const [name, t] of Object.entries(graph.inputs)) {
    const data = new Float32Array(sizeOf(t.shape)).fill(0.01)
    feeds[name] = runtime.tensor(t.dtype, data, t.shape as number[])
  }
  return () => session.run(feeds)
}
