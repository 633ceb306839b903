import type { ArrayDataset } from '../../src/data/dataset.ts'
import { lower } from '../../src/export/lower.ts'
import { constant, input } from '../../src/graph/leaf.ts'
import { rng } from '../../src/graph/random.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { add, cast, matmul } from '../../src/ops/index.ts'
import { dequantize, quantize } from '../../src/ops/quantize.ts'

const [FEATURES, CLASSES, SIZE] = [8, 4, 200]

const random = rng(1)
const weights = Float32Array.from({ length: FEATURES * CLASSES }, () => random.uniform() - 0.5)

/** A classifier of eight numbers, as a file. */
export interface FileKind {
  /** Type of input and output. @default 'float32' */
  readonly dtype?: 'float32' | 'float16'
  /** Examples at a time. @default any number */
  readonly batch?: number
  /** Whether weights and inputs are rounded to int8; the larger the scale, the more. */
  readonly scale?: number
  readonly output?: string
  /** What is added to the first class. */
  readonly off?: number
}

export function fileOf({
  dtype = 'float32',
  batch,
  scale,
  output = 'logits',
  off = 0,
}: FileKind = {}): Uint8Array {
  const x = input('x', dtype, [batch ?? 'batch', FEATURES])
  const shape = [FEATURES, CLASSES]
  let [seen, w]: [AnyTensor, AnyTensor] = [x, cast(constant(weights, 'float32', shape), dtype)]
  if (scale !== undefined) {
    const [s, z] = [constant(scale, 'float32', []), constant(0, 'int8', [])]
    w = dequantize(
      constant(
        weights.map(v => Math.max(-128, Math.min(127, Math.round(v / scale)))),
        'int8',
        shape,
      ),
      s,
      z,
    )
    seen = dequantize(quantize(x, constant(1 / 64, 'float32', []), z), constant(1 / 64, 'float32', []), z)
  }
  const bias = cast(constant([off, 0, 0, 0], 'float32', [CLASSES]), dtype)
  const outputs = { [output]: add(matmul(seen, w), bias) }
  return lower({ inputs: { x }, parameters: {}, outputs }, { name: 'file', opset: 17 })
}

/** Numbers, labelled with what the float32 file answers. */
export function examples(): ArrayDataset {
  const x = Float32Array.from({ length: SIZE * FEATURES }, () => 2 * random.uniform() - 1)
  const label = Int32Array.from({ length: SIZE }, (_, i) => {
    const scores = Array.from({ length: CLASSES }, (_, c) =>
      Array.from({ length: FEATURES }, (_, k) => x[i * FEATURES + k]! * weights[k * CLASSES + c]!).reduce(
        (a, b) => a + b,
      ),
    )
    return scores.indexOf(Math.max(...scores))
  })
  return {
    ...{ name: 'numbers', size: SIZE },
    arrays: { x: { data: x, dims: [SIZE, FEATURES] }, label: { data: label, dims: [SIZE] } },
  }
}
