import { lower } from '../export/lower.ts'
import { toTyped } from '../export/tensor-data.ts'
import { emptyArray, type TypedArray } from '../graph/array.ts'
import { sizesOf } from '../graph/bind.ts'
import { UserError } from '../graph/errors.ts'
import { type Graph, nodesOf, type Tensors } from '../graph/graph.ts'
import { Input, ParameterOp } from '../graph/leaf.ts'
import { lookup, nth } from '../graph/present.ts'
import type { Tensor } from '../graph/tensor.ts'
import { resolved } from '../ops/mode.ts'
import { runnableOn } from '../passes/runnable.ts'
import type { OrtTensor, Runtime } from './session.ts'

export interface Evaluated {
  readonly dtype: string
  readonly dims: readonly number[]
  readonly data: TypedArray
}

/** A graph of named outputs, without markers; its inputs are found by walking back, named as they were declared. */
export function graphOf(outputs: Tensors): Graph {
  const leaves = nodesOf({ inputs: {}, parameters: {}, outputs })
  const inputs = leaves
    .filter(n => n.op === Input)
    .map(n => [String(n.attrs.name), nth(n.outputs, 0)] as const)
  const names = inputs.map(([name]) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new UserError(`two inputs are named ${twice}; declare one and use it twice`)
  const parameter = leaves.find(n => n.op === ParameterOp)
  if (parameter) throw new UserError('the graph reads a parameter; give its values through a model')
  return resolved({ inputs: Object.fromEntries(inputs), parameters: {}, outputs })
}

/**
 * Evaluates tensors once: for tests, tools and quick checks. Training and serving use programs that stay loaded.
 * @param feeds values of the inputs, by name; numbers are converted to each input's dtype
 */
export async function evaluate(
  runtime: Runtime,
  outputs: Tensors,
  feeds: Readonly<Record<string, ArrayLike<number> | TypedArray>>,
  dims: Readonly<Record<string, readonly number[]>> = {},
  opset = 21,
): Promise<Record<string, Evaluated>> {
  const graph = runnableOn(graphOf(outputs), runtime.device)
  const session = await runtime.load(lower(graph, { name: 'evaluate', opset }), { optimize: 'disabled' })
  const ready: Record<string, OrtTensor> = {}
  for (const [name, t] of Object.entries(graph.inputs)) {
    const data = feeds[name]
    if (!data) throw new UserError(`evaluate: no value for input ${name}`)
    const shape = dims[name] ?? concrete(t)
    const typed = matches(data, t) ? data : toTyped(data, t.dtype, data.length)
    ready[name] = runtime.tensor(t.dtype, typed, shape)
  }
  const got = await session.run(ready)
  const result: Record<string, Evaluated> = {}
  for (const name of Object.keys(outputs)) {
    const t = lookup(got, name)
    // Copied, because a session may reuse its output buffers.
    result[name] = { dtype: t.type, dims: t.dims, data: t.data.slice() }
  }
  await session.close()
  return result
}

const matches = (data: ArrayLike<number> | TypedArray, t: Tensor): data is TypedArray =>
  ArrayBuffer.isView(data) && data.constructor === emptyArray(t.dtype, 0).constructor

function concrete(t: Tensor): number[] {
  const known = t.shape.every(d => typeof d === 'number' && d >= 0)
  if (!known) throw new UserError(`evaluate: give the dims of an input of shape [${t.shape.join()}]`)
  return [...sizesOf(t.shape)]
}
