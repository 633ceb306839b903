import { UserError } from '../../graph/errors.ts'
import { sizeOf } from '../../graph/leaf.ts'
import { nth } from '../../graph/present.ts'
import { type Dim, show } from '../../graph/shape.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import { add, cast, maximum, sub } from '../../ops/elementwise.ts'
import { gather } from '../../ops/gather.ts'
import { reshape, split } from '../../ops/layout.ts'
import type { NodeReader } from '../node-reader.ts'
import { positions } from '../positions.ts'
import { unsupported } from '../unsupported.ts'
import { after, attend, checkRank, reachBias, sumOfBiases } from './attend.ts'
import { joinHeads, rotated, splitHeads } from './rotary.ts'

/** What is not computed unless it says nothing. */
const NEUTRAL: readonly (readonly [name: string, value: number])[] = [
  ['smooth_softmax', 0],
  ['qk_output', 0],
  ['k_quant_type', 0],
  ['v_quant_type', 0],
]

/** Queries, keys and values, which may be packed in one tensor. */
function partsOf(n: NodeReader, heads: number, groups: number): readonly AnyTensor[] {
  const [query, key, value] = [n.data(0), n.optional(1), n.optional(2)]
  if (key && value) return [splitHeads(query, heads), splitHeads(key, groups), splitHeads(value, groups)]
  checkRank('an input', query, 3)
  if (!(heads >= 1 && groups >= 1))
    throw new UserError(`num_heads ${heads} and kv_num_heads ${groups} must be at least 1`)
  const width: Dim = query.shape[2]
  if (typeof width !== 'number' || width % (heads + 2 * groups))
    throw new UserError(`${show(query.shape)} does not split into ${heads} + 2 × ${groups} heads`)
  const size = width / (heads + 2 * groups)
  const parts = split(query, 2, [heads * size, groups * size, groups * size])
  return parts.map((t: AnyTensor, i: number) => splitHeads(t, i ? groups : heads))
}

/**
 * Causal attention of onnxruntime's language models, with grouped keys and rotary embeddings. Earlier keys are those of a cache without
 * padding, whose result is as long as all keys: a buffer that is longer, which some programs pass, is not what the graph computes.
 */
export function groupQueryAttention(n: NodeReader): readonly AnyTensor[] {
  const [heads, groups] = [n.int('num_heads', 1), n.int('kv_num_heads', 1)]
  for (const [name, value] of NEUTRAL) {
    const text = n.has(name) ? n.attribute(name, name.endsWith('type') ? 'string' : 'int') : value
    if (text !== value && text !== 'NONE') unsupported(`${name} ${text} is not supported`)
  }
  if (n.input(11)) unsupported('head_sink (input 11) is not supported')
  const parts = partsOf(n, heads, groups)
  const [pastKey, pastValue] = [n.optional(3), n.optional(4)]
  const tokens: Dim = nth(parts, 0).shape[2]
  // Place of the first token; a row of a first prompt may be shorter than the longest.
  const before = sub(add(cast(n.data(5), 'int64'), 1), sizeOf(tokens, 'int64'))
  const offset = maximum(reshape(before, [-1]), 0)
  n.input(6) // The length of all keys follows from their shapes.
  const [q, newKey] = turned(n, offset, tokens, [nth(parts, 0), nth(parts, 1)])
  const [k, v] = [after(pastKey, newKey), after(pastValue, nth(parts, 2))]
  const keys: Dim = k.shape[2]
  const window = n.int('local_window_size', -1)
  const near = reachBias(tokens, keys, { right: 0, left: window < 0 ? -1 : window - 1, offset })
  const { y } = attend({
    q,
    k,
    v,
    scale: n.float('scale', 0),
    softcap: n.float('softcap', 0),
    bias: sumOfBiases([near, n.optional(10)], q.dtype),
  })
  return [joinHeads(y), k, v]
}

/** Queries and keys with rotary embeddings for their places, if the node has them. */
function turned(
  n: NodeReader,
  offset: AnyTensor,
  tokens: Dim,
  [q, k]: readonly [AnyTensor, AnyTensor],
): readonly [AnyTensor, AnyTensor] {
  const [cosines, sines, given] = [n.optional(7), n.optional(8), n.optional(9)]
  const interleaved = n.flag('rotary_interleaved')
  if (!n.flag('do_rotary')) return [q, k]
  if (!cosines || !sines) throw new UserError('do_rotary needs tables of cosines and sines (inputs 7 and 8)')
  checkRank('a table of cosines', cosines, 2)
  const places = given ?? add(reshape(offset, [offset.shape[0], 1]), positions(tokens))
  const rotation = { cos: gather(cosines, places), sin: gather(sines, places), interleaved }
  return [rotated(q, rotation), rotated(k, rotation)]
}
