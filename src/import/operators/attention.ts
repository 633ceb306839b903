import { UserError } from '../../graph/errors.ts'
import { constant, sizeOf } from '../../graph/leaf.ts'
import { nth } from '../../graph/present.ts'
import { type Dim, show } from '../../graph/shape.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import { add, cast, sub } from '../../ops/elementwise.ts'
import { concat, reshape, select, split } from '../../ops/layout.ts'
import { matmul } from '../../ops/matmul.ts'
import type { NodeReader } from '../node-reader.ts'
import type { Operators } from '../operator.ts'
import { unsupported } from '../unsupported.ts'
import {
  after,
  attend,
  checkRank,
  lengthBias,
  maskBias,
  paddingBias,
  reachBias,
  type Steps,
  sumOfBiases,
} from './attend.ts'
import { groupQueryAttention } from './group-attention.ts'
import { joinHeads, microsoftRotaryEmbedding, rotaryEmbedding, splitHeads } from './rotary.ts'

const lengthOf = (x: AnyTensor): Dim => x.shape[2]

/** What a node shows of the scores. */
const shownOf = (mode: number, steps: Steps): AnyTensor =>
  [steps.scores, steps.capped, steps.biased, steps.weights][mode] ??
  unsupported(`qk_matmul_output_mode ${mode} is not supported, only 0 to 3`)

/** ONNX's own attention, of opset 23 to 25. */
function attention(n: NodeReader): readonly AnyTensor[] {
  const joined = n.data(0).shape.length === 3
  if (!joined) for (const i of [0, 1, 2]) checkRank(`input ${i}`, n.data(i), 4)
  const heads = (x: AnyTensor, count: number) => (joined ? splitHeads(x, count) : x)
  const [queries, groups] = [n.int('q_num_heads', 0), n.int('kv_num_heads', 0)]
  const q = heads(n.data(0), queries)
  const [pastKey, pastValue, lengths] = [n.optional(4), n.optional(5), n.optional(6)]
  const k = after(pastKey, heads(n.data(1), groups))
  const v = after(pastValue, heads(n.data(2), groups))
  n.int('softmax_precision', 1) // Half precision is float32 here.
  const [tokens, keys] = [lengthOf(q), lengthOf(k)]
  const mask = maskBias(n.optional(3), keys)
  const causal = n.flag('is_causal')
  const [left, right] = [n.int('left_window_size', -1), n.int('right_window_size', -1)]
  const plain = causal && !pastKey && !lengths && left < 0
  const reach = { left, right: causal ? 0 : right, offset: offsetOf(tokens, pastKey, lengths) }
  const near = plain || (reach.right < 0 && left < 0) ? undefined : reachBias(tokens, keys, reach)
  const steps = attend({
    q,
    k,
    v,
    scale: n.attribute('scale', 'float'),
    softcap: n.float('softcap', 0),
    causal: plain,
    bias: sumOfBiases([mask, near, lengths && lengthBias(lengths, keys)], q.dtype),
  })
  const shown = shownOf(n.int('qk_matmul_output_mode', 0), steps)
  return [joined ? joinHeads(steps.y) : steps.y, k, v, shown]
}

/** Place of the first token among the keys. */
function offsetOf(tokens: Dim, past: AnyTensor | undefined, lengths: AnyTensor | undefined): AnyTensor {
  if (past) return sizeOf(lengthOf(past), 'int64')
  return lengths ? sub(cast(lengths, 'int64'), sizeOf(tokens, 'int64')) : constant(0, 'int64', [])
}

/** Added to the scores of keys that a mask hides. */
const HIDDEN = -10000

interface Heads {
  readonly q: AnyTensor
  readonly k: AnyTensor
  readonly v: AnyTensor
}

/** Attention of onnxruntime's own operators, whose masks and settings have the same names. */
function microsoft(
  n: NodeReader,
  { q, k, v }: Heads,
  mask: AnyTensor | undefined,
  bias: AnyTensor | undefined,
): Steps {
  const [tokens, keys]: [Dim, Dim] = [lengthOf(q), lengthOf(k)]
  const hidden = n.float('mask_filter_value', HIDDEN)
  const padding = mask && paddingBias(mask, q.shape[0], keys, hidden)
  if (mask && !padding)
    unsupported(`a mask of ${show(mask.shape)} is not supported, only lengths [batch] and masks`)
  const one = n.flag('unidirectional')
  const plain = one && tokens === keys
  const offset = sub(sizeOf(keys, 'int64'), sizeOf(tokens, 'int64'))
  const causal = one && !plain ? reachBias(tokens, keys, { right: 0, offset }) : undefined
  const scale = n.float('scale', 0)
  return attend({ q, k, v, scale, causal: plain, bias: sumOfBiases([padding, bias, causal], q.dtype) })
}

