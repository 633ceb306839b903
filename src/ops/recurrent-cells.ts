import { ShapeError, UserError } from '../graph/errors.ts'
import { constant } from '../graph/leaf.ts'
import { nth } from '../graph/present.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { elu, leakyRelu, softplus, softsign } from './activation.ts'
import { add, cast, clip, greater, mul, relu, sigmoid, sub, tanh } from './elementwise.ts'
import { slice } from './layout.ts'
import { matmul } from './matmul.ts'
import { hardSigmoid } from './rectifiers.ts'

type Activation = (x: AnyTensor) => AnyTensor

/** An activation by its α and β, and which of both it takes, with ONNX's defaults. */
interface ActivationForm {
  readonly alpha?: number
  readonly beta?: number
  readonly of: (alpha: number, beta: number) => Activation
}

/** ONNX's activations of recurrent operators, by their names in lower case. */
const ACTIVATIONS: Readonly<Record<string, ActivationForm>> = {
  relu: { of: () => relu },
  tanh: { of: () => tanh },
  sigmoid: { of: () => sigmoid },
  affine: { alpha: 1, beta: 0, of: (a, b) => x => add(mul(x, a), b) },
  leakyrelu: { alpha: 0.01, of: a => x => leakyRelu(x, a) },
  thresholdedrelu: { alpha: 1, of: a => x => mul(x, cast(greater(x, a), x.dtype)) },
  scaledtanh: { alpha: 1, beta: 1, of: (a, b) => x => mul(tanh(mul(x, b)), a) },
  hardsigmoid: { alpha: 0.2, beta: 0.5, of: (a, b) => x => hardSigmoid(x, a, b) },
  elu: { alpha: 1, of: a => x => elu(x, a) },
  softsign: { of: () => softsign },
  softplus: { of: () => softplus },
}

/** Whether an activation is known. */
export const isActivation = (name: string): boolean => Object.hasOwn(ACTIVATIONS, name.toLowerCase())

/**
 * Activations by their names; α and β are given to those that take one, in order.
 * @throws UserError for a name that ONNX does not have
 */
export function activationsOf(
  names: readonly string[],
  alphas: readonly number[],
  betas: readonly number[],
): Activation[] {
  const [alpha, beta] = [[...alphas], [...betas]]
  return names.map(name => {
    const form = isActivation(name) ? ACTIVATIONS[name.toLowerCase()] : undefined
    if (!form)
      throw new UserError(`activation ${name} is not known; ONNX has ${Object.keys(ACTIVATIONS).join(', ')}`)
    const a = form.alpha === undefined ? 0 : (alpha.shift() ?? form.alpha)
    const b = form.beta === undefined ? 0 : (beta.shift() ?? form.beta)
    return form.of(a, b)
  })
}

/** Weights of one direction; those of a bias and the peepholes may be missing. */
export interface CellWeights {
  /** Recurrent weights `[gates * hidden, hidden]`, transposed. */
  readonly r: AnyTensor
  /** Recurrent bias `[gates * hidden]`, where it is not a part of the product with the input. */
  readonly bias?: AnyTensor | undefined
  /** `[3 * hidden]` of the input, output and forget gate. */
  readonly peephole?: AnyTensor | undefined
}

/** How the cells of one direction compute. */
export interface CellForm {
  readonly hidden: number
  readonly activations: readonly Activation[]
  readonly clip?: number | undefined
  readonly coupled: boolean
  readonly resetAfter: boolean
}

/** One step of a cell: the product with the input of the step (`[batch, gates * hidden]`), and states → the next states. */
export type Cell = (
  input: AnyTensor,
  states: readonly AnyTensor[],
  weights: CellWeights,
  form: CellForm,
) => readonly AnyTensor[]

/** The columns of a gate. */
const gate = (x: AnyTensor, i: number, hidden: number, count = 1): AnyTensor =>
  slice(x, -1, i * hidden, (i + count) * hidden)

const clipped = (x: AnyTensor, bound: number | undefined): AnyTensor =>
  bound === undefined ? x : clip(x, -bound, bound)

const rnn: Cell = (input, states, { r }, { activations, clip: bound }) => [
  nth(activations, 0)(clipped(add(input, matmul(nth(states, 0), r)), bound)),
]

/** Gates: update z, reset r, hidden h. */
const gru: Cell = (input, states, { r, bias }, { hidden, activations, clip: bound, resetAfter }) => {
  const h = nth(states, 0)
  const [f, g] = [nth(activations, 0), nth(activations, 1)]
  const both = add(gate(input, 0, hidden, 2), matmul(h, gate(r, 0, hidden, 2)))
  const open = f(clipped(both, bound))
  const [z, reset] = [gate(open, 0, hidden), gate(open, 1, hidden)]
  const weights = gate(r, 2, hidden)
  const own = resetAfter
    ? mul(reset, bias ? add(matmul(h, weights), bias) : matmul(h, weights))
    : matmul(mul(reset, h), weights)
  const next = g(clipped(add(gate(input, 2, hidden), own), bound))
  return [add(next, mul(z, sub(h, next)))]
}

/** Gates: input i, output o, forget f, cell c. */
const lstm: Cell = (input, states, { r, peephole }, { hidden, activations, clip: bound, coupled }) => {
  const [h, c] = [nth(states, 0), nth(states, 1)]
  const [f, g, last] = [nth(activations, 0), nth(activations, 1), nth(activations, 2)]
  const sums = add(input, matmul(h, r))
  const looking = (i: number, state: AnyTensor): AnyTensor => {
    const own = gate(sums, i, hidden)
    return clipped(peephole ? add(own, mul(gate(peephole, i, hidden), state)) : own, bound)
  }
  const i = f(looking(0, c))
  const forget = coupled ? sub(constant(1, i.dtype, []), i) : f(looking(2, c))
  const next = add(mul(forget, c), mul(i, g(clipped(gate(sums, 3, hidden), bound))))
  return [mul(f(looking(1, next)), last(next)), next]
}

/** What an operator is made of. */
export interface CellKind {
  readonly cell: Cell
  readonly gates: number
  /** 2 with a cell state. */
  readonly states: number
  readonly activations: readonly string[]
}

export const CELLS = {
  RNN: { cell: rnn, gates: 1, states: 1, activations: ['Tanh'] },
  GRU: { cell: gru, gates: 3, states: 1, activations: ['Sigmoid', 'Tanh'] },
  LSTM: { cell: lstm, gates: 4, states: 2, activations: ['Sigmoid', 'Tanh', 'Tanh'] },
} as const satisfies Readonly<Record<string, CellKind>>

/** @throws ShapeError for a length that is not known */
export function knownLength(name: string, length: unknown): number {
  if (typeof length === 'number' && length >= 0) return length
  throw new ShapeError(
    `${name}: its gradient takes step after step, so the length of the sequence must be known, not ${length === -1 ? '?' : length}; give a size for it`,
  )
}
