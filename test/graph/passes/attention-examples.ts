import { input, parameter } from '../../../src/graph/leaf.ts'
import type { AnyTensor } from '../../../src/graph/tensor.ts'
import { hideFuture } from '../../../src/ops/causal.ts'
import { add, grad, linear, matmul, mul, reshape, softmax, sum, transpose } from '../../../src/ops/index.ts'
import { attention, type Example } from './examples.ts'

const weight = (...shape: number[]): AnyTensor => parameter(shape, { kind: 'normal', std: 1 })

export const ROW_DOTS: readonly Example[] = [
  {
    title: 'the gradient of attention over more tokens than a head has features',
    build() {
      const x: AnyTensor = input('x', 'float32', [2, 7, 6])
      const y = matmul(softmax(matmul(x, transpose(x, [0, 2, 1]))), reshape(sum(x, 2), [2, 7, 1]))
      const [dx] = grad(sum(mul(y, y)), [x])
      return { inputs: { x }, parameters: {}, outputs: { y, dx: dx! } }
    },
  },
  {
    title: 'heads that are read across another order of axes',
    build() {
      const h: AnyTensor = input('x', 'float32', [2, 7, 4])
      const [w, b] = [weight(12, 4), weight(12)]
      const y = attention(h, w, b, 2)
      const [dw, db] = grad(sum(mul(y, y)), [w, b])
      return { inputs: { x: h }, parameters: { w, b }, outputs: { y, dw: dw!, db: db! } }
    },
  },
]

export const SHIFTS: readonly Example[] = [
  {
    title: 'biases of keys and values',
    build() {
      const h: AnyTensor = input('x', 'float32', [2, 5, 4])
      const [q, k, v, p] = [weight(4, 4), weight(4, 4), weight(4, 4), weight(3, 4)]
      const [kb, vb, pb] = [weight(4), weight(4), weight(3)]
      const heads = (t: AnyTensor) => transpose(reshape(t, [2, 5, 2, 2]), [0, 2, 1, 3])
      const scores = mul(matmul(heads(linear(h, q)), transpose(heads(linear(h, k, kb)), [0, 1, 3, 2])), 0.5)
      const mixed = matmul(softmax(scores), heads(linear(h, v, vb)))
      const y = linear(reshape(transpose(mixed, [0, 2, 1, 3]), [2, 5, 4]), p, pb)
      return { inputs: { x: h }, parameters: { q, k, v, p, kb, vb, pb }, outputs: { y } }
    },
  },
  {
    title: 'a bias of keys behind a causal mask, a mask that differs by token, weights that are no averages',
    build() {
      const h: AnyTensor = input('x', 'float32', [2, 4, 3])
      const [k, kb, mask] = [weight(3, 3), weight(3), weight(4, 4)]
      const keys = add(matmul(h, k), kb)
      const scores = matmul(h, transpose(keys, [0, 2, 1]))
      return {
        inputs: { x: h },
        parameters: { k, kb, mask },
        outputs: {
          causal: softmax(hideFuture(scores)),
          masked: softmax(add(scores, mask)),
          raw: matmul(scores, keys),
          columns: softmax(scores, 1),
        },
      }
    },
  },
]
