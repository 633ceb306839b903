// Computations on a model's outputs.

export { cosines, meanOfHeads, mixing, norms, rollout } from '../../../src/report/maths.ts'

/**
 * An image cut into squares, each flattened: `[channels, height, width]` → `[N, channels · patch · patch]`, squares and
 * pixels row by row.
 */
export function cut(pixels: Float32Array, shape: readonly number[], patch: number): Float32Array {
  const [channels = 1, height = 1, width = 1] = shape
  const out: number[] = []
  for (let top = 0; top < height; top += patch)
    for (let left = 0; left < width; left += patch)
      for (let c = 0; c < channels; c++)
        for (let y = top; y < top + patch; y++)
          for (let x = left; x < left + patch; x++) out.push(Number(pixels[(c * height + y) * width + x]))
  return Float32Array.from(out)
}

/** Probabilities of logits. */
export function softmax(logits: Float32Array): Float32Array {
  const largest = Math.max(...logits)
  const e = logits.map(v => Math.exp(v - largest))
  const sum = e.reduce((a, b) => a + b, 0)
  return e.map(v => v / sum)
}

/** Values moved and stretched so that the least is 0 and the most is 1. */
export function spread(values: Float32Array): Float32Array {
  const least = Math.min(...values)
  const width = Math.max(...values) - least || 1
  return values.map(v => (v - least) / width)
}

/** Index of the largest value. */
export const argmax = (values: Float32Array): number => values.indexOf(Math.max(...values))
