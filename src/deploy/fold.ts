import { toTyped } from '../export/tensor-data.ts'
import { sizeOfDims, type TypedArray } from '../graph/array.ts'
import { isConcrete, sizesOf } from '../graph/bind.ts'
import { BYTES, type DType } from '../graph/dtype.ts'
import { isLeaf, postorder, rewriteTensors, usersOf } from '../graph/graph.ts'
import { halfValues } from '../graph/half.ts'
import { constant, input, isParameter, type Parameter, parameter, parameterAttrs } from '../graph/leaf.ts'
import { match } from '../graph/match.ts'
import type { Node } from '../graph/node.ts'
import { lookup, nth } from '../graph/present.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { type Model, modelOf, namesOf } from '../nn/model.ts'
import { remade } from '../nn/rewrite.ts'
import { type TrainedModel, weightsOf } from '../nn/trained.ts'
import { DequantizeLinear } from '../ops/image-primitives.ts'
import { Cast } from '../ops/primitives.ts'
import { staticNodes } from '../passes/match.ts'
import { evaluate } from '../runtime/evaluate.ts'
import type { Runtime } from '../runtime/session.ts'

/** What is folded although it takes more room than what it is computed from. */
const SMALL = 4096
/** A padded weight is worth it that is computed at no run. */
const GROWTH = 1.5

/** Values of a dtype as numbers that float32 holds. */
export const asFloat32 = (data: TypedArray, dtype: DType): Float32Array =>
  data instanceof Float32Array
    ? data
    : dtype === 'float16' && data instanceof Uint16Array
      ? halfValues(data)
      : Float32Array.from(data as ArrayLike<number>, Number)

/** Whether float32, which parameters are kept in, holds all values of a dtype's array: it does not hold 2²⁴ + 1, nor ⅓ in float64. */
function isExact(values: TypedArray, dtype: DType): boolean {
  if (BYTES[dtype] < BYTES.float32 || values instanceof Float32Array) return true
  for (const v of values) {
    const kept = Math.fround(Number(v))
    if (typeof v === 'bigint' ? BigInt(kept) !== v : kept !== v && !Number.isNaN(v)) return false
  }
  return true
}

/** Whether a node makes real numbers of a dtype that takes less room, which is the one that a file holds. */
function isWidening(node: Node): boolean {
  if (match(node, DequantizeLinear)) return true
  const converted = match(node, Cast)
  const from: Tensor | undefined = converted?.inputs[0]
  return converted !== undefined && from !== undefined && BYTES[from.dtype] < BYTES[converted.attrs.to]
}

/** Parameters that a tensor depends on. */
const parametersOf = (t: Tensor): Tensor[] =>
  postorder([t]).flatMap(({ outputs: [leaf] }) => (leaf && isParameter(leaf) ? [leaf] : []))

const bytesOf = ({ dtype, shape }: Tensor): number => sizeOfDims(sizesOf(shape)) * BYTES[dtype]

/**
 * What to compute once: tensors that depend on parameters and constants alone, each the last one on its way to what depends on inputs.
 * A dequantized weight stays: its integers are what a file holds. So does what would make the file larger, such as the transposed copy of
 * a weight that others read as it is.
 */
function foldable(roots: readonly Tensor[]): Tensor[] {
  const nodes = postorder(roots)
  const users = usersOf(nodes)
  const fixed = staticNodes(nodes)
  // What reads the integers of a quantized weight computes at run time, as random numbers do, and so does what follows.
  for (const node of nodes) {
    const own = isWidening(node) || node.op.random || node.op.kept
    if (own || !node.inputs.every(t => fixed.has(t.node))) fixed.delete(node)
  }
  const results = new Set(roots)
  const found: Tensor[] = []
  for (const node of nodes) {
    if (!fixed.has(node) || isLeaf(node)) continue
    for (const t of node.outputs) {
      const readers = users.get(t) ?? []
      const last = results.has(t) || readers.some(reader => !fixed.has(reader))
      if (last && isConcrete(t.shape)) found.push(t)
    }
  }
  return shrinking(found, fixed, users, results)
}

/** Of candidates those that take little more room than the parameters that go when they are folded. */
function shrinking(
  found: readonly Tensor[],
  fixed: ReadonlySet<object>,
  users: ReadonlyMap<Tensor, readonly Tensor['node'][]>,
  results: ReadonlySet<Tensor>,
): Tensor[] {
  const stays = (p: Tensor): boolean =>
    results.has(p) || (users.get(p) ?? []).some(reader => !fixed.has(reader))
  const readBy = new Map<Tensor, number>()
  const ends = new Set(found)
  // What reads a candidate adds a copy of it: others read the candidate itself.
  const reads = new Map(found.map(t => [t, [...rootsWithout(t.node.inputs, ends)]]))
  for (const own of reads.values()) for (const p of own) readBy.set(p, (readBy.get(p) ?? 0) + 1)
  return found.filter(t => {
    const size = bytesOf(t)
    if (size <= SMALL) return true
    const own = lookup(reads, t)
    const gone = own.filter(p => !stays(p)).reduce((sum, p) => sum + bytesOf(p) / (readBy.get(p) ?? 1), 0)
    return size <= GROWTH * gone
  })
}

