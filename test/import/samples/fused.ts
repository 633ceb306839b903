import { f32 } from '../../../src/graph/sample.ts'
import { float, held, type NodeSamples, nodeSample } from '../sample.ts'

const x = f32(3, 8).distinct()
const gemm = [f32(5, 7), f32(7, 3), f32(3)]

/** Bytes in some order. */
const bytes = (...dims: number[]) =>
  held(
    'uint8',
    Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => (i * 37 + 11) % 256),
    dims,
  )

export const samples: NodeSamples = {
  'com.microsoft.FusedGemm': [
    nodeSample(gemm, { activation: 'Relu' }),
    nodeSample(gemm, { activation: 'LeakyRelu', activation_alpha: 0.2, alpha: 0.5, beta: 2.5 }),
    nodeSample(gemm, { activation: 'HardSigmoid', activation_alpha: 0.2, activation_beta: 0.5 }),
    ...['Tanh', 'Sigmoid', 'Softplus', 'Softsign'].map(activation => nodeSample(gemm, { activation })),
    nodeSample(gemm, { activation: 'Elu', activation_alpha: 0.5 }),
    nodeSample([f32(7, 5), f32(3, 7), f32(3)], { activation: 'Tanh', transA: 1, transB: 1 }),
  ],
  'com.microsoft.FusedMatMul': [
    nodeSample([f32(7, 5), f32(7, 3)], { transA: 1, alpha: 0.5 }),
    nodeSample([f32(2, 5, 7), f32(3, 7)], { transB: 1, alpha: float(1) }),
    nodeSample([f32(5, 2, 3, 7), f32(4, 2, 3, 7)], { transB: 1, transBatchA: 1, transBatchB: 1 }),
    nodeSample([f32(7), f32(7, 3)], { transA: 1 }),
  ],
  'com.microsoft.TransposeMatMul': [nodeSample([f32(7, 5), f32(7, 3)], { transA: 1, alpha: 0.5 })],
  'com.microsoft.MatMulNBits': [
    nodeSample([f32(2, 5, 32), bytes(3, 2, 8), f32(6)], { K: 32, N: 3, bits: 4, block_size: 16 }),
    nodeSample([f32(5, 40), bytes(3, 3, 8), f32(9), bytes(6)], { K: 40, N: 3, bits: 4, block_size: 16 }),
    nodeSample([f32(5, 32), bytes(3, 2, 16), f32(6)], { K: 32, N: 3, bits: 8, block_size: 16 }),
  ],
  'com.microsoft.Gelu': [nodeSample([x])],
  'com.microsoft.BiasGelu': [nodeSample([x, f32(8)])],
  'com.microsoft.FastGelu': [nodeSample([x]), nodeSample([x, f32(8)])],
  'com.microsoft.QuickGelu': [nodeSample([x]), nodeSample([x], { alpha: 0.5 })],
}
