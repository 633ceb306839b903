import { vit } from '../../models/vit.ts'
import { emptyArray, type TypedArray } from '../../src/graph/array.ts'
import { lookup, nth, present } from '../../src/graph/present.ts'
import { type Layout, layoutOf, type Slot } from '../../src/nn/layout.ts'
import { adam } from '../../src/optim/optimizer.ts'
import type { OrtTensor, SessionSettings } from '../../src/runtime/session.ts'
import { classification } from '../../src/tasks/classification.ts'
import { plansOf } from '../../src/train/plans.ts'
import { compilePrediction } from '../../src/train/step/forward.ts'
import { nextName, stateName } from '../../src/train/step/state.ts'
import { compileStep } from '../../src/train/step/step.ts'
import { absoluteError, type Check, type Comparison, type OracleCase, relativeError } from './case.ts'

/** Largest relative errors of logits, losses and gradients. */
const LIMITS = { float32: 1e-4, float64: 1e-9 } as const

/**
 * Attention does not change when a constant is added to all keys' scores: the key third of `qkv.bias` has a gradient of
 * zero and what is computed is rounding noise. It is compared absolutely, with this limit.
 */
const ZERO_GRADIENT = 1e-6

/**
 * Adam divides a gradient by its own size: where the true gradient is near zero, its sign is decided by rounding, which
 * differs between processors, and the parameter moves by the learning rate in one direction or the other. In float32,
 * gradients are right to about 1e-6 of the largest of their tensor (sums of some hundred products, 6e-8 each). One of 1e-3 of
 * the largest is then right to 1e-3, and so is the way that its parameter moves; a few in a thousand are smaller. In float64
 * the noise is far below Adam's epsilon, and every element is compared.
 */
const NOISE = { float32: 1e-3, float64: 0 } as const

/** Largest error of a parameter's way, as a share of learning rate × steps. */
const MOVES = { float32: 2e-3, float64: 1e-6 } as const

/** As training loads it; onnxruntime's own layer-norm fusion would keep epsilon in float32. */
const SETTINGS: SessionSettings = { optimize: 'basic' }

interface Config {
  readonly img: number
  readonly ch: number
  readonly patch: number
  readonly dim: number
  readonly depth: number
  readonly heads: number
  readonly mlp: number
  readonly classes: number
}

type Float = keyof typeof LIMITS

/** The tensors of a file under `prefix` as one flat vector. */
function flatten({ tensors }: OracleCase, prefix: string, { slots, size }: Layout, dtype: Float): TypedArray {
  const flat = emptyArray(dtype, size) as Float64Array
  for (const { name, shape, offset } of slots) {
    const t = tensors[prefix + name]
    if (t?.dtype !== dtype || t.shape.join() !== shape.join())
      throw new Error(
        `${prefix}${name} is ${t ? `${t.dtype} [${t.shape}]` : 'missing'}, not ${dtype} [${shape}]`,
      )
    flat.set(t.data as Float64Array, offset)
  }
  return flat
}

/** A gradient that is zero but for rounding: of the key third of `qkv.bias`. */
const keysOf = ({ name, offset, size }: Slot): { from: number; to: number } | undefined =>
  name.endsWith('attn.qkv.bias') ? { from: offset + size / 3, to: offset + (2 * size) / 3 } : undefined

/** The elements of a slot outside of `but`. */
const without = (flat: TypedArray, { offset, size }: Slot, but?: { from: number; to: number }): number[] => {
  const keep = (i: number) => !but || i < but.from || i >= but.to
  return Array.from({ length: size }, (_, i) => offset + i)
    .filter(keep)
    .map(i => Number(flat[i]))
}

function compareGradients(slot: Slot, got: TypedArray, want: TypedArray, limit: number): Comparison[] {
  const keys = keysOf(slot)
  const what = `g.${slot.name}`
  const rest = relativeError(without(got, slot, keys), without(want, slot, keys))
  if (!keys) return [{ what, error: rest, limit }]
  const { from, to } = keys
  const error = absoluteError(got.subarray(from, to), want.subarray(from, to))
  return [
    { what: `${what}[q, v]`, error: rest, limit },
    { what: `${what}[k]`, error, limit: ZERO_GRADIENT },
  ]
}

interface Trained {
  readonly params: TypedArray
  /** Of the first step. */
  readonly gradient: TypedArray
}

/**
 * How far Adam has moved the parameters, as a share of the way that it can go: where the gradient of the first step is
 * above float32's noise to MOVES; below it, no further apart than two opposite ways.
 */
