import { vit } from '../../models/vit.ts'
import { emptyArray, type TypedArray } from '../../src/export/tensor-data.ts'
import type { OrtTensor, SessionSettings } from '../../src/runtime/session.ts'
import { compileForward } from '../../src/train/forward.ts'
import { type Layout, layoutOf, type Slot } from '../../src/train/layout.ts'
import { adam } from '../../src/train/optimizer.ts'
import { compileStep } from '../../src/train/step.ts'
import { absoluteError, type Check, type Comparison, type OracleCase, relativeError } from './case.ts'

/** Largest relative errors of logits, losses, gradients and parameters. */
const LIMITS = { float32: 1e-4, float64: 1e-9 } as const

/**
 * Attention does not change when a constant is added to all keys' scores: the key third of `qkv.bias` has a gradient of
 * zero and what is computed is rounding noise. It is compared absolutely, with this limit.
 */
const ZERO_GRADIENT = 1e-6

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

/** Ranges of a parameter's elements: `qkv.bias` in three, of which the second is the keys'. */
const parts = ({ name, offset, size }: Slot): { what: string; from: number; to: number; keys: boolean }[] =>
  name.endsWith('attn.qkv.bias')
    ? [0, 1, 2].map(i => ({
        what: `${name}[${'qkv'[i]}]`,
        from: offset + (i * size) / 3,
        to: offset + ((i + 1) * size) / 3,
        keys: i === 1,
      }))
    : [{ what: name, from: offset, to: offset + size, keys: false }]

/** Logits and gradients of the first step, the loss of every step, and the parameters after the last. */
export const checkViT: Check = async (c, runtime) => {
  const { img, ch, ...rest } = JSON.parse(c.metadata.config!) as Config
  const { name, lr, steps } = JSON.parse(c.metadata.optimizer!) as { name: string; lr: number; steps: number }
  if (name !== 'adam') return { skipped: `optimizer ${name} is not implemented` }
  const model = vit({ image: img, channels: ch, ...rest })
  const layout = layoutOf(model.parameters)
  const { x, y, logits, losses } = c.tensors
  const dtype: Float = x!.dtype === 'float64' ? 'float64' : 'float32'
  const limit = LIMITS[dtype]
  const weights = flatten(c, 'w.', layout, dtype)

  const { target } = runtime.device
  const forward = await runtime.load(compileForward(model, { target, dtype }).bytes, SETTINGS)
  const image = runtime.tensor(dtype, x!.data, x!.shape)
  const predicted = await forward.run({ image, params: runtime.tensor(dtype, weights, [layout.size]) })
  await forward.close()

  const trained = await train()
  const comparisons: Comparison[] = [
    { what: 'logits', error: relativeError(predicted.logits!.data as Float64Array, logits!.data), limit },
    { what: 'losses', error: relativeError(trained.losses, losses!.data), limit },
  ]
  const [g, p] = [flatten(c, 'g.', layout, dtype), flatten(c, 'p.', layout, dtype)]
  for (const { what, from, to, keys } of layout.slots.flatMap(parts)) {
    const part = (v: TypedArray) => v.subarray(from, to)
    comparisons.push(
      keys
        ? { what: `g.${what}`, error: absoluteError(part(trained.gradient), part(g)), limit: ZERO_GRADIENT }
        : { what: `g.${what}`, error: relativeError(part(trained.gradient), part(g)), limit },
    )
    // Adam divides by the gradient's size, which makes steps of the noise in float32.
    if (!keys || dtype === 'float64')
      comparisons.push({ what: `p.${what}`, error: relativeError(part(trained.params), part(p)), limit })
  }
  return { comparisons }

  async function train() {
    const optimizer = adam({ lr })
    const batch = x!.shape[0]!
    const program = compileStep(model, { batch, optimizer, target, dtype, keepGradient: true })
    const session = await runtime.load(program.bytes, SETTINGS)
    const label = runtime.tensor('int32', Int32Array.from(y!.data, Number), [batch])
    const zeros = () => runtime.tensor(dtype, emptyArray(dtype, layout.size), [layout.size])
    const state: Record<string, OrtTensor> = Object.fromEntries(
      program.state.map(({ name }) => [name, zeros()]),
    )
    state.params = runtime.tensor(dtype, weights, [layout.size])
    const seen: number[] = []
    let gradient: TypedArray | undefined
    for (let step = 1; step <= steps; step++) {
      const got = await session.run({ image, label, ...state, ...scalars(optimizer.scalars(step, lr)) })
      seen.push(Number(got.loss!.data[0]))
      gradient ??= (got.gradient!.data as Float64Array).slice()
      for (const { name } of program.state) state[name] = got[`next.${name}`]!
    }
    const params = (state.params.data as Float64Array).slice()
    await session.close()
    return { losses: seen, gradient: gradient!, params }
  }

  function scalars(values: Readonly<Record<string, number>>): Record<string, OrtTensor> {
    const one = (v: number) => runtime.tensor(dtype, (emptyArray(dtype, 1) as Float64Array).fill(v), [])
    return Object.fromEntries(Object.entries(values).map(([n, v]) => [n, one(v)]))
  }
}