/** Queries, keys and values by one product with the input. */
function fusedAttention(n: NodeReader): readonly (AnyTensor | undefined)[] {
  const [x, weights, bias, past] = [n.data(0), n.data(1), n.optional(2), n.optional(4)]
  for (const name of ['do_rotary', 'past_present_share_buffer'])
    if (n.flag(name)) unsupported(`${name} 1 is not supported, only 0`)
  n.int('rotary_embedding_dim', 0)
  const heads = n.int('num_heads', 1)
  checkRank('an input', x, 3)
  checkRank('weights', weights, 2)
  const width: Dim = weights.shape[1]
  if (typeof width !== 'number')
    throw new UserError(`the width of the weights ${show(weights.shape)} is not known`)
  const product = matmul(x, weights)
  const sizes = n.ints('qkv_hidden_sizes') ?? [width / 3, width / 3, width / 3]
  if (sizes.length !== 3) throw new UserError(`qkv_hidden_sizes has ${sizes.length} sizes; expected 3`)
  const parts = split(bias ? add(product, bias) : product, 2, sizes).map((t: AnyTensor) =>
    splitHeads(t, heads),
  )
  const [q, newKey, newValue] = [nth(parts, 0), nth(parts, 1), nth(parts, 2)]
  const k = after(past && select(past, 0, 0), newKey)
  const v = after(past && select(past, 0, 1), newValue)
  const steps = microsoft(n, { q, k, v }, n.optional(3), n.optional(5))
  const present = n.outputs > 1 ? concat([layer(k), layer(v)], 0) : undefined
  return [joinHeads(steps.y), present]
}

const layer = (x: AnyTensor): AnyTensor => reshape(x, [1, ...x.shape])

/** Queries, keys and values of onnxruntime's MultiHeadAttention: each of its own, or packed in one. */
function headsOf(n: NodeReader, heads: number): Heads {
  const [query, key, value, bias] = [n.data(0), n.optional(1), n.optional(2), n.optional(3)]
  if (!(heads >= 1)) throw new UserError(`num_heads is ${heads}; it must be at least 1`)
  const packed = (x: AnyTensor, count: number): AnyTensor[] => {
    // [batch, length, heads, parts, size]
    const parts = split(x, 3, count)
    return parts.map((t: AnyTensor) =>
      splitHeads(reshape(t, [t.shape[0], t.shape[1], heads * t.shape[4]]), heads),
    )
  }
  const all =
    query.shape.length === 5
      ? packed(query, 3)
      : key?.shape.length === 5
        ? [query, ...packed(key, 2)]
        : [query, key ?? query, value ?? key ?? query]
  const widths = all.map(t => (t.shape.length === 4 ? heads * t.shape[3] : Number(t.shape[2])))
  const biases: readonly AnyTensor[] = bias ? split(bias, 0, widths) : []
  const [q, k, v] = all.map((t, i) => {
    const b = biases[i]
    if (t.shape.length === 3) return splitHeads(b ? add(t, b) : t, heads)
    checkRank('keys or values', t, 4)
    return b ? add(t, reshape(b, [heads, 1, t.shape[3]])) : t
  })
  if (!q || !k || !v) throw new UserError('needs queries, keys and values')
  return { q, k, v }
}

function multiHeadAttention(n: NodeReader): readonly (AnyTensor | undefined)[] {
  const { q, k: newKey, v: newValue } = headsOf(n, n.int('num_heads', 1))
  const [k, v] = [after(n.optional(6), newKey), after(n.optional(7), newValue)]
  const { y, scores } = microsoft(n, { q, k, v }, n.optional(4), n.optional(5))
  return [joinHeads(y), k, v, scores]
}

/** Attention and what turns its queries and keys. */
export const ATTENTION: Operators = {
  Attention: attention,
  RotaryEmbedding: rotaryEmbedding,
}

/** What onnxruntime's optimizer makes of attention. */
export const FUSED_ATTENTION: Operators = {
  Attention: fusedAttention,
  MultiHeadAttention: multiHeadAttention,
  GroupQueryAttention: groupQueryAttention,
  RotaryEmbedding: microsoftRotaryEmbedding,
}
