import type { Graph, Tensors } from '../../../src/graph/graph.ts'
import { constant, input, parameter } from '../../../src/graph/leaf.ts'
import type { Dim } from '../../../src/graph/shape.ts'
import type { AnyTensor } from '../../../src/graph/tensor.ts'
import {
  add,
  concat,
  exp,
  expand,
  gelu,
  grad,
  layerNorm,
  linear,
  matmul,
  mul,
  neg,
  reshape,
  select,
  slice,
  softmax,
  sub,
  sum,
  transpose,
} from '../../../src/ops/index.ts'
import { trainingForm } from '../../../src/passes/training.ts'

/** A small graph that a pass rewrites. */
export interface Example {
  readonly title: string
  readonly build: () => Graph
}

const x = (...shape: Dim[]): AnyTensor => input('x', 'float32', shape)
const weight = (...shape: number[]): AnyTensor => parameter(shape, { kind: 'normal', std: 1 })
const graph = (inputs: Tensors, parameters: Tensors, outputs: Tensors): Graph => ({
  inputs,
  parameters,
  outputs,
})

/** Attention of `heads` heads on `[batch, tokens, dim]`, as src/nn has it. */
export const attention = (h: AnyTensor, qkv: AnyTensor, bias: AnyTensor, heads: number): AnyTensor => {
  const [batch, tokens, dim] = h.shape as number[]
  const size = dim! / heads
  const joint = reshape(linear(h, qkv, bias), [batch!, tokens!, 3, heads, size])
  const [q, k, v] = [0, 1, 2].map(i => select(transpose(joint, [2, 0, 3, 1, 4]), 0, i)) as [
    AnyTensor,
    AnyTensor,
    AnyTensor,
  ]
  const scores = mul(matmul(q, transpose(k, [0, 1, 3, 2])), 1 / Math.sqrt(size))
  return reshape(transpose(matmul(softmax(scores), v), [0, 2, 1, 3]), [batch!, tokens!, dim!])
}

export const SLICES: readonly Example[] = [
  {
    title: 'one token of a normed residual sum',
    build() {
      const [h, w] = [x('batch', 5, 8), weight(8, 8)]
      const [scale, shift] = [weight(8), weight(8)]
      const y = layerNorm(add(h, linear(h, w)), scale, shift)
      return graph({ x: h }, { w, scale, shift }, { y: select(y, 1, 0) })
    },
  },
  {
    title: 'the parts of a joint projection',
    build() {
      const [h, w, b] = [x('batch', 5, 8), weight(12, 8), weight(12)]
      const joint = transpose(reshape(linear(h, w, b), ['batch', 5, 3, 2, 2]), [2, 0, 3, 1, 4])
      return graph({ x: h }, { w, b }, { q: select(joint, 0, 0), v: select(joint, 0, 2) })
    },
  },
  {
    title: 'a stretch across the seam of a concatenation',
    build() {
      const [h, token] = [x(2, 5, 4), weight(1, 1, 4)]
      const all = mul(concat([expand(token, [2, 1, 4]), h], 1), 2)
      return graph({ x: h }, { token }, { y: slice(all, 1, 0, 3) })
    },
  },
  {
    title: 'a sum that is also read as a whole',
    build() {
      const h = x(4, 6)
      const y = add(h, 1)
      return graph({ x: h }, {}, { y: sum(y), row: slice(y, 0, 2, 3) })
    },
  },
]

export const SPLITS: readonly Example[] = [
  {
    title: 'slices that tile an axis, in any order',
    build() {
      const h = x(2, 6)
      return graph(
        { x: h },
        {},
        { last: slice(h, 1, 4, 6), first: slice(h, 1, 0, 4), row: slice(h, 0, 0, 1) },
      )
    },
  },
]

export const VIEWS: readonly Example[] = [
  {
    title: 'reshapes and transpositions in a row',
    build() {
      const h = x(2, 6, 4)
      const twice = transpose(transpose(reshape(reshape(h, [12, 4]), [2, 6, 4]), [0, 2, 1]), [1, 0, 2])
      return graph({ x: h }, {}, { y: twice })
    },
  },
  {
    title: 'a transposition with axes of size 1',
    build() {
      const h = x('batch', 5, 1, 3)
      return graph({ x: h }, {}, { y: transpose(h, [2, 0, 3, 1]), same: transpose(h, [0, 2, 1, 3]) })
    },
  },
  {
    title: 'patches of an image, tokens first',
    build() {
      const h = x(3, 4, 6)
      const patches = reshape(transpose(reshape(h, [3, 2, 2, 3, 2]), [0, 1, 3, 2, 4]), [3, 6, 4])
      return graph({ x: h }, {}, { y: transpose(patches, [1, 0, 2]) })
    },
  },
]

export const TIME_MAJOR: readonly Example[] = [
  {
    title: 'attention with a residual sum and a learned position',
    build() {
      const [h, position, qkv, b] = [x(2, 3, 4), weight(1, 3, 4), weight(12, 4), weight(12)]
      const tokens = add(h, position)
      const y = add(tokens, attention(tokens, qkv, b, 2))
      return graph({ x: h }, { position, qkv, b }, { y: select(y, 1, 0) })
    },
  },
  {
    title: 'a product without heads',
    build() {
      const [h, w] = [x(2, 3, 4), weight(2, 4, 5)]
      return graph({ x: h }, { w }, { y: matmul(h, w) })
    },
  },
]

