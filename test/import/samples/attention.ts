import { bool, f32, i64, type SampleInput } from '../../../src/graph/sample.ts'
import { float, held, ints, type NodeSamples, nodeSample } from '../sample.ts'

const o23 = { opset: 23 }
const o24 = { opset: 24 }
const four = [f32(2, 3, 4, 8), f32(2, 3, 6, 8), f32(2, 3, 6, 5)] as const
const three = [f32(2, 4, 24), f32(2, 6, 24), f32(2, 6, 24)] as const
const heads = { q_num_heads: 3, kv_num_heads: 3 }
const past = [f32(2, 3, 2, 8), f32(2, 3, 2, 5)] as const
const grouped = [f32(2, 4, 4, 8), f32(2, 2, 6, 8), f32(2, 2, 6, 8)] as const
const mask = (...dims: number[]): SampleInput => ({ ...i64(2, ...dims), dtype: 'int32' })

const tables = [f32(9, 4), f32(9, 4)] as const
const row = [f32(2, 3, 8), f32(8, 24), f32(24)] as const

export const samples: NodeSamples = {
  Attention: [
    nodeSample(four, {}, o23),
    nodeSample(four, { scale: 0.2, softcap: float(2) }, o23),
    nodeSample([four[0], f32(2, 3, 4, 8), f32(2, 3, 4, 5)], { is_causal: 1 }, o23),
    nodeSample([...four, f32(4, 6)], {}, o23),
    nodeSample([...four, bool(2, 1, 4, 6)], {}, o24),
    nodeSample(three, heads, o23),
    nodeSample([f32(2, 4, 32), f32(2, 6, 16), f32(2, 6, 16)], { q_num_heads: 4, kv_num_heads: 2 }, o23),
    nodeSample(grouped, {}, o23),
    nodeSample([...four, null, ...past], { is_causal: 1 }, { ...o23, outputs: 3 }),
    nodeSample([...four, f32(4, 8), ...past], { qk_matmul_output_mode: 3 }, { ...o23, outputs: 4 }),
    nodeSample([...four, f32(4, 8), ...past], { softcap: float(3) }, { ...o23, outputs: 4 }),
    nodeSample([...four, null, null, null, ints(4, 6)], {}, o24),
  ],
  RotaryEmbedding: [
    nodeSample([f32(2, 3, 4, 8), ...tables, i64(9, 2, 4)], {}, o23),
    nodeSample([f32(2, 3, 4, 8), ...tables, i64(9, 2, 4)], { interleaved: 1 }, o23),
    nodeSample([f32(2, 3, 4, 8), f32(2, 4, 2), f32(2, 4, 2)], { rotary_embedding_dim: 4 }, o23),
    nodeSample([f32(2, 4, 24), f32(2, 4, 4), f32(2, 4, 4)], { num_heads: 3 }, o23),
  ],
  'com.microsoft.RotaryEmbedding': [
    nodeSample([f32(2, 3, 4, 8), i64(9, 2, 4), ...tables]),
    nodeSample([f32(2, 4, 24), ints(3), ...tables], { interleaved: 1 }),
    nodeSample([f32(2, 4, 24), ints(3), f32(9, 2), f32(9, 2)], { num_heads: 3, rotary_embedding_dim: 4 }),
  ],
  'com.microsoft.Attention': [
    nodeSample(row, { num_heads: 2 }),
    nodeSample([...row, mask(2, 3)], { num_heads: 2, scale: 0.3 }),
    nodeSample([...row, held('int32', [3, 2])], { num_heads: 2 }),
    nodeSample([...row, mask(2, 3, 3)], { num_heads: 2, mask_filter_value: float(-1000) }),
    nodeSample(row, { num_heads: 2, unidirectional: 1 }),
    nodeSample([...row, null, null, f32(2, 2, 3, 3)], { num_heads: 2 }),
    nodeSample([...row, mask(2, 5), f32(2, 2, 2, 2, 4)], { num_heads: 2, unidirectional: 1 }, { outputs: 2 }),
    nodeSample([f32(2, 3, 8), f32(8, 20), f32(20)], { num_heads: 2, qkv_hidden_sizes: [8, 8, 4] }),
  ],
  'com.microsoft.MultiHeadAttention': [
    nodeSample([f32(2, 4, 8), f32(2, 6, 8), f32(2, 6, 8)], { num_heads: 2 }),
    nodeSample([f32(2, 4, 8), f32(2, 6, 8), f32(2, 6, 4), f32(20), mask(2, 6)], { num_heads: 2, scale: 0.3 }),
    nodeSample([f32(2, 4, 8), f32(2, 4, 8), f32(2, 4, 8)], { num_heads: 2, unidirectional: 1 }),
    nodeSample(
      [
        f32(2, 4, 8),
        f32(2, 6, 8),
        f32(2, 6, 8),
        null,
        null,
        f32(1, 2, 4, 8),
        f32(2, 2, 2, 4),
        f32(2, 2, 2, 4),
      ],
      { num_heads: 2 },
      { outputs: 3 },
    ),
    nodeSample([f32(2, 4, 8), f32(2, 2, 6, 4), f32(2, 2, 6, 4)], { num_heads: 2 }),
  ],
  'com.microsoft.GroupQueryAttention': [
    nodeSample(
      [
        f32(2, 3, 32),
        f32(2, 3, 16),
        f32(2, 3, 16),
        null,
        null,
        held('int32', [2, 2]),
        held('int32', [3], []),
      ],
      { num_heads: 4, kv_num_heads: 2 },
    ),
    nodeSample(
      [
        f32(1, 3, 128),
        null,
        null,
        f32(1, 2, 4, 16),
        f32(1, 2, 4, 16),
        held('int32', [6]),
        held('int32', [7], []),
        f32(9, 8),
        f32(9, 8),
      ],
      { num_heads: 4, kv_num_heads: 2, do_rotary: 1, local_window_size: 3, scale: 0.3 },
      { outputs: 3 },
    ),
  ],
}
