import dropout from './dropout.ts'
import elementwise from './elementwise.ts'
import layout from './layout.ts'
import product from './matmul.ts'
import norm from './norm.ts'
import reduce from './reduce.ts'

/** Primitives that passes look for in graphs; users have the functions. */
export const { Dropout } = dropout
export const { Add, Cast, Clip, Div, Exp, Mul, Neg, Relu, Sqrt, Sub, Where } = elementwise
export const { Concat, Expand, Pad, Reshape, Slice, Split, Transpose } = layout
export const { MatMul, rows } = product
export const { LayerNormalization, Softmax } = norm
export const { ReduceMean, ReduceSum } = reduce
