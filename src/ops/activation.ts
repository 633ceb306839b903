import type { AnyTensor } from '../graph/tensor.ts'
import { add, mul, sigmoid, tanh } from './elementwise.ts'
import { erf } from './erf.ts'

/**
 * Gaussian error linear unit, x Φ(x) (Hendrycks & Gimpel 2016).
 * @param approximate `'tanh'` for 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))
 */
export const gelu = (x: AnyTensor, approximate: 'none' | 'tanh' = 'none'): AnyTensor => {
  if (approximate === 'none') return mul(x, mul(add(erf(mul(x, Math.SQRT1_2)), 1), 0.5))
  const inner = mul(add(x, mul(mul(mul(x, x), x), 0.044715)), Math.sqrt(2 / Math.PI))
  return mul(x, mul(add(tanh(inner), 1), 0.5))
}

/** x σ(x), also called swish. */
export const silu = (x: AnyTensor): AnyTensor => mul(x, sigmoid(x))
