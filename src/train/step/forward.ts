import { type Bindings, bind, bindShape } from '../../graph/bind.ts'
import { type Graph, substitute, type Tensors } from '../../graph/graph.ts'
import { lookup, nth } from '../../graph/present.ts'
import { UNKNOWN } from '../../graph/shape.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import type { Model } from '../../nn/model.ts'
import { sum } from '../../ops/reduce.ts'
import { optimizeForward } from '../../passes/index.ts'
import { forInference } from '../../passes/serving.ts'
import type { TracedObjective } from '../../tasks/task.ts'
import { lossStatistics, stateInputs, valuesOf } from './backward.ts'
import { finish, type Program, type ProgramOptions, purposeOf, unflatten } from './program.ts'
import { type StateLayout, statePartsOf } from './state.ts'
import { type Measures, measuresOf } from './statistics.ts'

/** A forward program; its parameters are state. Sizes may stay symbols. */
function compileForward(
  name: string,
  traced: Graph,
  layout: StateLayout,
  options: ProgramOptions,
  finishing: (results: Readonly<Record<string, AnyTensor>>) => Tensors,
): Program {
  const purpose = purposeOf(name, options, false)
  const forward = optimizeForward(forInference(traced, purpose), purpose)
  const state = stateInputs(statePartsOf(layout.blocks, options.target, '', []))
  const results = substitute(forward, unflatten(forward.parameters, valuesOf(state)))
  const graph: Graph = {
    inputs: {
      ...forward.inputs,
      ...Object.fromEntries([...state.tensors].map(([v, t]) => [`state.${v.name}`, t])),
    },
    parameters: {},
    outputs: finishing(results),
  }
  return finish(name, graph, purpose, { parts: [...state.tensors], writes: [], random: false })
}

/** A model's outputs under the state's parameters. */
export const compilePrediction = (model: Model, layout: StateLayout, options: ProgramOptions): Program =>
  compileForward(`${model.name}-forward`, model.graph, layout, options, results => results)

/** A program that returns the sums and counts of an evaluation. */
export interface EvaluationProgram extends Program {
  readonly measures: Measures
  /** How much each statistic counts in a batch; undefined if the program returns it as `count.<i>`. */
  readonly countsOf: (sizes: Bindings) => readonly (number | undefined)[]
}

/**
 * Loss and metrics of a batch under the state's parameters.
 * @param sizes binds the symbols; without it one program serves all sizes, where that can be
 */
export function compileEvaluation(
  objective: TracedObjective,
  layout: StateLayout,
  options: ProgramOptions & { readonly sizes?: Bindings },
): EvaluationProgram {
  const { model, targets } = objective
  const measures = measuresOf(objective)
  const leaves = Object.fromEntries(Object.entries(targets).map(([name, { leaf }]) => [name, leaf]))
  const terms = measures.statistics.flatMap(({ numerator, denominator }, i) => {
    return [[`sum.${i}`, numerator] as const, ...(denominator ? [[`count.${i}`, denominator] as const] : [])]
  })
  const symbolic: Graph = {
    inputs: { ...model.graph.inputs, ...leaves },
    parameters: model.graph.parameters,
    outputs: Object.fromEntries(terms),
  }
  const traced = options.sizes ? bind(symbolic, options.sizes) : symbolic
  const program = compileForward(`${model.name}-evaluation`, traced, layout, options, results =>
    Object.fromEntries(Object.entries(results).map(([name, t]) => [name, t.shape.length ? sum(t) : t])),
  )
  const countsOf = (sizes: Bindings) =>
    measures.statistics.map(({ by }, i): number | undefined => {
      if (by === 'weights') return undefined
      if (by === 'examples') return Number(sizes.batch ?? 1)
      const shape = bindShape(lookup(traced.outputs, `sum.${i}`).shape, sizes)
      return shape.reduce<number>((n, d) => n * Number(d), 1)
    })
  return { ...program, measures, countsOf }
}

/**
 * The counts of those averages of a loss that are weighted, such as by a mask, as `count.<i>`; undefined where there are
 * none.
 */
export function compileCounts(
  objective: TracedObjective,
  layout: StateLayout,
  options: ProgramOptions,
): Program | undefined {
  const { model, targets } = objective
  const measures = measuresOf(objective)
  const denominators = lossStatistics(measures).flatMap(i => {
    const { denominator } = nth(measures.statistics, i)
    return denominator ? [[`count.${i}`, denominator] as const] : []
  })
  if (!denominators.length) return undefined
  const leaves = Object.fromEntries(Object.entries(targets).map(([name, { leaf }]) => [name, leaf]))
  const graph: Graph = {
    inputs: { ...model.graph.inputs, ...leaves },
    parameters: model.graph.parameters,
    outputs: Object.fromEntries(denominators),
  }
  return compileForward(`${model.name}-counts`, graph, layout, options, results =>
    Object.fromEntries(Object.entries(results).map(([name, t]) => [name, sum(t)])),
  )
}

/** Whether one evaluation program serves all sizes: every count follows from them. */
export const isSizeless = (objective: TracedObjective): boolean =>
  measuresOf(objective).statistics.every(
    ({ by, numerator }) => by !== 'elements' || !numerator.shape.includes(UNKNOWN),
  )
