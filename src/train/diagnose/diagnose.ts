import type { TypedArray } from '../../graph/array.ts'
import { type Bindings, bind } from '../../graph/bind.ts'
import { type Graph, substitute } from '../../graph/graph.ts'
import { keysOf } from '../../graph/keys.ts'
import { input } from '../../graph/leaf.ts'
import { lookup, nth, present, zip } from '../../graph/present.ts'
import { show } from '../../graph/shape.ts'
import type { AnyTensor, Tensor } from '../../graph/tensor.ts'
import { type Layout, views } from '../../nn/layout.ts'
import { grad } from '../../ops/grad.ts'
import { SEED_SIZE, seedValues } from '../../ops/random.ts'
import { forTraining } from '../../passes/index.ts'
import { runnableOn } from '../../passes/runnable.ts'
import { evaluate } from '../../runtime/evaluate.ts'
import type { Runtime } from '../../runtime/session.ts'
import type { TracedTask } from '../../tasks/task.ts'
import { flatParams } from '../state.ts'
import type { Examples } from '../step/examples.ts'
import type { State } from '../step/held.ts'
import { SEED, seedOfPart } from '../step/program.ts'
import type { Trainer } from '../trainer.ts'
import { type Defects, defectsOf, type FirstBad, firstBad, type Operand } from './first-bad.ts'

/** What a step reads (`input`, `parameter`) and computes (`output`, new value of a `buffer`, `gradient`). */
type Kind = 'input' | 'parameter' | 'output' | 'buffer' | 'gradient'

/** A tensor of a step that holds what is not a number. */
export interface BadTensor extends Defects {
  readonly kind: Kind
  /** Of an input, target, output or parameter; `loss`. */
  readonly name: string
  /** Of an input: the first example of the batch that has one, from 0. */
  readonly example?: number
}

/** Why a training step failed. */
export interface Diagnosis {
  /** Causes first: the data, parameters that were bad before the step, then what the step computed. */
  readonly bad: readonly BadTensor[]
  /** Where it was asked for and can be told: data and parameters were good. */
  readonly first?: FirstBad
  /** The largest element of a gradient, where nothing is bad. */
  readonly largest?: { readonly name: string; readonly value: number }
}

export interface DiagnoseOptions {
  readonly seed: number
  /** Also look for the node where it began: computes all intermediate results, a bounded part of them at a time. */
  readonly findNode: boolean
}

/** Prefix of the inputs that stand for parameters: a model's input may have the name of one. */
const PARAMETER = 'parameter.'

/**
 * Computes a step's loss and gradients once more, as the model says them and without any rewriting, and names what is
 * not finite. Of micro-batches it looks at the first that is bad.
 * @param vectors what the step read @param step its number, from 1: dropout masks depend on it
 * @throws UserError when the runtime cannot compute the step
 */
export async function diagnose(
  { plans, layout }: Pick<Trainer, 'plans' | 'layout'>,
  runtime: Runtime,
  vectors: State,
  batches: readonly Examples[],
  step: number,
  options: DiagnoseOptions,
): Promise<Diagnosis> {
  let diagnosis: Diagnosis = { bad: [] }
  const params = flatParams(layout, vectors, block => block.name)
  for (const [part, examples] of batches.entries()) {
    const own = { ...options, seed: seedOfPart(options.seed, part) }
    diagnosis = await diagnoseBatch(nth(plans, 0).task, layout.all, runtime, params, examples, step, own)
    if (diagnosis.bad.length) break
  }
  return diagnosis
}

async function diagnoseBatch(
  task: TracedTask,
  layout: Layout,
  runtime: Runtime,
  params: Float32Array,
  { arrays, sizes }: Examples,
  step: number,
  { seed, findNode }: DiagnoseOptions,
): Promise<Diagnosis> {
  const values = views(layout, params)
  const feeds: Record<string, TypedArray> = {
    ...Object.fromEntries(Object.entries(arrays).map(([name, { data }]) => [name, data])),
    [SEED]: Float32Array.from(seedValues(seed, step)),
    ...Object.fromEntries([...values].map(([name, v]) => [PARAMETER + name, v])),
  }
  const bad: BadTensor[] = []
  const check = (kind: Kind, name: string, data: TypedArray): void => {
    const defects = defectsOf(data)
    if (!defects.nan && !defects.infinite) return
    const at = data.findIndex(v => !Number.isFinite(v))
    const example = Math.floor((at * Number(sizes.batch ?? 1)) / data.length)
    bad.push({ kind, name, ...defects, ...(kind === 'input' ? { example } : {}) })
  }
  for (const [name, { data }] of Object.entries(arrays)) check('input', name, data)
  for (const [name, v] of values) check('parameter', name, v)
  const sound = !bad.length

  const results = stepResults(task, layout, runtime, sizes)
  const outputs = Object.fromEntries(results.map(({ tensor }, i) => [i, tensor]))
  const got = await evaluate(runtime, outputs, feeds)
  const all = results.map((result, i) => ({ ...result, data: lookup(got, i).data }))
  for (const { kind, name, data } of all) check(kind, name, data)
  if (!bad.length) {
    const gradients = all.flatMap(({ kind, name, data }) =>
      kind === 'gradient' ? [{ name, value: largestOf(data) }] : [],
    )
    return { bad, largest: gradients.reduce((a, b) => (b.value > a.value ? b : a)) }
  }
  if (!findNode || !sound) return { bad }
  const loss = present(
    results.find(r => r.name === 'loss'),
    'loss',
  ).tensor
  const tensors = results.map(r => r.tensor)
  const first = await firstBad(runtime, tensors, { ends: outputsOf(results), loss }, feeds)
  return first ? { bad, first: named(first) } : { bad }
}

