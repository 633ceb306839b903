/**
 * Programs that must compile, with the exact dtype and shape of each result. They also run: the compiler's shape and
 * the built graph's must be the same.
 */
import type { DType } from '../../src/graph/dtype.ts'
import type { Dim } from '../../src/graph/shape.ts'
import type { AnyTensor, Tensor } from '../../src/graph/tensor.ts'
import type { UnaryLayer } from '../../src/nn/index.ts'
import * as nn from '../../src/nn/index.ts'
import * as ops from '../../src/ops/index.ts'
import { type Case, type Eq, f32, i64, is } from './expected.ts'

const x = f32('batch', 17, 64)
const image = f32('batch', 3, 32, 32)
const heads = f32('batch', 4, 17, 16)
const narrow: Tensor<'float32', ['batch', number, 64]> = x
const pieces: Tensor<'float32', ['batch', 17, 64]>[] = [x, x]

export const cases = (): Case[] => [
  is(x, 'float32', ['batch', 17, 64]),

  // Elementwise
  is(ops.add(x, 2), 'float32', ['batch', 17, 64]),
  is(ops.add(x, x), 'float32', ['batch', 17, 64]),
  is(ops.mul(x, f32(17, 1)), 'float32', ['batch', 17, 64]),
  is(ops.sub(f32(64), x), 'float32', ['batch', 17, 64]),
  is(ops.div(f32(3, 1), f32(1, 4)), 'float32', [3, 4]),
  is(ops.add(f32('b', 1), f32(1, 'n')), 'float32', ['b', 'n']),
  is(ops.greater(x, 0), 'bool', ['batch', 17, 64]),
  is(ops.where(ops.less(f32(17, 1), 0), x, f32(64)), 'float32', ['batch', 17, 64]),
  is(ops.where(ops.equal(x, x), x, 0), 'float32', ['batch', 17, 64]),
  is(ops.cast(x, 'float16'), 'float16', ['batch', 17, 64]),
  is(ops.gelu(ops.exp(ops.neg(x)), 'tanh'), 'float32', ['batch', 17, 64]),

  // Products
  is(ops.matmul(x, f32(64, 10)), 'float32', ['batch', 17, 10]),
  is(ops.matmul(heads, ops.transpose(heads, [0, 1, 3, 2])), 'float32', ['batch', 4, 17, 17]),
  is(ops.matmul(f32(5), f32(2, 5, 3)), 'float32', [2, 3]),
  is(ops.matmul(f32(5), f32(5)), 'float32', []),
  is(ops.linear(x, f32(10, 64), f32(10)), 'float32', ['batch', 17, 10]),
  is(ops.linear(x, f32(10, 64)), 'float32', ['batch', 17, 10]),
  is(ops.attention(heads, heads, heads), 'float32', ['batch', 4, 17, 16]),
  is(ops.attention(f32(2, 5, 8), f32(2, 7, 8), f32(2, 7, 3)), 'float32', [2, 5, 3]),

  is(ops.rmsNorm(x, f32(64)), 'float32', ['batch', 17, 64]),

  // Images
  is(ops.conv2d(image, f32(8, 3, 5, 5)), 'float32', ['batch', 8, 28, 28]),
  is(ops.conv2d(image, f32(8, 3, 3, 3), f32(8), { stride: 2, padding: 1 }), 'float32', ['batch', 8, 16, 16]),
  is(
    ops.conv2d(image, f32(6, 1, 3, 5), undefined, { groups: 3, padding: [1, 2], dilation: [2, 1] }),
    'float32',
    ['batch', 6, 30, 32],
  ),
  is(ops.conv2d(f32('b', 3, 'H', 'W'), f32(8, 3, 3, 3), f32(8), { padding: 1 }), 'float32', [
    'b',
    8,
    'H',
    'W',
  ]),
  is(ops.conv2d(f32('b', 3, 'H', 'W'), f32(8, 3, 1, 3)), 'float32', ['b', 8, 'H', -1]),
  is(ops.conv2d(f32('b', 'c*2', 9, 9), f32(4, 'c', 3, 3), f32(4), { groups: 2 }), 'float32', ['b', 4, 7, 7]),
  is(ops.maxPool2d(image, 2), 'float32', ['batch', 3, 16, 16]),
  is(ops.maxPool2d(image, 3, { stride: 2, padding: 1 }), 'float32', ['batch', 3, 16, 16]),
  is(ops.maxPool2d(image, 2, { stride: undefined }), 'float32', ['batch', 3, 16, 16]),
  is(ops.maxPool2d(image, [2, 3], { dilation: 2 }), 'float32', ['batch', 3, 15, 10]),
  is(ops.maxPool2d(f32('b', 3, 'H', 'W'), 3, { stride: 1, padding: 1 }), 'float32', ['b', 3, 'H', 'W']),
  is(ops.avgPool2d(f32(1, 1, 1023, 7), 7, { stride: [5, 1] }), 'float32', [1, 1, 204, 1]),
  is(ops.globalAvgPool2d(image), 'float32', ['batch', 3]),
  is(ops.globalMaxPool2d(f32(2, 3, 'H', 'W')), 'float32', [2, 3]),
  is(ops.batchNorm(image, f32(3), f32(3)), 'float32', ['batch', 3, 32, 32]),
  is(ops.batchNormRunning(f32('n', 'c'), f32('c'), f32('c'), f32('c'), f32('c')), 'float32', ['n', 'c']),
  is(ops.groupNorm(f32('b', 12, 'T'), 3, f32(12), f32(12)), 'float32', ['b', 12, 'T']),
  is(ops.pad(image, [0, 0, 1, 1], [0, 0, 2, -3]), 'float32', ['batch', 3, 35, 30]),
  is(ops.pad(ops.pad(f32('T'), [1], [0]), [0], [2]), 'float32', ['T+3']),
  is(ops.cumsum(x, 1), 'float32', ['batch', 17, 64]),
  is(ops.gatherElements(f32(4, 9), i64(4, 3), 1), 'float32', [4, 3]),

  // Other shapes for the same elements
  is(ops.reshape(x, ['batch', 17, 4, 16]), 'float32', ['batch', 17, 4, 16]),
  is(ops.reshape(x, ['batch', -1]), 'float32', ['batch', 1088]),
  is(ops.reshape(x, [-1, 64]), 'float32', ['batch*17', 64]),
  is(ops.reshape(ops.reshape(x, [-1, 64]), ['batch', 17, -1]), 'float32', ['batch', 17, 64]),
  is(ops.reshape(x, [x.shape[0], 34, 32]), 'float32', ['batch', 34, 32]),
  is(ops.reshape(f32('b', 3), [-1, 2]), 'float32', [-1, 2]),
  is(ops.reshape(f32(50257, 768), [-1]), 'float32', [38597376]),
  is(ops.transpose(x, [2, 0, 1]), 'float32', [64, 'batch', 17]),
  is(ops.expand(f32(4, 1), ['batch', 4, 16]), 'float32', ['batch', 4, 16]),
  is(ops.squeeze(f32(1, 'b', 1), [0, -1]), 'float32', ['b']),
  is(ops.unsqueeze(f32('b'), [0, -1]), 'float32', [1, 'b', 1]),

  // Pieces
  is(ops.concat([f32('b', 1, 64), f32('b', 16, 64)], 1), 'float32', ['b', 17, 64]),
  is(ops.concat([f32('b', 'past', 64), f32('b', 'seq', 64)], -2), 'float32', ['b', 'past+seq', 64]),
  is(ops.concat([f32('n', 2), f32(3, 2)], 0), 'float32', ['n+3', 2]),
  is(ops.concat([f32('n+3', 2), f32('m', 2), f32(1, 2)], 0), 'float32', ['n+m+4', 2]),
  is(ops.split(f32('b', 17, 192), -1, 3)[2], 'float32', ['b', 17, 64]),
  is(ops.split(f32('b', 17, 192), 2, [100, 92])[1], 'float32', ['b', 17, 92]),
  is(ops.slice(f32('b', 10), 1, 1, 9007199254740991), 'float32', ['b', 9]),
  is(ops.slice(f32('b', 10), 1, -3, 10, 2), 'float32', ['b', 2]),
  is(ops.slice(f32('b', 10), 1, -1, -11, -3), 'float32', ['b', 4]),
  is(ops.slice(f32('b', 10), 0, 0, 1), 'float32', [-1, 10]),
  is(ops.select(x, 1, 0), 'float32', ['batch', 64]),
  is(ops.select(x, -1, -64), 'float32', ['batch', 17]),
  is(ops.gather(f32(50257, 768), i64('b', 17)), 'float32', ['b', 17, 768]),
  is(ops.gather(x, i64(), 1), 'float32', ['batch', 64]),

  // Reductions and norms
  is(ops.sum(x), 'float32', []),
  is(ops.mean(x, -1, true), 'float32', ['batch', 17, 1]),
  is(ops.max(x, [0, -1]), 'float32', [17]),
  is(ops.min(x, []), 'float32', ['batch', 17, 64]),
  is(ops.variance(x, undefined, true), 'float32', [1, 1, 1]),
  is(ops.argmax(x, -1), 'int64', ['batch', 17]),
  is(ops.argmax(x, 1, true), 'int64', ['batch', 1, 64]),
  is(ops.oneHot(i64('b', 17), 10), 'float32', ['b', 17, 10]),
  is(ops.oneHot(i64(), 3, 'float64'), 'float64', [3]),
  is(ops.topK(x, 5)[0], 'float32', ['batch', 17, 5]),
  is(ops.topK(x, 5, 1)[1], 'int64', ['batch', 5, 64]),
  is(ops.dropPath(x, 0.1), 'float32', ['batch', 17, 64]),
  is(ops.softmax(x), 'float32', ['batch', 17, 64]),
  is(ops.layerNorm(x, f32(64), f32(64)), 'float32', ['batch', 17, 64]),
  is(ops.layerNorm(x, f32(17, 64), f32(17, 64), 1e-6), 'float32', ['batch', 17, 64]),
]

