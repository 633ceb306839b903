import { type Bindings, bind } from '../../graph/bind.ts'
import { type Graph, rewriteTensors, substitute, type Tensors } from '../../graph/graph.ts'
import { input, isParameter, sizeOf } from '../../graph/leaf.ts'
import { lookup, nth, zip } from '../../graph/present.ts'
import type { AnyTensor, Tensor } from '../../graph/tensor.ts'
import type { Layout } from '../../nn/layout.ts'
import { mul } from '../../ops/elementwise.ts'
import { grad } from '../../ops/grad.ts'
import { concat, reshape } from '../../ops/layout.ts'
import { SEED_SIZE } from '../../ops/random.ts'
import { sum } from '../../ops/reduce.ts'
import { forTraining, optimizeForward, type Purpose } from '../../passes/index.ts'
import { isRandom } from '../../passes/training.ts'
import type { TracedTask } from '../../tasks/task.ts'
import { SEED, unflatten } from './program.ts'
import { type Block, BUFFERS, type StatePart, type StateVector, stateInput } from './state.ts'
import { type Measures, measuresOf, statisticOf } from './statistics.ts'

/** State as inputs of a program. */
export interface StateInputs {
  readonly parts: readonly StatePart[]
  readonly tensors: ReadonlyMap<StateVector, AnyTensor>
}

export function stateInputs(parts: readonly StatePart[]): StateInputs {
  const vectors = parts.flatMap(p => [p.params, ...Object.values(p.moments)])
  return { parts, tensors: new Map(vectors.map(v => [v, stateInput(v)])) }
}

export const valuesOf = ({ parts, tensors }: StateInputs) =>
  parts.map(p => ({ layout: p.part, flat: lookup(tensors, p.params) }))

/** What a training program answers of its batch. */
export interface BackwardOutputs {
  readonly measures: Measures
  /** How much each statistic counts; undefined where the program answers it as `count.<i>`. */
  readonly counts: readonly (number | undefined)[]
  /** The statistic whose mean is the output `loss`. */
  readonly lossIs: number | undefined
}

/** Forward, loss and gradients of a batch, with parameters that are parts of flat vectors. */
export interface Backward {
  readonly inputs: Tensors
  /** `loss`, `sum.<i>`, `count.<i>`, and `metric.<name>` of what is a function of averages. */
  readonly outputs: Tensors
  readonly answers: BackwardOutputs
  readonly random: boolean
  /** What the trained parameters are replaced by, by name. */
  readonly pieces: ReadonlyMap<string, AnyTensor>
  /** By parameter, each flat. */
  readonly gradients: ReadonlyMap<string, AnyTensor>
  /** New values of the vectors of buffers: those that nothing assigns stay. Empty where nothing is assigned. */
  readonly buffers: ReadonlyMap<StateVector, AnyTensor>
  readonly regularizer: AnyTensor | undefined
}

/** Input with one over the count of a statistic, over all micro-batches. */
export const scaleName = (i: number): string => `scalar.scale.${i}`

/** The statistics that a loss is made of. */
export const lossStatistics = ({ objectives, statistics }: Measures): number[] =>
  objectives.loss.averages.map(average => statistics.findIndex(s => s.average === average))

const numeratorName = (i: number) => `numerator.${i}`
const denominatorName = (i: number) => `denominator.${i}`
const bufferName = (name: string) => `buffer.${name}`
const OUTPUT = 'output.'