const outputsOf = (results: readonly Result[]): AnyTensor[] =>
  results.filter(r => r.kind === 'output' && r.name !== 'loss').map(r => r.tensor)

function largestOf(data: TypedArray): number {
  let most = 0
  for (const v of data) most = Math.max(most, Math.abs(Number(v)))
  return most
}

const named = (first: FirstBad): FirstBad => ({
  ...first,
  operands: first.operands.map(o => (o.name ? { ...o, name: o.name.replace(PARAMETER, '') } : o)),
})

interface Result {
  readonly kind: Kind
  readonly name: string
  readonly tensor: AnyTensor
}

/** What a step computes, before any pass: the model's outputs first, then loss, buffers and gradients. Parameters are inputs. */
function stepResults(task: TracedTask, layout: Layout, runtime: Runtime, sizes: Bindings): Result[] {
  const { model, targets, assigned, loss } = task
  const targetLeaves = Object.fromEntries(Object.entries(targets).map(([name, { leaf }]) => [name, leaf]))
  const named: readonly (readonly [Kind, string, Tensor])[] = [
    ...Object.entries(model.outputs).map(([name, t]) => ['output', name, t] as const),
    ['output', 'loss', loss.value] as const,
    ...Object.entries(assigned).map(([name, t]) => ['buffer', name, t] as const),
  ]
  const symbolic: Graph = {
    inputs: { ...model.graph.inputs, ...targetLeaves },
    parameters: model.graph.parameters,
    outputs: Object.fromEntries(named.map(([, , t], i) => [i, t])),
  }
  const seed: AnyTensor = input(SEED, 'float32', [SEED_SIZE])
  const bound = bind(symbolic, sizes)
  const forward = forTraining({ ...bound, inputs: { ...bound.inputs, [SEED]: seed } }, { seed })
  const leaves = layout.slots.map(({ name, shape }): [Tensor, AnyTensor] => [
    lookup(forward.parameters, name),
    input(PARAMETER + name, 'float32', shape),
  ])
  const outputs = substitute(forward, new Map(leaves))
  const at = named.findIndex(([, name]) => name === 'loss')
  const learned = zip(layout.slots, leaves).filter(([slot]) => !slot.buffer)
  const gradients = grad(
    lookup(outputs, at),
    learned.map(([, [, leaf]]) => leaf),
  )
  const results: Result[] = [
    ...named.map(([kind, name], i) => ({ kind, name, tensor: lookup(outputs, i) })),
    ...zip(learned, gradients).map(([[{ name }], tensor]) => ({ kind: 'gradient', name, tensor }) as const),
  ]
  // What the device lacks is decomposed here already, so that the nodes which run are those which are named.
  const all = Object.fromEntries(results.map(({ tensor }, i) => [i, tensor]))
  const ready = runnableOn({ inputs: {}, parameters: {}, outputs: all }, runtime.device).outputs
  return results.map((r, i) => ({ ...r, tensor: lookup(ready, i) }))
}

/** How many tensors of a kind are named. */
const MOST_NAMED = 3

const OPENINGS: Readonly<Record<Kind, string>> = {
  input: 'the batch of data is bad',
  parameter: 'parameters were bad before the step',
  output: 'the step computed',
  buffer: 'new running statistics',
  gradient: 'gradients',
}

/** A diagnosis in one sentence, without a full stop. */
export function describeDiagnosis({ bad, first, largest }: Diagnosis): string {
  if (largest)
    return `recomputed without optimizations, loss and gradients are finite; the largest gradient is ${short(largest.value)}, of ${largest.name}`
  const parts = keysOf(OPENINGS).flatMap(kind => {
    const all = bad.filter(b => b.kind === kind)
    if (!all.length) return []
    const more = all.length - MOST_NAMED
    const list = all.slice(0, MOST_NAMED).map(defectText)
    return [`${OPENINGS[kind]}: ${list.join(', ')}${more > 0 ? ` and ${more} more` : ''}`]
  })
  return [...parts, ...(first ? [firstText(first)] : [])].join('; ')
}

function defectText({ name, size, nan, infinite, example }: BadTensor): string {
  if (size === 1) return `${name} is ${nan ? 'NaN' : 'infinite'}`
  const counts = [...(nan ? [`${count(nan)} NaN`] : []), ...(infinite ? [`${count(infinite)} infinite`] : [])]
  const where = example === undefined ? '' : ` (first in example ${example})`
  return `${name} has ${counts.join(' and ')} of ${count(size)}${where}`
}

function firstText({ op, shape, part, layer, operands }: FirstBad): string {
  const place = part === 'gradient' ? `the gradient of ${layer || 'the loss'}` : layer || `the ${part}`
  const fed = operands.map(rangeText).join(' and ')
  return `it began at ${op} ${show(shape)} of ${place}${fed && `, fed with ${fed}`}`
}

const rangeText = ({ name, least, most }: Operand): string => {
  const range = least === most ? short(least) : `${short(least)} … ${short(most)}`
  return name ? `${range} (${name})` : range
}

const count = (n: number): string => n.toLocaleString('en-US')
const short = (v: number): string => String(Number(v.toPrecision(4)))