/** Less is known here than at run time, so only the types are looked at. */
export const types = (tensor: Tensor, any: AnyTensor, n: number, loose: Tensor<'float32', Dim[]>) => {
  const sized = nn.layer({}, ['B', 'T', 64], (_, x) => x)
  const options: nn.Conv2dOptions = {}
  const either = n > 1 ? ({ stride: 2 } as const) : {}
  const unnamed: UnaryLayer = sized
  unnamed(any)
  const same = <A>() => ({ as: <B>(_value: B, ..._: Eq<A, B> extends true ? [] : [actual: B]): void => {} })
  type F32<S> = Tensor<'float32', S>

  // A dim that is not known stays unknown, or becomes the only one that fits.
  same<F32<['batch', number, 64]>>().as(ops.mul(narrow, 2))
  same<F32<['batch', 17, 64]>>().as(ops.add(narrow, x))
  same<F32<['batch', number, 10]>>().as(ops.linear(narrow, f32(10, 64)))
  same<F32<['batch', number, 10]>>().as(nn.linear(64, 10)(narrow))
  same<F32<['batch', number, 128]>>().as(ops.concat([narrow, narrow], 2))
  same<F32<[number, 4]>>().as(ops.reshape(narrow, [n, 4]))
  same<F32<[number, 32]>>().as(ops.reshape(narrow, [-1, 32]))
  same<F32<['batch', number, 64]>>().as(ops.concat(pieces, 1))
  same<F32<['batch', 17, number]>>().as(ops.slice(x, 2, 0, n))
  same<F32<[number, 64]>>().as(ops.add(f32(3 as 3 | 5, 64), f32(n, 64)))
  same<F32<['batch', 17, number]>[]>().as(ops.split(x, 2, n))
  same<F32<['batch', 8, number, number]>>().as(nn.conv2d(3, 8, 3, { stride: n })(image))
  same<F32<['batch', 8, number, 30]>>().as(nn.conv2d(3, 8, 3)(f32('batch', 3, n, 32)))
  same<F32<['batch', number, number, number]>>().as(nn.conv2d(n, n, n)(image))
  same<F32<['batch', 8, number, number]>>().as(nn.conv2d(3, 8, 3, n > 1 ? { stride: 2 } : {})(image))
  same<F32<['batch', 8, number, number]>>().as(nn.conv2d(3, 8, 3, either)(image))
  same<F32<['batch', 8, number, number]>>().as(nn.conv2d(3, 8, 3, options)(image))
  same<F32<['batch', 3, number, number]>>().as(ops.maxPool2d(image, n))
  same<F32<['batch', 3, 16, number]>>().as(ops.maxPool2d(image, [2, n], { stride: 2 }))
  same<F32<['batch', 3, number, 32]>>().as(ops.pad(image, [0, 0, n, 0], [0, 0, 0, 0]))
  same<F32<['b', number]>>().as(ops.pad(f32('b', 'T'), [0, -1], [0, 1]))
  same<F32<[number, 17, 64]>>().as(sized(f32(n, 17, 64)))
  same<F32<['batch', number, 64]>>().as(sized(narrow))

  // An axis that is not known leaves nothing known.
  same<F32<Dim[]>>().as(ops.sum(x, n))
  same<F32<[17, 64] | [1, 17, 64]>>().as(ops.sum(x, 0, n > 1))
  same<F32<Dim[]>>().as(ops.transpose(x, [n, 1, 2]))
  same<F32<Dim[]>>().as(
    ops.reshape(
      x,
      x.shape.map(d => d),
    ),
  )
  same<F32<Dim[]>>().as(ops.matmul(loose, x))
  same<F32<[]>>().as(ops.sum(loose))
  same<F32<[number, 4]>>().as(ops.reshape(loose, [-1, 4]))
  same<Tensor<DType, Dim[]>>().as(ops.transpose(tensor, [1, 0]))
  same<F32<Dim[]>>().as(nn.conv2d(3, 8, 3)(loose))
  same<F32<Dim[]>>().as(ops.globalAvgPool2d(loose))
  same<F32<[number, number, 64]>>().as(sized(loose))

  // The escape type stays one, whatever it meets.
  same<AnyTensor>().as(ops.matmul(any, x))
  same<AnyTensor>().as(ops.add(any, any))
  same<AnyTensor>().as(ops.transpose(any, [1, 0]))
  same<AnyTensor>().as(ops.select(any, 0, 0))
  same<AnyTensor>().as(ops.slice(any, 0, 0, 2))
  same<AnyTensor>().as(ops.sum(any, 0))
  same<AnyTensor>().as(ops.linear(any, any, any))
  same<AnyTensor>().as(ops.layerNorm(any, x, any))
  same<AnyTensor>().as(ops.attention(any, any, any))
  same<AnyTensor>().as(ops.concat([any, any], 1))
  same<AnyTensor>().as(ops.conv2d(any, any, any, { stride: 2 }))
  same<AnyTensor>().as(ops.maxPool2d(any, 2))
  same<AnyTensor>().as(ops.pad(any, [1], [1]))
  same<AnyTensor>().as(ops.batchNormRunning(any, any, any, any, any))
  same<AnyTensor>().as(ops.groupNorm(any, 2, any, any))
  same<AnyTensor>().as(ops.rmsNorm(any, any))
  // biome-ignore lint/suspicious/noExplicitAny: what is expected
  same<F32<any>>().as(nn.conv2d(3, 8, 3)(any))
  // biome-ignore lint/suspicious/noExplicitAny: what is expected
  same<F32<any>>().as(nn.embedding(3, 8)(any))
  // biome-ignore lint/suspicious/noExplicitAny: what is expected
  same<F32<any>>().as(sized(any))
  // biome-ignore lint/suspicious/noExplicitAny: what is expected
  same<readonly Tensor<any, any>[]>().as(ops.split(any, 0, 3) as readonly AnyTensor[])
  const typed: F32<[3, 4]> = ops.add(any, 1)
  same<F32<[3, 4]>>().as(typed)

  // The result that is wanted does not decide what the arguments are.
  const wanted: F32<[3, 4]> = ops.mul(f32(3, 1), f32(1, 4))
  const pooled: F32<['batch', 3, 16, 16]> = ops.maxPool2d(image, 2)
  const matched: F32<['batch', 17, 64]> = sized(x)
  return { wanted, pooled, matched }
}

/** Type parameters for leading dims are carried through. */
export const generic = <B extends Dim, T extends Dim>(
  tokens: Tensor<'float32', [B, T, 64]>,
  weight: Tensor<'float32', [32, 64]>,
): [Tensor<'float32', [B, T, 32]>, Tensor<'float32', [B, 64]>] => {
  const scores = ops.softmax(ops.matmul(tokens, ops.transpose(weight, [1, 0])))
  const centred = ops.sub(tokens, ops.mean(tokens, -1, true))
  return [ops.add(ops.linear(tokens, weight), scores), ops.sum(ops.add(tokens, ops.mul(centred, 0.5)), 1)]
}
