import { attr, type TensorType } from '../graph/attributes.ts'
import { FLOATS } from '../graph/dtype.ts'
import { ShapeError } from '../graph/errors.ts'
import { rewriteTensors } from '../graph/graph.ts'
import { input } from '../graph/leaf.ts'
import type { Names } from '../graph/names.ts'
import type { Op } from '../graph/node.ts'
import { fileOp, sameDType } from '../graph/op.ts'
import { lookup, nth } from '../graph/present.ts'
import { f32, i64, type SampleInput, sample } from '../graph/sample.ts'
import { productMacs, type Shape, show, UNKNOWN, unify } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { add, mul } from './elementwise.ts'
import { grad } from './grad.ts'
import { CELLS, type CellKind } from './recurrent-cells.ts'
import {
  directionsOf,
  namesOf,
  type RecurrentAttrs,
  type RecurrentOptions,
  unrolled,
} from './recurrent-unrolled.ts'
import { sum } from './reduce.ts'

/** The inputs that ONNX lets a node leave out, with their places. */
export const OPTIONAL = { B: 3, sequence_lens: 4, initial_h: 5, initial_c: 6, P: 7 } as const

/** The inputs of a node that has those of `OPTIONAL` that `given` names. */
const INPUTS: Names = ['X', 'W', 'R', ...Object.keys(OPTIONAL).map(name => `${name}?`)]

function inferTypes(
  type: string,
  { gates, states }: CellKind,
  inputs: readonly (TensorType | undefined)[],
  attrs: RecurrentAttrs,
): TensorType[] {
  const [x, w, r] = inputs
  if (!x || !w || !r) throw new ShapeError(`${type}: needs X, W and R`)
  const { hidden_size: hidden } = attrs
  const dtype = sameDType(type, [x, w, r], FLOATS)
  const dirs = directionsOf(attrs)
  const [length = UNKNOWN, batch = UNKNOWN, size = UNKNOWN] = x.shape
  const want = (name: string, t: TensorType | undefined, shape: Shape) => {
    const fits =
      t?.shape.length === shape.length && shape.every((d, i) => unify(d, nth(t.shape, i)) !== undefined)
    if (!fits) throw new ShapeError(`${type}: ${name} must be ${show(shape)}, not ${show(t?.shape ?? [])}`)
  }
  want('X', x, [length, batch, size])
  want('W', w, [dirs, gates * hidden, size])
  want('R', r, [dirs, gates * hidden, hidden])
  const state = [dirs, batch, hidden]
  const shapes: Readonly<Record<string, Shape>> = {
    B: [dirs, 2 * gates * hidden],
    sequence_lens: [batch],
    initial_h: state,
    initial_c: state,
    P: [dirs, 3 * hidden],
  }
  for (const [i, name] of namesOf(attrs.given).entries()) want(name, inputs[i + 3], shapes[name] ?? [])
  const last = Array.from({ length: states }, () => ({ dtype, shape: state }))
  return [{ dtype, shape: [length, dirs, batch, hidden] }, ...last]
}

const isKnown = (length: unknown): boolean => typeof length === 'number' && length !== UNKNOWN

interface RecurrentSample {
  readonly attrs?: Partial<RecurrentAttrs>
  readonly given?: readonly (keyof typeof OPTIONAL)[]
  readonly dirs?: number
}

const NONE = {
  activations: undefined,
  activation_alpha: undefined,
  activation_beta: undefined,
  clip: undefined,
  input_forget: undefined,
  linear_before_reset: undefined,
} as const

function sampleOf({ gates }: CellKind, { attrs = {}, given = [] }: RecurrentSample) {
  const [length, batch, size, hidden] = [4, 3, 5, 2]
  const direction = attrs.direction ?? 'forward'
  const dirs = directionsOf({ direction })
  const state = f32(dirs, batch, hidden)
  const inputs: Readonly<Record<string, SampleInput>> = {
    B: f32(dirs, 2 * gates * hidden),
    sequence_lens: { ...i64(length + 1, batch), dtype: 'int32' },
    initial_h: state,
    initial_c: state,
    P: f32(dirs, 3 * hidden),
  }
  const optional = given.flatMap(name => inputs[name] ?? [])
  const weights = [f32(dirs, gates * hidden, size), f32(dirs, gates * hidden, hidden)]
  const all: readonly SampleInput[] = [f32(length, batch, size), ...weights, ...optional]
  return sample(...all, { ...NONE, hidden_size: hidden, direction, given: given.join(), ...attrs })
}

/**
 * Gradients of the inputs by those of the outputs. They are taken between leaves that stand for all of them: an input may depend on
 * another one, and the gradients of the outputs on the inputs, which is for others to differentiate.
 */
