import type { Batch } from '../data/batches.ts'
import type { TypedArray } from '../export/tensor-data.ts'
import { substitute } from '../graph/graph.ts'
import { input } from '../graph/leaf.ts'
import { show } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import type { Model } from '../nn/model.ts'
import { grad } from '../ops/grad.ts'
import { SEED_SIZE, seedValues } from '../ops/random.ts'
import { decompose } from '../passes/decompose.ts'
import { isRandom, seedDropout } from '../passes/dropout.ts'
import { bufferUpdates, trainingForm } from '../passes/training-form.ts'
import { evaluate } from '../runtime/evaluate.ts'
import type { Runtime } from '../runtime/session.ts'
import type { ExecutorOptions } from './executor.ts'
import { type Defects, defectsOf, type FirstBad, firstBad, type Operand } from './first-bad.ts'
import { traceNormalized } from './forward.ts'
import { type Layout, views } from './layout.ts'
import { crossEntropy } from './loss.ts'

/** What a step reads (`input`, `parameter`) and computes (`output`, new value of a `buffer`, `gradient`). */
type Kind = 'input' | 'parameter' | 'output' | 'buffer' | 'gradient'

/** A tensor of a step that holds what is no number. */
export interface BadTensor extends Defects {
  readonly kind: Kind
  /** `image` or `tokens`, `logits`, `loss`, or the name of a parameter. */
  readonly name: string
  /** Of an input: the first example of the batch that has one, from 0. */
  readonly example?: number
}

/** Why a training step went wrong. */
export interface Diagnosis {
  /** Causes first: the data, parameters that were bad before the step, then what the step computed. */
  readonly bad: readonly BadTensor[]
  /** Where it was asked for and can be told: data and parameters were good. */
  readonly first?: FirstBad
  /** The largest element of a gradient, where nothing is bad. */
  readonly largest?: { readonly name: string; readonly value: number }
}

/** What the loss of a step depends on beside parameters and batch. */
export type DiagnoseSettings = Pick<ExecutorOptions, 'normalization' | 'labelSmoothing' | 'seed'>

/** Prefix of the inputs that stand for parameters: a model may call one `image`. */
const PARAMETER = 'parameter.'

/**
 * Computes a step's loss and gradients once more, as the model says them and without any rewriting, and names what is
 * not finite.
 * @param params what the step read @param step its number, from 1: dropout masks depend on it
 * @param options.firstNode also look for the node at which it began: computes all intermediate results, a bounded part
 * of them at a time
 * @throws UserError when the runtime cannot compute the step
 */
export async function diagnose(
  model: Model,
  runtime: Runtime,
  layout: Layout,
  params: Float32Array,
  batch: Batch,
  step: number,
  settings: DiagnoseSettings,
  { firstNode }: { readonly firstNode: boolean },
): Promise<Diagnosis> {
  const values = views(layout, params)
  const feeds = {
    [model.input.name]: batch.input,
    target: targetOf(batch, model.classes),
    seed: Float32Array.from(seedValues(settings.seed, step)),
    ...Object.fromEntries([...values].map(([name, v]) => [PARAMETER + name, v])),
  }
  const bad: BadTensor[] = []
  const check = (kind: Kind, name: string, data: TypedArray): void => {
    const defects = defectsOf(data)
    if (!defects.nan && !defects.infinite) return
    const at = data.findIndex((v: number | bigint) => !Number.isFinite(v))
    const example = Math.floor((at * batch.count) / data.length)
    bad.push({ kind, name, ...defects, ...(kind === 'input' ? { example } : {}) })
  }
  check('input', model.input.name, batch.input)
  for (const [name, v] of values) check('parameter', name, v)
  const sound = !bad.length

  const results = stepResults(model, layout, runtime, batch.count, settings)
  const outputs = Object.fromEntries(results.map(({ tensor }, i) => [i, tensor]))
  const got = await evaluate(runtime, outputs, feeds)
  for (const [i, { kind, name }] of results.entries()) check(kind, name, got[i]!.data)
  if (!bad.length) {
    const gradients = results.flatMap(({ kind, name }, i) =>
      kind === 'gradient' ? [{ name, value: largestOf(got[i]!.data as Float32Array) }] : [],
    )
    return { bad, largest: gradients.reduce((a, b) => (b.value > a.value ? b : a)) }
  }
  if (!firstNode || !sound) return { bad }
  const first = await firstBad(
    runtime,
    results.map(r => r.tensor),
    feeds,
  )
  return first ? { bad, first: named(first) } : { bad }
}

const largestOf = (data: Float32Array): number => data.reduce((most, v) => Math.max(most, Math.abs(v)), 0)

const named = (first: FirstBad): FirstBad => ({
  ...first,
  operands: first.operands.map(o => (o.name ? { ...o, name: o.name.replace(PARAMETER, '') } : o)),
})

interface Result {
  readonly kind: Kind
  readonly name: string
  readonly tensor: AnyTensor
}

/** What a step computes, before any pass: logits first, then loss, buffers and gradients. Parameters are inputs. */
function stepResults(
  model: Model,
  layout: Layout,
  runtime: Runtime,
  count: number,
  { normalization, labelSmoothing = 0 }: DiagnoseSettings,
): Result[] {
  const traced = traceNormalized(model, count, normalization)
  const seed = input('seed', 'float32', [SEED_SIZE])
  const forward = trainingForm(isRandom(traced) ? seedDropout(traced, seed) : traced)
  const leaves = layout.slots.map(({ name, shape }): [Tensor, AnyTensor] => [
    forward.parameters[name]!,
    input(PARAMETER + name, 'float32', shape),
  ])
  const outputs = substitute(forward, new Map(leaves))
  const logits = outputs.logits as AnyTensor
  const loss = crossEntropy(logits, input('target', 'float32', logits.shape), { labelSmoothing })
  const gradients = grad(
    loss,
    leaves.map(([, leaf]) => leaf),
  )
  const results: Result[] = [
    { kind: 'output', name: 'logits', tensor: logits },
    { kind: 'output', name: 'loss', tensor: loss },
    ...[...bufferUpdates(outputs)].map(([name, tensor]) => ({ kind: 'buffer', name, tensor }) as const),
    ...gradients.map((tensor, i) => ({ kind: 'gradient', name: layout.slots[i]!.name, tensor }) as const),
  ]
  // What the device lacks is decomposed here already, so that the nodes which run are those which are named.
  const all = Object.fromEntries(results.map(({ tensor }, i) => [i, tensor]))
  const ready = decompose({ inputs: {}, parameters: {}, outputs: all }, runtime.device.target.lacks).outputs
  return results.map((r, i) => ({ ...r, tensor: ready[i]! }))
}

/** Probability of each class, for each label of a batch. */
function targetOf({ label, mixed }: Batch, classes: number): Float32Array {
  const target = new Float32Array(label.length * classes)
  label.forEach((c, i) => {
    const share = mixed ? mixed.share[i]! : 1
    target[i * classes + c] = share
    if (mixed) target[i * classes + mixed.label[i]!]! += 1 - share
  })
  return target
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
    return `computed once more without optimizations, loss and gradients are finite; the largest gradient is ${short(largest.value)}, of ${largest.name}`
  const parts = (Object.keys(OPENINGS) as Kind[]).flatMap(kind => {
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
