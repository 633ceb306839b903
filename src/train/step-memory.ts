import { nodesOf } from '../graph/graph.ts'
import { Constant } from '../graph/leaf.ts'
import { bytesOf, memoryOf } from '../graph/memory.ts'
import { lookup, nth } from '../graph/present.ts'
import type { SummaryRow } from '../graph/summary.ts'
import type { Model } from '../nn/model.ts'
import { normalized } from '../nn/normalize.ts'
import { optimizerOf } from '../optim/optimizer.ts'
import { deviceOf } from '../runtime/device.ts'
import { classification } from '../tasks/classification.ts'
import { modelInput } from './classifier.ts'
import { plansOf } from './plans.ts'
import { compileStep } from './step/step.ts'

/** Which training step. */
export interface StepSettings {
  /** Images of a step. */
  readonly batch: number
  /** Name of the update rule. */
  readonly optimizer: string
  readonly recompute: boolean
}

/** What a training step on the CPU holds in memory, in bytes. */
export interface StepMemory extends StepSettings {
  /** Of layers, by path: what the backward pass still reads of them at the moment when most is held. */
  readonly saved: ReadonlyMap<string, number>
  /** All that is computed and held at that moment, gradients among it. */
  readonly peak: number
  readonly moments: number
  /** Parameters and moments, as they are read and as they are written. */
  readonly state: number
  readonly constants: number
  readonly input: number
  readonly total: number
}

const sum = (all: readonly number[]): number => all.reduce((a, b) => a + b, 0)

/** Compiles a step and plans its memory; nothing runs. */
export function stepMemory(model: Model, settings: StepSettings): StepMemory {
  const { kind, shape } = modelInput(model)
  const perChannel = (value: number): number[] => Array(shape[0]).fill(value)
  // The values do not change how much memory a step takes.
  const normalization = { mean: perChannel(0.5), std: perChannel(0.25) }
  const net = kind === 'image' ? normalized(model, kind, normalization) : model
  const optimizer = optimizerOf(settings.optimizer)
  const { batch, recompute } = settings
  const { plans } = plansOf(net, { task: classification(), optimizer })
  const { target } = deviceOf('cpu')
  const { graph, reads, writes } = compileStep(nth(plans, 0), { sizes: { batch }, target, recompute })
  const { peak, live } = memoryOf(graph)
  const saved = new Map<string, number>()
  for (const [{ node }, bytes] of live)
    if (node.scope) saved.set(node.scope, (saved.get(node.scope) ?? 0) + bytes)
  const moments = optimizer.state.length
  const state = Float32Array.BYTES_PER_ELEMENT * sum([...reads, ...writes].map(v => v.part.size))
  const constants = sum(nodesOf(graph).flatMap(n => (n.op === Constant ? n.outputs.map(bytesOf) : [])))
  const input = sum([lookup(graph.inputs, kind), lookup(graph.inputs, 'label')].map(bytesOf))
  const total = peak + state + constants + input
  return { ...settings, saved, peak, moments, state, constants, input, total }
}

/** Bytes that the layer of each row saves itself: those of rows below it are not repeated. */
export function savedIn(rows: readonly SummaryRow[], { saved }: StepMemory): number[] {
  const bytes = new Map(rows.map(row => [row, 0]))
  for (const [path, n] of saved) {
    const outer = rows.filter(({ layer }) => !layer || `${path}.`.startsWith(`${layer}.`))
    const row = outer.reduce((a, b) => (b.layer.length > a.layer.length ? b : a))
    bytes.set(row, lookup(bytes, row) + n)
  }
  return [...bytes.values()]
}
