/** The lecture's ViT written op by op with literal shapes: each of its four blocks is checked on its own. */
import { input, parameter } from '../../src/graph/leaf.ts'
import { add, gelu, layerNorm, linear, matmul, mul, softmax } from '../../src/ops/index.ts'
import { concat, expand, reshape, select, transpose } from '../../src/ops/layout.ts'

const normal = { kind: 'normal', std: 0.02 } as const
const weight = <const S extends readonly number[]>(...shape: S) => parameter(shape, normal)

const image = input('image', 'float32', ['batch', 1, 28, 28])
const grid = reshape(image, ['batch', 1, 4, 7, 4, 7])
const patches = reshape(transpose(grid, [0, 2, 4, 1, 3, 5]), ['batch', 16, 49])
const embedded = linear(patches, weight(64, 49), weight(64))
const cls = expand(weight(1, 1, 64), ['batch', 1, 64])
const tokens = add(concat([cls, embedded], 1), weight(1, 17, 64))

const normed0 = layerNorm(tokens, weight(64), weight(64))
const qkv0 = reshape(linear(normed0, weight(192, 64), weight(192)), ['batch', 17, 3, 4, 16])
const heads0 = transpose(qkv0, [2, 0, 3, 1, 4])
const keys0 = transpose(select(heads0, 0, 1), [0, 1, 3, 2])
const scores0 = softmax(mul(matmul(select(heads0, 0, 0), keys0), 0.25))
const mixed0 = transpose(matmul(scores0, select(heads0, 0, 2)), [0, 2, 1, 3])
const attended0 = add(tokens, linear(reshape(mixed0, ['batch', 17, 64]), weight(64, 64), weight(64)))
const hidden0 = gelu(linear(layerNorm(attended0, weight(64), weight(64)), weight(128, 64), weight(128)))
const block0 = add(attended0, linear(hidden0, weight(64, 128), weight(64)))

const normed1 = layerNorm(block0, weight(64), weight(64))
const qkv1 = reshape(linear(normed1, weight(192, 64), weight(192)), ['batch', 17, 3, 4, 16])
const heads1 = transpose(qkv1, [2, 0, 3, 1, 4])
const keys1 = transpose(select(heads1, 0, 1), [0, 1, 3, 2])
const scores1 = softmax(mul(matmul(select(heads1, 0, 0), keys1), 0.25))
const mixed1 = transpose(matmul(scores1, select(heads1, 0, 2)), [0, 2, 1, 3])
const attended1 = add(block0, linear(reshape(mixed1, ['batch', 17, 64]), weight(64, 64), weight(64)))
const hidden1 = gelu(linear(layerNorm(attended1, weight(64), weight(64)), weight(128, 64), weight(128)))
const block1 = add(attended1, linear(hidden1, weight(64, 128), weight(64)))

const normed2 = layerNorm(block1, weight(64), weight(64))
const qkv2 = reshape(linear(normed2, weight(192, 64), weight(192)), ['batch', 17, 3, 4, 16])
const heads2 = transpose(qkv2, [2, 0, 3, 1, 4])
const keys2 = transpose(select(heads2, 0, 1), [0, 1, 3, 2])
const scores2 = softmax(mul(matmul(select(heads2, 0, 0), keys2), 0.25))
const mixed2 = transpose(matmul(scores2, select(heads2, 0, 2)), [0, 2, 1, 3])
const attended2 = add(block1, linear(reshape(mixed2, ['batch', 17, 64]), weight(64, 64), weight(64)))
const hidden2 = gelu(linear(layerNorm(attended2, weight(64), weight(64)), weight(128, 64), weight(128)))
const block2 = add(attended2, linear(hidden2, weight(64, 128), weight(64)))

const normed3 = layerNorm(block2, weight(64), weight(64))
const qkv3 = reshape(linear(normed3, weight(192, 64), weight(192)), ['batch', 17, 3, 4, 16])
const heads3 = transpose(qkv3, [2, 0, 3, 1, 4])
const keys3 = transpose(select(heads3, 0, 1), [0, 1, 3, 2])
const scores3 = softmax(mul(matmul(select(heads3, 0, 0), keys3), 0.25))
const mixed3 = transpose(matmul(scores3, select(heads3, 0, 2)), [0, 2, 1, 3])
const attended3 = add(block2, linear(reshape(mixed3, ['batch', 17, 64]), weight(64, 64), weight(64)))
const hidden3 = gelu(linear(layerNorm(attended3, weight(64), weight(64)), weight(128, 64), weight(128)))
const block3 = add(attended3, linear(hidden3, weight(64, 128), weight(64)))

const last = layerNorm(block3, weight(64), weight(64))
export const logits = linear(select(last, 1, 0), weight(10, 64), weight(10))

/** What the compiler knows of the result; it must be the graph's own shape. */
export const shape: ['batch', 10] = logits.shape
