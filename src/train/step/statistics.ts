import { UserError } from '../../graph/errors.ts'
import { rewriteTensors } from '../../graph/graph.ts'
import { input } from '../../graph/leaf.ts'
import { lookup, nth, present, zip } from '../../graph/present.ts'
import type { AnyTensor, Tensor } from '../../graph/tensor.ts'
import { type AverageNode, averageOf } from '../../tasks/average.ts'
import type { Objective } from '../../tasks/objective.ts'
import type { TracedObjective } from '../../tasks/task.ts'
import type { Measured } from '../measured.ts'

/** A sum and a count returned by a program, which the host averages over several runs. */
export interface Statistic extends AverageNode {
  readonly average: AnyTensor
}

/** The loss and metrics of a task as functions of statistics. */
export interface Measures {
  readonly statistics: readonly Statistic[]
  /** By name, `loss` among them. */
  readonly objectives: Readonly<Record<string, Objective>> & { readonly loss: Objective }
}

export function measuresOf({ loss, metrics }: TracedObjective): Measures {
  const objectives = { loss, ...metrics }
  const averages = [...new Set(Object.values(objectives).flatMap(o => o.averages))]
  return {
    objectives,
    statistics: averages.map(average => ({ ...present(averageOf(average.node), 'average'), average })),
  }
}

/** Which statistic an objective is; undefined where it is a function of several, or of one. */
export const statisticOf = ({ statistics }: Measures, { value }: Objective): number | undefined => {
  const at = statistics.findIndex(s => s.average === value)
  return at < 0 ? undefined : at
}

/** Sums and counts over the runs of programs, in double precision. */
export class Sums {
  readonly sums: Float64Array
  readonly counts: Float64Array

  constructor(
    { statistics }: Measures,
    before?: { readonly sums: ArrayLike<number>; readonly counts: ArrayLike<number> },
  ) {
    this.sums = Float64Array.from(before?.sums ?? { length: statistics.length }, v => v ?? 0)
    this.counts = Float64Array.from(before?.counts ?? { length: statistics.length }, v => v ?? 0)
    if (this.sums.length !== statistics.length || this.counts.length !== statistics.length)
      throw new UserError('the sums of the unfinished epoch belong to another task')
  }

  add(sums: ArrayLike<number>, counts: ArrayLike<number>): void {
    for (let i = 0; i < this.sums.length; i++) {
      this.sums[i] = nth(this.sums, i) + nth(sums, i)
      this.counts[i] = nth(this.counts, i) + nth(counts, i)
    }
  }

  /** Each average; 0 where nothing counted. */
  averages(): number[] {
    return Array.from(this.sums, (s, i) => s / (this.counts[i] || 1))
  }
}

/** Computes the value of a graph that has only these scalar inputs. */
export type Evaluate = (
  outputs: Readonly<Record<string, Tensor>>,
  feeds: Readonly<Record<string, readonly number[]>>,
) => Promise<Readonly<Record<string, number>>>

/** Loss and metrics from their averages: those that are a function of averages are evaluated. */
export async function measured(
  measures: Measures,
  averages: readonly number[],
  evaluate: Evaluate,
): Promise<Measured> {
  const all = Object.entries(measures.objectives)
  const derived = all.filter(([, objective]) => statisticOf(measures, objective) === undefined)
  const values = derived.length ? await derivedValues(measures, derived, averages, evaluate) : {}
  const value = (name: string, objective: Objective): number => {
    const at = statisticOf(measures, objective)
    return at === undefined ? lookup(values, name) : nth(averages, at)
  }
  const each = all.map(([name, objective]) => [name, value(name, objective)])
  return { loss: value('loss', measures.objectives.loss), ...Object.fromEntries(each) }
}

function derivedValues(
  { statistics }: Measures,
  derived: readonly (readonly [string, Objective])[],
  averages: readonly number[],
  evaluate: Evaluate,
): ReturnType<Evaluate> {
  const leaves = new Map<Tensor, Tensor>(
    statistics.map(({ average }, i) => [average, input(`average${i}`, average.dtype, [])]),
  )
  const roots = rewriteTensors(
    derived.map(([, { value }]) => value),
    () => undefined,
    leaves,
  )
  const outputs = zip(derived, roots).map(([[name], t]) => [name, t] as const)
  const feeds = averages.map((v, i) => [`average${i}`, [v]] as const)
  return evaluate(Object.fromEntries(outputs), Object.fromEntries(feeds))
}