function gradients(
  type: string,
  kind: CellKind,
  inputs: readonly AnyTensor[],
  dys: readonly (AnyTensor | undefined)[],
  attrs: RecurrentAttrs,
): (AnyTensor | null)[] {
  const places = new Map<Tensor, Tensor>()
  const leaf = (t: AnyTensor, name: string): AnyTensor => {
    const place: AnyTensor = input(`${type} ${name}`, t.dtype, t.shape)
    places.set(place, t)
    return place
  }
  const xs = inputs.map((t, i) => leaf(t, `input ${i}`))
  const parts = unrolled(type, kind, xs, attrs).flatMap((y, i): AnyTensor[] => {
    const dy = dys[i]
    return dy ? [sum(mul(y, leaf(dy, `gradient ${i}`)))] : []
  })
  const floats = xs.filter(t => t.dtype !== 'int32')
  const total = parts.reduce((a, b) => add(a, b))
  const found = rewriteTensors(grad(total, floats), () => undefined, places)
  return xs.map(t => found[floats.indexOf(t)] ?? null)
}

/**
 * A recurrent operator. Runtimes have kernels for the whole of it; its gradient, and so a training step, takes one step after the
 * other over the length of the sequence, which must be known there. `X [length, batch, size]`, `W [directions, gates * hidden, size]`,
 * `R [directions, gates * hidden, hidden]` → `Y [length, directions, batch, hidden]` and the last states `[directions, batch, hidden]`.
 */
function recurrent(type: keyof typeof CELLS, samples: readonly RecurrentSample[]) {
  const kind: CellKind = CELLS[type]
  const outputs: Names = ['Y', 'Y_h', 'Y_c'].slice(0, 1 + kind.states)
  const own: Op<RecurrentAttrs, Names, Names> = fileOp(type, {
    inputs: INPUTS,
    outputs,
    attrs: {
      activations: attr.names<string | undefined>({ optional: true }),
      activation_alpha: attr.floats<readonly number[] | undefined>({ optional: true }),
      activation_beta: attr.floats<readonly number[] | undefined>({ optional: true }),
      clip: attr.float<number | undefined>({ optional: true }),
      direction: attr.string<RecurrentAttrs['direction']>({ default: 'forward' }),
      hidden_size: attr.int(),
      input_forget: attr.bool<boolean | undefined>({ optional: true }),
      linear_before_reset: attr.bool<boolean | undefined>({ optional: true }),
      given: attr.internal<string>({ default: '' }),
    },
    places: ({ given }) => [0, 1, 2, ...namesOf(given).map(name => lookup(OPTIONAL, name))],
    infer: (inputs, attrs) => inferTypes(type, kind, inputs, attrs),
    // that of the steps
    vjp: ({ x, dys, attrs }) =>
      gradients(
        type,
        kind,
        x.flatMap(t => t ?? []),
        dys,
        attrs,
      ),
    decompose: (x, attrs) =>
      unrolled(
        type,
        kind,
        x.flatMap(t => t ?? []),
        attrs,
      ),
    training: (x, attrs) => {
      const inputs = x.flatMap(t => t ?? [])
      if (isKnown(inputs[0]?.shape[0])) return unrolled(type, kind, inputs, attrs)
      return own.applyAll(inputs, attrs).flatMap(t => t ?? [])
    },
    // A product with the input and one with the state, for each gate of each step.
    macs: ([, w, r], [y]) =>
      kind.gates * [w, r].reduce((n, t) => n + productMacs(t?.shape ?? [], y?.shape ?? []), 0),
    // No provider has a kernel for it (onnxruntime 1.30).
    lacks: ({ dtype }) => dtype === 'float64',
    samples: samples.map(s => sampleOf(kind, s)),
  })
  return own
}

const everywhere: readonly RecurrentSample[] = [
  {},
  { attrs: { direction: 'reverse' }, given: ['B', 'sequence_lens', 'initial_h'] },
  { attrs: { direction: 'bidirectional', clip: 0.75 }, given: ['initial_h'] },
]

const RNN = recurrent('RNN', [
  ...everywhere,
  { attrs: { activations: 'Affine', activation_alpha: [0.5], activation_beta: [0.25] }, given: ['B'] },
])
const GRU = recurrent('GRU', [
  ...everywhere,
  { attrs: { linear_before_reset: true }, given: ['B'] },
  { attrs: { activations: 'HardSigmoid,Softsign' }, given: ['B', 'initial_h'] },
])
const LSTM = recurrent('LSTM', [
  ...everywhere,
  { given: ['B', 'sequence_lens', 'initial_h', 'initial_c', 'P'] },
  { attrs: { direction: 'bidirectional', input_forget: true }, given: ['initial_c', 'P'] },
])

/** The recurrent operators of ONNX as one node. */
export const RECURRENT_OPS = { RNN, GRU, LSTM } as const

/** The node of an operator. @returns all sequences' states, and the last ones */
export const applyRecurrent = (
  type: keyof typeof CELLS,
  inputs: readonly AnyTensor[],
  attrs: RecurrentOptions,
): AnyTensor[] => RECURRENT_OPS[type].applyAll(inputs, { ...NONE, ...attrs }).flatMap(t => t ?? [])