/** Values of tensors that depend on parameters and constants alone. */
async function valuesOf(
  runtime: Runtime,
  { model, params }: TrainedModel,
  tensors: readonly Tensor[],
): Promise<TypedArray[]> {
  const weights = weightsOf({ model, params })
  const names = namesOf(model)
  const leaves = new Map<Tensor, Tensor>()
  const feeds: Record<string, TypedArray> = {}
  for (const p of new Set(tensors.flatMap(parametersOf))) {
    const name = lookup(names, p)
    leaves.set(p, input(name, p.dtype, sizesOf(p.shape)))
    const values = lookup(weights, name)
    feeds[name] = toTyped(values, p.dtype, values.length)
  }
  const made = rewriteTensors(tensors, () => undefined, leaves)
  const outputs = Object.fromEntries(made.map((t, i) => [`folded.${i}`, t]))
  const got = await evaluate(runtime, outputs, feeds)
  return tensors.map((_, i) => lookup(got, `folded.${i}`).data)
}

/** A free name for what is computed of parameters: that of the largest, which is the weight. */
function nameFor(t: Tensor, names: ReadonlyMap<Tensor, string>, taken: ReadonlySet<string>): string {
  const [first] = parametersOf(t).sort((a, b) => bytesOf(b) - bytesOf(a))
  const base = (first && names.get(first)) ?? (t.node.scope ? `${t.node.scope}.constant` : 'constant')
  for (let i = 0; ; i++) if (!taken.has(i ? `${base}_${i}` : base)) return i ? `${base}_${i}` : base
}

/**
 * A model that computes at no run what depends on its weights alone: folded scales, transposed and converted weights, integers of
 * quantized ones are parameters of the result, of their dtype. Parameters that nothing reads any more are gone.
 */
export async function fold(runtime: Runtime, trained: TrainedModel): Promise<TrainedModel> {
  const { model } = trained
  const roots = [model.outputs, model.intermediates].flatMap(group => Object.values(group))
  const found = foldable(roots)
  const values = found.length ? await valuesOf(runtime, trained, found) : []
  const names = namesOf(model)
  const read = rootsWithout(roots, new Set(found))
  const taken = new Set([...read].map(p => lookup(names, p)))
  const replaced = new Map<Tensor, Tensor>()
  const made = new Map<Tensor, { readonly name: string; readonly data: Float32Array }>()
  for (const [i, t] of found.entries()) {
    const own = nth(values, i)
    if (!isExact(own, t.dtype)) {
      replaced.set(t, constant(own, t.dtype, sizesOf(t.shape)))
      continue
    }
    const name = nameFor(t, names, taken)
    taken.add(name)
    const p = folded(t)
    replaced.set(t, p)
    made.set(p, { name, data: asFloat32(own, t.dtype) })
  }
  return assembled(trained, replaced, made)
}

/** A parameter for the values of a tensor; only float32 ones can be trained. */
function folded(t: Tensor): AnyTensor {
  const fixed = t.dtype !== 'float32' || parametersOf(t).every(p => parameterAttrs(p).buffer)
  return parameter(sizesOf(t.shape), { kind: 'constant', value: 0 }, { dtype: t.dtype, buffer: fixed })
}

/** Parameters that are read where some tensors are computed no more. */
function rootsWithout(roots: readonly Tensor[], gone: ReadonlySet<Tensor>): Set<Tensor> {
  const found = new Set<Tensor>()
  const seen = new Set<Tensor>()
  const stack = [...roots]
  for (let t = stack.pop(); t; t = stack.pop()) {
    if (seen.has(t) || gone.has(t)) continue
    seen.add(t)
    if (isParameter(t)) found.add(t)
    stack.push(...t.node.inputs)
  }
  return found
}

/** The model with some tensors replaced by new parameters, in the order in which it reads them. */
function assembled(
  trained: TrainedModel,
  replaced: ReadonlyMap<Tensor, Tensor>,
  made: ReadonlyMap<Tensor, { readonly name: string; readonly data: Float32Array }>,
): TrainedModel {
  const { model, params: _, ...about } = trained
  const computed = remade({ ...model, assigned: {} }, roots =>
    rewriteTensors(roots, () => undefined, replaced),
  )
  const names = namesOf(model)
  const weights = weightsOf(trained)
  const parameters = new Map<string, Parameter>()
  const parts: Float32Array[] = []
  const roots = [computed.outputs, computed.intermediates].flatMap(group => Object.values(group))
  for (const { outputs } of postorder(roots)) {
    const p = nth(outputs, 0)
    if (!isParameter(p)) continue
    const own = made.get(p)
    const name = own?.name ?? lookup(names, p)
    parameters.set(name, p)
    parts.push(own?.data ?? lookup(weights, name))
  }
  return { ...about, model: withGraph(model, parameters, computed), params: joined(parts) }
}

const withGraph = (
  { name, inputs, graph, normalization }: Model,
  parameters: ReadonlyMap<string, Parameter>,
  computed: Pick<Model, 'outputs' | 'intermediates'>,
): Model =>
  modelOf({
    ...{ name, config: {}, inputs, normalization },
    layers: Object.fromEntries(parameters),
    parameters,
    leaves: graph.inputs,
    ...computed,
  })

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((n, part) => n + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