function compareMoves(slot: Slot, from: TypedArray, got: Trained, want: Trained, way: number, dtype: Float) {
  const all = Array.from({ length: slot.size }, (_, i) => slot.offset + i)
  const magnitude = (i: number) => Math.abs(Number(want.gradient[i]))
  const noise = NOISE[dtype] * Math.max(...all.map(magnitude))
  const compare = (what: string, indices: readonly number[], limit: number): Comparison => {
    const moves = (flat: TypedArray) => indices.map(i => (Number(flat[i]) - Number(from[i])) / way)
    return { what, error: absoluteError(moves(got.params), moves(want.params)), limit }
  }
  return [
    compare(
      `p.${slot.name}`,
      all.filter(i => magnitude(i) >= noise),
      MOVES[dtype],
    ),
    compare(
      `p.${slot.name}, noise`,
      all.filter(i => magnitude(i) < noise),
      2,
    ),
  ]
}

/** Logits and gradients of the first step, the loss of every step, and the parameters after the last. */
export const checkViT: Check = async (c, runtime) => {
  const { img, ch, ...rest } = JSON.parse(lookup(c.metadata, 'config')) as Config
  const { name, lr, steps }: { name: string; lr: number; steps: number } = JSON.parse(
    lookup(c.metadata, 'optimizer'),
  )
  if (name !== 'adam') return { skipped: `optimizer ${name} is not implemented` }
  const model = vit({ image: img, channels: ch, ...rest })
  const layout = layoutOf(model.parameters)
  const [x, y] = [lookup(c.tensors, 'x'), lookup(c.tensors, 'y')]
  const [logits, losses] = [lookup(c.tensors, 'logits'), lookup(c.tensors, 'losses')]
  const dtype: Float = x.dtype === 'float64' ? 'float64' : 'float32'
  const limit = LIMITS[dtype]
  const weights = flatten(c, 'w.', layout, dtype)

  const { target } = runtime.device
  const optimizer = adam({ lr })
  const plan = nth(plansOf(model, { task: classification(), optimizer }).plans, 0)
  const prediction = compilePrediction(model, plan.layout, { target, dtype })
  const forward = await runtime.load(prediction.bytes, SETTINGS)
  const image = runtime.tensor(dtype, x.data, x.shape)
  const params = runtime.tensor(dtype, weights, [layout.size])
  const predicted = await forward.run({ image, 'state.params': params })
  await forward.close()

  const trained = await train()
  const comparisons: Comparison[] = [
    { what: 'logits', error: relativeError(lookup(predicted, 'logits').data, logits.data), limit },
    { what: 'losses', error: relativeError(trained.losses, losses.data), limit },
  ]
  const [g, p] = [flatten(c, 'g.', layout, dtype), flatten(c, 'p.', layout, dtype)]
  for (const slot of layout.slots)
    comparisons.push(
      ...compareGradients(slot, trained.gradient, g, limit),
      ...compareMoves(slot, weights, trained, { params: p, gradient: g }, lr * steps, dtype),
    )
  return { comparisons }

  async function train() {
    const batch = nth(x.shape, 0)
    const program = compileStep(plan, { sizes: { batch }, target, dtype, keepGradient: true })
    const session = await runtime.load(program.bytes, SETTINGS)
    const label = runtime.tensor('int32', Int32Array.from(y.data, Number), [batch])
    const zeros = () => runtime.tensor(dtype, emptyArray(dtype, layout.size), [layout.size])
    const state: Record<string, OrtTensor> = Object.fromEntries(
      program.writes.map(v => [stateName(v), zeros()]),
    )
    state['state.params'] = params
    const seen: number[] = []
    let gradient: TypedArray | undefined
    for (let step = 1; step <= steps; step++) {
      const got = await session.run({ image, label, ...state, ...scalars(optimizer.scalars(step, lr)) })
      seen.push(Number(lookup(got, 'loss').data[0]))
      gradient ??= lookup(got, 'gradient').data.slice()
      for (const v of program.writes) state[stateName(v)] = lookup(got, nextName(v))
    }
    const after = lookup(state, 'state.params').data.slice()
    await session.close()
    return { losses: seen, gradient: present(gradient, 'gradient'), params: after }
  }

  function scalars(values: Readonly<Record<string, number>>): Record<string, OrtTensor> {
    const one = (v: number) => runtime.tensor(dtype, (emptyArray(dtype, 1) as Float64Array).fill(v), [])
    return Object.fromEntries(Object.entries(values).map(([n, v]) => [`scalar.${n}`, one(v)]))
  }
}