/** The symbolic graph of a task: what its training programs are made of. */
function taskGraph(traced: TracedTask, measures: Measures): Graph {
  const { model, targets, assigned } = traced
  const leaves = Object.fromEntries(Object.entries(targets).map(([name, { leaf }]) => [name, leaf]))
  const terms = measures.statistics.flatMap(({ numerator, denominator }, i): [string, Tensor][] =>
    denominator
      ? [
          [numeratorName(i), numerator],
          [denominatorName(i), denominator],
        ]
      : [[numeratorName(i), numerator]],
  )
  const derived = Object.entries(measures.objectives)
    .filter(([name, o]) => name !== 'loss' && statisticOf(measures, o) === undefined)
    .map(([name, { value }]): [string, Tensor] => [`metric.${name}`, value])
  return {
    inputs: { ...model.graph.inputs, ...leaves },
    parameters: model.graph.parameters,
    outputs: {
      ...Object.fromEntries(Object.entries(model.outputs).map(([name, t]) => [OUTPUT + name, t])),
      loss: traced.loss.value,
      ...Object.fromEntries([...terms, ...derived]),
      ...Object.fromEntries(Object.entries(assigned).map(([name, t]) => [bufferName(name), t])),
    },
  }
}

/**
 * @param scales factors of each statistic's sum in the loss, in place of one over the batch's own count: then gradients of
 * several micro-batches add up
 */
export function backward(
  traced: TracedTask,
  state: StateInputs,
  trained: readonly Block[],
  sizes: Bindings,
  purpose: Purpose,
  scales?: (i: number) => AnyTensor,
): Backward {
  const { model } = traced
  const measures = measuresOf(traced)
  const graph = taskGraph(traced, measures)
  const bound = bind(scales ? withScales(graph, measures, scales) : graph, sizes)
  const random = isRandom(bound)
  const seed = input(SEED, 'float32', [SEED_SIZE])
  const seeded = random ? { ...bound, inputs: { ...bound.inputs, [SEED]: seed } } : bound
  const forward = optimized(forTraining(seeded, { seed, trace: purpose.trace }), purpose)
  const leaves = unflatten(forward.parameters, valuesOf(state))
  const results: Readonly<Record<string, AnyTensor>> = substitute(forward, leaves)
  const loss = lookup(results, 'loss')

  const slots = trained.flatMap(block => block.layout.slots)
  const pieces = slots.map(s => lookup(leaves, lookup(forward.parameters, s.name)))
  const names = slots.map(s => s.name)
  const each = zip(names, grad(loss, pieces)).map(([name, g]) => [name, reshape(g, [-1])] as const)
  const lossIs = scales ? undefined : lossStatistic(measures)
  const { counts, outputs } = statisticOutputs(measures, results, sizes, lossIs)
  const derived = Object.entries(results).filter(([name]) => name.startsWith('metric.'))
  return {
    inputs: forward.inputs,
    outputs: { loss, ...outputs, ...Object.fromEntries(derived) },
    answers: { measures, counts, lossIs },
    random,
    pieces: new Map(zip(names, pieces)),
    gradients: new Map(each),
    buffers: bufferValues(traced, state, results, leaves, forward),
    regularizer: traced.regularizer && regularizerOf(traced.regularizer, model.graph, leaves),
  }
}

/**
 * Passes over the forward graph. A loss that is made of the model's outputs alone stays as it is: a layout that suits the
 * model, pulled into the loss, costs more there than it saves.
 */
function optimized(graph: Graph, purpose: Purpose): Graph {
  const entries = Object.entries(graph.outputs)
  const isLoss = (name: string) => !name.startsWith(OUTPUT) && !name.startsWith(bufferName(''))
  const ends = new Set(entries.filter(([name]) => name.startsWith(OUTPUT)).map(([, t]) => t))
  const losses = entries.filter(([name]) => isLoss(name))
  if (
    readsParameters(
      losses.map(([, t]) => t),
      ends,
    )
  )
    return optimizeForward(graph, purpose)
  const net = { ...graph, outputs: Object.fromEntries(entries.filter(([name]) => !isLoss(name))) }
  const better = optimizeForward(net, purpose)
  const replaced = new Map(Object.entries(net.outputs).map(([name, t]) => [t, lookup(better.outputs, name)]))
  const roots = rewriteTensors(
    losses.map(([, t]) => t),
    () => undefined,
    replaced,
  )
  const loss = zip(losses, roots).map(([[name], t]) => [name, t] as const)
  return { ...better, inputs: graph.inputs, outputs: { ...Object.fromEntries(loss), ...better.outputs } }
}

