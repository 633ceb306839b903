import { UserError } from '../graph/errors.ts'
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
import { modelInput } from '../train/classifier.ts'
import { plansOf } from '../train/plans.ts'
import { compileStep } from '../train/step/step.ts'
import { byteSize, columns, facts } from './text.ts'

export interface StepFlags {
  /** Images of a step. */
  readonly batch: number
  /** Name of the update rule. */
  readonly optimizer: string
  readonly recompute: boolean
}

/** What a training step on the CPU holds in memory, in bytes. */
export interface StepMemory extends StepFlags {
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

/** The step that flags ask for. @throws UserError for flags of a step without --train */
export function stepFlags(flags: Partial<StepFlags> & { readonly train: boolean }): StepFlags | undefined {
  const { train, batch = 64, optimizer = 'adam', recompute = false } = flags
  const stray = (['batch', 'optimizer', 'recompute'] as const).find(key => flags[key] !== undefined)
  if (!train && stray) throw new UserError(`--${stray} needs --train`)
  if (!Number.isInteger(batch) || batch < 1)
    throw new UserError(`--batch must be a whole number of at least 1, not ${batch}`)
  return train ? { batch, optimizer, recompute } : undefined
}

const sum = (all: readonly number[]): number => all.reduce((a, b) => a + b, 0)

/** Compiles a step and plans its memory; nothing runs. */
export function stepMemory(model: Model, flags: StepFlags): StepMemory {
  const { kind, shape } = modelInput(model)
  const perChannel = (value: number): number[] => Array(shape[0]).fill(value)
  // Of which values makes no difference here.
  const normalization = { mean: perChannel(0.5), std: perChannel(0.25) }
  const net = kind === 'image' ? normalized(model, kind, normalization) : model
  const optimizer = optimizerOf(flags.optimizer)
  const { batch, recompute } = flags
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
  return { ...flags, saved, peak, moments, state, constants, input, total }
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

/** For people. */
export function stepText(step: StepMemory): string {
  const { batch, optimizer, recompute, moments } = step
  const again = recompute ? ', cheap activations computed again' : ''
  const kept = `${byteSize(sum([...step.saved.values()]))} of it saved by the layers`
  const rows = [
    ['step', `batch ${batch}, ${optimizer}${again}`],
    ['computed', `${byteSize(step.peak)} at once, ${kept}`],
    [
      'state',
      `${byteSize(step.state)}: parameters and ${moments} moment${moments === 1 ? '' : 's'}, before and after`,
    ],
    ['constants', byteSize(step.constants)],
    ['input', byteSize(step.input)],
    ['in all', byteSize(step.total)],
  ] as const
  return facts(rows, columns())
}

/** For machines. */
export const stepRecord = ({ batch, optimizer, recompute, ...step }: StepMemory) => ({
  batch,
  optimizer,
  recompute,
  savedBytes: sum([...step.saved.values()]),
  peakBytes: step.peak,
  stateBytes: step.state,
  constantBytes: step.constants,
  inputBytes: step.input,
  totalBytes: step.total,
})
