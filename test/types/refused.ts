/**
 * Programs that must not compile. Above each stands the message that the compiler shows for the wrong argument and
 * that the run time throws when the program is run all the same.
 */
import * as ops from '../../src/ops/index.ts'
import { f32, i64 } from './expected.ts'

const x = f32('batch', 17, 64)
const heads = f32('batch', 4, 17, 16)

export const refused: readonly (() => unknown)[] = [
  // add: dims 64 and 63 of [batch,17,64] and [63] do not broadcast
  // @ts-expect-error
  () => ops.add(x, f32(63)),
  // mul: dims batch and 8 of [batch,17,64] and [8,1,1] do not broadcast
  // @ts-expect-error
  () => ops.mul(x, f32(8, 1, 1)),
  // sub: dims a and b of [a] and [b] do not broadcast
  // @ts-expect-error
  () => ops.sub(f32('a'), f32('b')),
  // greater: dims 3 and 4 of [3] and [4] do not broadcast
  // @ts-expect-error
  () => ops.greater(f32(3), f32(4)),
  // where: dims 16 and 17 of [16,1] and [batch,17,64] do not broadcast
  // @ts-expect-error
  () => ops.where(ops.greater(f32(16, 1), 0), x, 0),
  // where: dims 64 and 63 of [batch,17,64] and [63] do not broadcast
  // @ts-expect-error
  () => ops.where(ops.greater(f32(17, 1), 0), x, f32(63)),

  // matmul: inner dims 64 and 65 of [batch,17,64] and [65,128] differ
  // @ts-expect-error
  () => ops.matmul(x, f32(65, 128)),
  // matmul: leading dims batch and 3 of [batch,17,64] and [3,64,2] do not broadcast
  // @ts-expect-error
  () => ops.matmul(x, f32(3, 64, 2)),
  // matmul: operands [] and [3] need at least 1 dim
  // @ts-expect-error
  () => ops.matmul(f32(), f32(3)),
  // linear: inner dims 64 and 10 of [batch,17,64] and weight [64,10] differ
  // @ts-expect-error
  () => ops.linear(x, f32(64, 10)),
  // linear: weight [64] is not [out,in]
  // @ts-expect-error
  () => ops.linear(x, f32(64)),
  // linear: bias [64] does not fit weight [10,64]
  // @ts-expect-error
  () => ops.linear(x, f32(10, 64), f32(64)),
  // attention: inner dims 16 and 8 of q [batch,4,17,16] and k [batch,4,17,8] differ
  // @ts-expect-error
  () => ops.attention(heads, f32('batch', 4, 17, 8), heads),
  // attention: lengths 17 and 18 of k [batch,4,17,16] and v [batch,4,18,16] differ
  // @ts-expect-error
  () => ops.attention(heads, heads, f32('batch', 4, 18, 16)),

  // reshape: [batch,17,64] does not fit into [batch,17,4,15]
  // @ts-expect-error
  () => ops.reshape(x, ['batch', 17, 4, 15]),
  // reshape: [batch,17,64] does not fit into [17,n,64]
  // @ts-expect-error
  () => ops.reshape(f32('batch', 17, 64), [17, 'n', 64]),
  // reshape: [batch,17,64] does not fit into [batch,-1,63]
  // @ts-expect-error
  () => ops.reshape(x, ['batch', -1, 63]),
  // reshape: [-1,-1] has more than one -1
  // @ts-expect-error
  () => ops.reshape(x, [-1, -1]),
  // transpose: [0,2,2] is not a permutation of the 3 axes of [batch,17,64]
  // @ts-expect-error
  () => ops.transpose(x, [0, 2, 2]),
  // transpose: [1,0] is not a permutation of the 3 axes of [batch,17,64]
  // @ts-expect-error
  () => ops.transpose(x, [1, 0]),
  // expand: [4,2] does not expand to [4,3]
  // @ts-expect-error
  () => ops.expand(f32(4, 2), [4, 3]),
  // squeeze: dim 17 at axis 1 of [batch,17,64] is not 1
  // @ts-expect-error
  () => ops.squeeze(x, 1),
  // unsqueeze: axis 4 is out of range for rank 4
  // @ts-expect-error
  () => ops.unsqueeze(x, 4),

  // concat: dims 64 and 65 of [batch,17,64] and [batch,1,65] differ
  // @ts-expect-error
  () => ops.concat([x, f32('batch', 1, 65)], 1),
  // concat: ranks of [batch,17,64] and [17,64] differ
  // @ts-expect-error
  () => ops.concat([x, f32(17, 64)], 1),
  // split: dim 64 of [batch,17,64] does not split into 3 equal parts
  // @ts-expect-error
  () => ops.split(x, 2, 3),
  // split: sizes [32,31] add up to 63, not to dim 64 of [batch,17,64]
  // @ts-expect-error
  () => ops.split(x, 2, [32, 31]),
  // split: symbolic dim batch of [batch,17,64] cannot be split
  // @ts-expect-error
  () => ops.split(x, 0, 2),
  // slice: axis 3 is out of range for rank 3
  // @ts-expect-error
  () => ops.slice(x, 3, 0, 1),
  // slice: step of axis 1 is 0
  // @ts-expect-error
  () => ops.slice(x, 1, 0, 1, 0),
  // select: index 17 is out of range for dim 17 of [batch,17,64]
  // @ts-expect-error
  () => ops.select(x, 1, 17),
  // gather: axis 2 is out of range for rank 2
  // @ts-expect-error
  () => ops.gather(f32(50257, 768), i64(3), 2),

  // sum: axis 3 is out of range for rank 3
  // @ts-expect-error
  () => ops.sum(x, 3),
  // mean: axis -4 is out of range for rank 3
  // @ts-expect-error
  () => ops.mean(x, [0, -4], true),
  // max: axes [0,-3] contain one axis twice
  // @ts-expect-error
  () => ops.max(x, [0, -3]),
  // argmax: axis 3 is out of range for rank 3
  // @ts-expect-error
  () => ops.argmax(x, 3),
  // softmax: axis 3 is out of range for rank 3
  // @ts-expect-error
  () => ops.softmax(x, 3),
  // layerNorm: weight [65] does not fit the last dims of [batch,17,64]
  // @ts-expect-error
  () => ops.layerNorm(x, f32(65), f32(65)),
  // layerNorm: bias [63] does not fit weight [64]
  // @ts-expect-error
  () => ops.layerNorm(x, f32(64), f32(63)),

  // rmsNorm: weight [63] does not fit the last dim of [batch,17,64]
  // @ts-expect-error
  () => ops.rmsNorm(x, f32(63)),
  // rmsNorm: weight [17,64] does not fit the last dim of [batch,17,64]
  // @ts-expect-error
  () => ops.rmsNorm(x, f32(17, 64)),

  // add: dtypes float32 and int64 differ; cast one of them
  // @ts-expect-error Type '"int64"' is not assignable to type '"float32"'
  () => ops.add(f32(3), i64(3)),
  // matmul: dtypes int64 and float32 differ; cast one of them
  // @ts-expect-error Type '"float32"' is not assignable to type '"int64"'
  () => ops.matmul(i64(3, 4), f32(4, 5)),
  // concat: dtypes float32 and int64 differ; cast one of them
  // @ts-expect-error
  () => ops.concat([f32(3), i64(3)], 0),
  // exp: takes float16, float32, float64, not int64; cast it
  // @ts-expect-error Type '"int64"' is not assignable to type 'FloatType'
  () => ops.exp(i64(3)),
  // layerNorm: dtypes float32 and float64 differ; cast one of them
  // @ts-expect-error Type '"float64"' is not assignable to type '"float32"'
  () => ops.layerNorm(f32(3), ops.cast(f32(3), 'float64'), f32(3)),
  // gather: indices must be int32 or int64, not float32
  // @ts-expect-error Type '"float32"' is not assignable to type 'IntType'
  () => ops.gather(f32(9, 6), f32(4)),
]
