import { type Dim, UNKNOWN } from '../../graph/dim.ts'
import type { DType } from '../../graph/dtype.ts'
import { UserError } from '../../graph/errors.ts'
import { constant } from '../../graph/leaf.ts'
import { type Shape, show } from '../../graph/shape.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import { hideFuture } from '../../ops/causal.ts'
import { add, cast, div, greater, less, mul, sub, tanh, where } from '../../ops/elementwise.ts'
import { concat, expand, padAxis, reshape, transposeLast } from '../../ops/layout.ts'
import { matmul } from '../../ops/matmul.ts'
import { softmax } from '../../ops/norm.ts'
import { max } from '../../ops/reduce.ts'
import { positions } from '../positions.ts'

/** Attention of heads: `q` `[batch, heads, T, d]`, `k` `[batch, heads, S, d]`, `v` `[batch, heads, S, e]`. */
export interface Attended {
  readonly q: AnyTensor
  /** Its heads, and those of `v`, may be fewer: each stands for as many of `q`. */
  readonly k: AnyTensor
  readonly v: AnyTensor
  /** Of the scores. @default 1 / √d */
  readonly scale?: number | undefined
  /** Scores end softly at ± this. @default 0, they do not */
  readonly softcap?: number
  /** Added to the scores; −∞ hides a key. */
  readonly bias?: AnyTensor | undefined
  /** Token i sees keys 0 … i only. */
  readonly causal?: boolean
}

/** The steps of an attention. */
export interface Steps {
  readonly y: AnyTensor
  readonly scores: AnyTensor
  readonly capped: AnyTensor
  readonly biased: AnyTensor
  readonly weights: AnyTensor
}

/** Keys or values after those of earlier tokens. */
export const after = (past: AnyTensor | undefined, now: AnyTensor): AnyTensor =>
  past ? concat([past, now], 2) : now

/** @throws UserError for a tensor of another number of dims */
export function checkRank(what: string, x: AnyTensor, rank: number): void {
  const shape: Shape = x.shape
  if (shape.length !== rank) throw new UserError(`${what} of ${show(shape)} must have ${rank} dims`)
}

/** softmax(q kᵀ scale + bias) v; a token that sees no key gets zeros. */
export function attend({ q, k, v, scale, softcap = 0, bias, causal = false }: Attended): Steps {
  for (const [name, x] of Object.entries({ queries: q, keys: k, values: v })) checkRank(name, x, 4)
  const heads: Dim = q.shape[1]
  const size: Dim = q.shape[3]
  if (!scale && (typeof size !== 'number' || size < 1))
    throw new UserError(`the scale of scores depends on the last dim of ${show(q.shape)}, which is not known`)
  const product = matmul(q, transposeLast(repeated(k, heads)))
  const scores = mul(product, scale || 1 / Math.sqrt(Number(size)))
  const capped = softcap ? mul(tanh(div(scores, softcap)), softcap) : scores
  const shown = causal ? hideFuture(capped) : capped
  const biased = bias ? add(shown, bias) : shown
  const weights = bias ? guarded(biased, bias) : softmax(biased)
  return { y: matmul(weights, repeated(v, heads)), scores, capped, biased, weights }
}

/** A softmax whose rows without a key are zeros, and not 0 / 0. */
function guarded(scores: AnyTensor, bias: AnyTensor): AnyTensor {
  const seen = greater(max(bias, -1, true), Number.NEGATIVE_INFINITY)
  const zero = constant(0, scores.dtype, [])
  const weights = softmax(where(seen, scores, zero))
  return where(seen, weights, zero)
}

/** Each head as often as it stands for one of `heads`. */
function repeated(x: AnyTensor, heads: Dim): AnyTensor {
  const [batch, own, length, size]: [Dim, Dim, Dim, Dim] = x.shape
  if (own === heads) return x
  if (typeof own !== 'number' || typeof heads !== 'number' || own < 1 || heads % own)
    throw new UserError(`${heads} heads of queries do not divide into ${own} of keys and values`)
  const times = heads / own
  const each = expand(reshape(x, [batch, own, 1, length, size]), [batch, own, times, length, size])
  return reshape(each, [batch, heads, length, size])
}

/** Which keys are seen, as what is added to their scores. */
export const hiding = (seen: AnyTensor, hidden = Number.NEGATIVE_INFINITY): AnyTensor => {
  const zero = constant(0, 'float32', [])
  return where(seen, zero, constant(hidden, 'float32', []))
}

/** The sum of what is added to scores, of which there may be nothing. */
export const sumOfBiases = (
  biases: readonly (AnyTensor | undefined)[],
  dtype: DType = 'float32',
): AnyTensor | undefined =>
  biases
    .flatMap(b => (b ? [cast(b, dtype)] : []))
    .reduce<AnyTensor | undefined>((a, b) => (a ? add(a, b) : b), undefined)

/** A mask of bools or numbers as what is added to scores; keys that it does not reach are hidden. */
export function maskBias(mask: AnyTensor | undefined, length: Dim): AnyTensor | undefined {
  if (!mask) return undefined
  const bias = mask.dtype === 'bool' ? hiding(mask) : mask
  const own: Dim = bias.shape.at(-1)
  if (typeof own !== 'number' || typeof length !== 'number' || own >= length || own === UNKNOWN) return bias
  return padAxis(bias, bias.shape.length - 1, 0, length - own, Number.NEGATIVE_INFINITY)
}

/** How far tokens see, from their own place on. */
export interface Reach {
  /** Places to the left and right. @default all */
  readonly left?: number
  readonly right?: number
  /** Place of the first token among the keys: one for all, or `[batch]`. */
  readonly offset: AnyTensor
}

/** Hides keys that are out of reach: `[T, S]`, or `[batch, 1, T, S]`. */
export function reachBias(
  tokens: Dim,
  keys: Dim,
  { left = -1, right = -1, offset }: Reach,
): AnyTensor | undefined {
  const rows = reshape(positions(tokens), [tokens, 1])
  const starts = offset.shape.length ? reshape(offset, [offset.shape[0], 1, 1, 1]) : offset
  // How far a token stands after a key.
  const behind = sub(add(rows, starts), positions(keys))
  return sumOfBiases([
    right < 0 ? undefined : hiding(greater(add(behind, right), -1)),
    left < 0 ? undefined : hiding(less(behind, left + 1)),
  ])
}

/** Hides keys from `lengths` `[batch]` on: `[batch, 1, 1, S]`. */
export function lengthBias(lengths: AnyTensor, keys: Dim, hidden?: number): AnyTensor {
  checkRank('lengths', lengths, 1)
  const [batch]: [Dim] = lengths.shape
  return hiding(less(positions(keys), reshape(cast(lengths, 'int64'), [batch, 1, 1, 1])), hidden)
}

/** A mask of 0 and 1 (or lengths) of onnxruntime's own operators: `[batch]`, `[batch, S]` or `[batch, T, S]`. */
export function paddingBias(mask: AnyTensor, batch: Dim, keys: Dim, hidden: number): AnyTensor | undefined {
  const shape: readonly Dim[] = mask.shape
  if (shape.length === 1) return shape[0] === batch ? lengthBias(mask, keys, hidden) : undefined
  const seen = greater(cast(mask, 'int32'), 0)
  if (shape.length === 2) return hiding(reshape(seen, [batch, 1, 1, ...shape.slice(1)]), hidden)
  if (shape.length === 3) return hiding(reshape(seen, [batch, 1, ...shape.slice(1)]), hidden)
  throw new UserError(`a mask of ${show(shape)} is not supported, only [batch], [batch,S] and [batch,T,S]`)
}