function readsParameters(roots: readonly Tensor[], ends: ReadonlySet<Tensor>): boolean {
  const seen = new Set<Tensor>()
  const stack = [...roots]
  for (let t = stack.pop(); t; t = stack.pop()) {
    if (seen.has(t) || ends.has(t)) continue
    seen.add(t)
    if (isParameter(t)) return true
    stack.push(...t.node.inputs)
  }
  return false
}

/** The loss is one of the averages itself: its output is then the average. */
function lossStatistic(measures: Measures): number | undefined {
  const at = statisticOf(measures, measures.objectives.loss)
  return at === undefined || nth(measures.statistics, at).by === 'weights' ? undefined : at
}

/** Sums and counts, from the terms of each average. */
function statisticOutputs(
  { statistics }: Measures,
  results: Readonly<Record<string, AnyTensor>>,
  sizes: Bindings,
  lossIs: number | undefined,
) {
  const outputs: Record<string, AnyTensor> = {}
  const counts = statistics.map(({ by }, i): number | undefined => {
    const numerator = lookup(results, numeratorName(i))
    const total = i === lossIs ? undefined : by === 'examples' ? numerator : sum(numerator)
    if (total) outputs[`sum.${i}`] = total
    if (by === 'elements') return numerator.shape.reduce((n: number, d: unknown) => n * Number(d), 1)
    if (by === 'examples') return Number(sizes.batch ?? 1)
    outputs[`count.${i}`] = sum(lookup(results, denominatorName(i)))
    return undefined
  })
  return { counts, outputs }
}

/** A loss whose averages are sums times the given factors. */
function withScales(graph: Graph, measures: Measures, scales: (i: number) => AnyTensor): Graph {
  const own = lossStatistics(measures)
  const replaced = new Map<Tensor, Tensor>(
    own.map(i => {
      const { average, by, numerator } = nth(measures.statistics, i)
      const total = by === 'examples' ? mul(numerator, sizeOf('batch', numerator.dtype)) : sum(numerator)
      return [average, mul(total, scales(i))]
    }),
  )
  const before = lookup(graph.outputs, 'loss')
  const [loss = before] = rewriteTensors([before], () => undefined, replaced)
  const factors = Object.fromEntries(own.map(i => [scaleName(i), scales(i)]))
  return { ...graph, inputs: { ...graph.inputs, ...factors }, outputs: { ...graph.outputs, loss } }
}

/** The vectors of buffers after a step. */
function bufferValues(
  { assigned }: TracedTask,
  state: StateInputs,
  results: Readonly<Record<string, AnyTensor>>,
  leaves: ReadonlyMap<Tensor, AnyTensor>,
  { parameters }: Graph,
): Map<StateVector, AnyTensor> {
  const parts = Object.keys(assigned).length ? state.parts.filter(({ block }) => block.name === BUFFERS) : []
  return new Map(
    parts.map(({ params, part }) => {
      const values = part.slots.map(({ name, size }) =>
        reshape(results[bufferName(name)] ?? lookup(leaves, lookup(parameters, name)), [size]),
      )
      return [params, concat(values, 0)]
    }),
  )
}

/** The regularizer with the parameters' pieces in their places. */
export function regularizerOf(
  regularizer: AnyTensor,
  { parameters }: Pick<Graph, 'parameters'>,
  leaves: ReadonlyMap<Tensor, AnyTensor>,
): AnyTensor {
  const graph: Graph = { inputs: {}, parameters, outputs: { regularizer } }
  return lookup(substitute(graph, leaves), 'regularizer')
}

/** Gradients of a part's parameters as one flat vector. */
export const flatGradient = (part: Layout, gradients: ReadonlyMap<string, AnyTensor>): AnyTensor =>
  concat(
    part.slots.map(s => lookup(gradients, s.name)),
    0,
  )

/** The blocks that a task trains. */
export const trainedBlocks = (blocks: readonly Block[], task: string): Block[] =>
  blocks.filter(b => b.trainedBy.includes(task))