export const FOLD_NORM: readonly Example[] = [
  {
    title: 'a norm before a linear layer',
    build() {
      const [h, scale, shift, w, b] = [x(3, 4), weight(4), weight(4), weight(2, 4), weight(2)]
      return graph({ x: h }, { scale, shift, w, b }, { y: linear(layerNorm(h, scale, shift), w, b) })
    },
  },
  {
    title: 'two norms of one tensor, one read through a slice without a bias',
    build() {
      const [h, w, v] = [x(3, 5, 4), weight(2, 4), weight(4, 2)]
      const [s1, b1, s2, b2] = [weight(4), weight(4), weight(4), weight(4)]
      const a = linear(slice(layerNorm(h, s1, b1), 1, 0, 2), w)
      const b = slice(matmul(layerNorm(h, s2, b2), v), 1, 0, 2)
      return graph({ x: h }, { w, v, s1, b1, s2, b2 }, { y: add(a, b) })
    },
  },
  {
    title: 'a norm that is also read as it is',
    build() {
      const [h, scale, shift, w] = [x(3, 4), weight(4), weight(4), weight(4, 4)]
      const y = layerNorm(h, scale, shift)
      return graph({ x: h }, { scale, shift, w }, { y: add(y, linear(y, w)) })
    },
  },
]

export const SIMPLIFY: readonly Example[] = [
  {
    title: 'the gradient of a GELU between linear layers',
    build() {
      const [h, w, b, v] = [x(16, 4), weight(2, 4), weight(2), weight(4, 2)]
      const seed = input('seed', 'float32', [])
      const { y } = trainingForm(
        graph({}, {}, { y: linear(gelu(linear(h, w, b)), v) }),
        seed as AnyTensor,
      ).outputs
      const [dx] = grad(sum(y as AnyTensor), [h])
      return graph({ x: h }, { w, b, v }, { dx: dx! })
    },
  },
  {
    title: 'numbers, negations and repeated values',
    build() {
      const h = x(2, 3)
      const three = constant(3, 'float32', [2, 3])
      const y = mul(mul(neg(mul(h, 2)), add(three, expand(constant(1, 'float32', []), [2, 3]))), 0.5)
      return graph({ x: h }, {}, { y: sub(mul(y, 1), neg(neg(h))), z: mul(exp(neg(h)), 2) })
    },
  },
  {
    title: 'an expanded operand that gives the result its shape',
    build() {
      const h = x(3, 1)
      return graph({ x: h }, {}, { y: mul(expand(h, [3, 4]), 2) })
    },
  },
  {
    title: 'a common factor that something else reads multiplied',
    build() {
      const [h, a] = [x(2, 3), weight(2, 3)]
      const p = mul(h, a)
      return graph({ x: h }, { a }, { y: add(p, mul(h, exp(h))), p })
    },
  },
]

export const CENTRE: readonly Example[] = [
  {
    title: 'the gradient of a norm before two linear layers',
    build() {
      const [h, w, v] = [x(40, 4), weight(3, 4), weight(5, 4)]
      const ones = constant(1, 'float32', [4])
      const y = layerNorm(h, ones, constant(0, 'float32', [4]))
      const [dx] = grad(add(sum(exp(linear(y, w))), sum(exp(linear(y, v)))), [h])
      return graph({ x: h }, { w, v }, { dx: dx! })
    },
  },
]

export const COLUMN_SUMS: readonly Example[] = [
  {
    title: 'sums over leading axes',
    build() {
      const [h, w] = [x(4, 3, 2), weight(12, 1)]
      const matrix = reshape(h, [12, 2])
      return graph(
        { x: h },
        { w },
        {
          bias: sum(mul(h, 0.5), [0, 1]),
          position: sum(h, 0, true),
          weighted: sum(mul(matrix, w), 0),
          rows: sum(h, 2),
          all: sum(h),
        },
      )
    },
  },
  {
    title: 'a factor of one row for all',
    build() {
      const [h, w] = [x(4, 2), weight(1, 1)]
      return graph({ x: h }, { w }, { y: sum(mul(h, w), 0) })
    },
  },
]

export const FUSE: readonly Example[] = [
  {
    title: 'a weight that is stored transposed, and its gradient',
    build() {
      const [h, w] = [x(3, 4), weight(2, 4)]
      const y = linear(h, w)
      const [dw] = grad(sum(mul(exp(y), 0.5)), [w])
      return graph({ x: h }, { w }, { y, dw: dw! })
    },
  },
  {
    title: 'attention over heads that lie behind the tokens',
    build() {
      const [q, k] = ['q', 'k'].map(name => input(name, 'float32', [5, 2, 3, 4])) as [AnyTensor, AnyTensor]
      const [heads, keys] = [transpose(q, [1, 2, 0, 3]), transpose(k, [1, 2, 3, 0])]
      const scores = mul(matmul(heads, keys), 0.5)
      return graph({ q, k }, {}, { y: matmul(softmax(scores), heads) })
    },
  },
  {
    title: 'heads before the tokens: whole rows are moved once, for two products',
    build() {
      const h = x(2, 5, 3, 4)
      const [rows, columns] = [transpose(h, [0, 2, 1, 3]), transpose(h, [0, 2, 3, 1])]
      const scores = matmul(rows, columns)
      return graph({ x: h }, {}, { y: transpose(matmul(columns, scores), [0, 3, 1, 2]) })
    },
  },
]

export const GEMM: readonly Example[] = [
  {
    title: 'linear layers with a bias',
    build() {
      const [h, w, b, v] = [x('batch', 3, 4), weight(2, 4), weight(2), weight(2, 2)]
      return graph({ x: h }, { w, b, v }, { y: add(matmul(linear(h, w, b), v), b) })
    },
  },
]

export const TRANSPOSE: readonly Example[] = [
  {
    title: 'heads put back behind the tokens',
    build() {
      const h = x(2, 3, 5, 4)
      return graph({ x: h }, {}, { y: transpose(h, [2, 0, 1, 3]), other: transpose(h, [0, 2, 1, 3]) })
    },
  },
]
