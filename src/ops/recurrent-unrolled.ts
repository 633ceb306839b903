import { nth } from '../graph/present.ts'
import { type Shape, UNKNOWN } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { add, greater, where } from './elementwise.ts'
import { concat, fill, reshape, select, slice, split, transpose } from './layout.ts'
import { matmul } from './matmul.ts'
import {
  activationsOf,
  type CellForm,
  type CellKind,
  type CellWeights,
  knownLength,
} from './recurrent-cells.ts'

/** Attributes of ONNX's RNN, GRU and LSTM; those that a node does not have are undefined. */
export type RecurrentAttrs = {
  readonly hidden_size: number
  readonly direction: 'forward' | 'reverse' | 'bidirectional'
  /** Names of the optional inputs, joined by commas, in the order of their places. */
  readonly given: string
  /** Names of each direction's activations, joined by commas. */
  readonly activations: string | undefined
  readonly activation_alpha: readonly number[] | undefined
  readonly activation_beta: readonly number[] | undefined
  /** Largest absolute value of what activations take. */
  readonly clip: number | undefined
  /** Of LSTM: the forget gate is 1 − the input gate. */
  readonly input_forget: boolean | undefined
  /** Of GRU: the reset gate comes after the product with the state. */
  readonly linear_before_reset: boolean | undefined
}

/** The attributes of a node; those that it does not have may be left out. */
export type RecurrentOptions = Pick<RecurrentAttrs, 'hidden_size' | 'direction' | 'given'> &
  Partial<RecurrentAttrs>

/** The names in a list. */
export const namesOf = (list: string): string[] => (list ? list.split(',') : [])

/** How many directions there are. */
export const directionsOf = ({ direction }: Pick<RecurrentAttrs, 'direction'>): number =>
  direction === 'bidirectional' ? 2 : 1

/** One step after the other: the reference for the operators, and the form that is differentiated. */
export function unrolled(
  type: string,
  kind: CellKind,
  inputs: readonly AnyTensor[],
  attrs: RecurrentAttrs,
): AnyTensor[] {
  const given = namesOf(attrs.given)
  const optional = (name: string): AnyTensor | undefined =>
    given.includes(name) ? nth(inputs, 3 + given.indexOf(name)) : undefined
  const x = nth(inputs, 0)
  const [, batch]: Shape = x.shape
  const length = knownLength(type, x.shape[0])
  const dirs = directionsOf(attrs)
  const names = attrs.activations
    ? namesOf(attrs.activations)
    : Array.from({ length: dirs }, () => kind.activations).flat()
  const activations = activationsOf(names, attrs.activation_alpha ?? [], attrs.activation_beta ?? [])
  const lens = optional('sequence_lens')
  const open = lens && Array.from({ length }, (_, t) => greater(reshape(lens, [batch ?? UNKNOWN, 1]), t))
  const results = Array.from({ length: dirs }, (_, d) => {
    const part = (name: string) => optionalPart(optional(name), d)
    const start = ['initial_h', 'initial_c']
      .slice(0, kind.states)
      .map(name => part(name) ?? fill(0, x.dtype, [batch ?? UNKNOWN, attrs.hidden_size]))
    const count = kind.activations.length
    const form: CellForm = {
      hidden: attrs.hidden_size,
      activations: activations.slice(d * count, (d + 1) * count),
      clip: attrs.clip,
      coupled: attrs.input_forget === true,
      resetAfter: attrs.linear_before_reset === true,
    }
    const [w, r] = [nth(inputs, 1), nth(inputs, 2)].map(t => transpose(select(t, 0, d), [1, 0]))
    if (!w || !r) throw new Error('internal: no weights')
    const [first, later] = biases(part('B'), kind.gates, form)
    const projected = matmul(x, w)
    const biased = first ? add(projected, first) : projected
    const steps = split(
      biased,
      0,
      Array.from({ length }, () => 1),
    ).map((t): AnyTensor => select(t, 0, 0))
    const weights: CellWeights = { r, bias: later, peephole: part('P') }
    return direction(kind, steps, start, weights, form, open, attrs.direction === 'reverse' || d === 1)
  })
  const rows = results.map(({ outputs }) =>
    concat(
      outputs.map(h => expanded(h, 2)),
      0,
    ),
  )
  const last = Array.from({ length: kind.states }, (_, i) =>
    concat(
      results.map(({ states }) => expanded(nth(states, i), 1)),
      0,
    ),
  )
  return [concat(rows, 1), ...last]
}

const optionalPart = (t: AnyTensor | undefined, d: number): AnyTensor | undefined => t && select(t, 0, d)

/** With `count` dims of 1 before the others. */
const expanded = (x: AnyTensor, count: number): AnyTensor =>
  reshape(x, [...Array.from({ length: count }, () => 1), ...x.shape])

/** The biases of the product with the input, and what a reset gate multiplies. */
function biases(
  both: AnyTensor | undefined,
  gates: number,
  { hidden, resetAfter }: CellForm,
): readonly [AnyTensor | undefined, AnyTensor | undefined] {
  if (!both) return [undefined, undefined]
  const half = gates * hidden
  const [w, r] = [slice(both, 0, 0, half), slice(both, 0, half, 2 * half)]
  if (!resetAfter) return [add(w, r), undefined]
  const [zr, h] = [2 * hidden, half]
  return [concat([add(slice(w, 0, 0, zr), slice(r, 0, 0, zr)), slice(w, 0, zr, h)], 0), slice(r, 0, zr, h)]
}

/** The steps of one direction. Beyond a sequence's end its states stay, and its outputs are 0, as onnxruntime has it. */
function direction(
  { cell }: CellKind,
  steps: readonly AnyTensor[],
  start: readonly AnyTensor[],
  weights: CellWeights,
  form: CellForm,
  open: readonly AnyTensor[] | undefined,
  backwards: boolean,
): { readonly outputs: readonly AnyTensor[]; readonly states: readonly AnyTensor[] } {
  const outputs = [...steps]
  let states = start
  const order = [...steps.keys()]
  for (const t of backwards ? order.reverse() : order) {
    const before = states
    const next = cell(nth(steps, t), before, weights, form)
    const mask = open?.[t]
    states = mask ? next.map((s, i): AnyTensor => where(mask, s, nth(before, i))) : next
    const h = nth(next, 0)
    outputs[t] = mask ? where(mask, h, 0) : h
  }
  // Of an empty sequence the last states are 0 as well.
  const some = open?.[0]
  return { outputs, states: some ? states.map((s): AnyTensor => where(some, s, 0)) : states }
}
