// What the page computes from what a model puts out.

/**
 * How a block mixes tokens, as attention rollout has it: half of its heads' mean attention, half of the token itself (the
 * residual), Â = ½ A + ½ I, with rows made to sum to 1.
 * @param maps `[heads, T, T]`
 * @returns `[T, T]`: row = token after the block, column = token before it
 */
export function mixing(maps: Float32Array, tokens: number): Float32Array {
  const mixed = meanOfHeads(maps, tokens)
  for (let row = 0; row < tokens; row++) {
    let sum = 0
    for (let column = 0; column < tokens; column++) {
      const i = row * tokens + column
      mixed[i] = 0.5 * mixed[i]! + (row === column ? 0.5 : 0)
      sum += mixed[i]!
    }
    for (let column = 0; column < tokens; column++) mixed[row * tokens + column]! /= sum
  }
  return mixed
}

/**
 * Attention rollout (Abnar & Zuidema 2020, "Quantifying Attention Flow in Transformers"): how much of each token before the
 * first block reaches what is read after the last, w Âₙ … Â₂ Â₁.
 * @param blocks what {@link mixing} gives for each block from the first on
 * @param read w: how much of each token is read after the last block, `[T]`; 1 for one token gives its row of the product
 */
export function rollout(blocks: readonly Float32Array[], read: Float32Array): Float32Array {
  const tokens = read.length
  return blocks.reduceRight((after, mixed) => {
    const before = new Float32Array(tokens)
    after.forEach((share, row) => {
      if (share)
        for (let column = 0; column < tokens; column++)
          before[column]! += share * mixed[row * tokens + column]!
    })
    return before
  }, read)
}

/** `[heads, T, T]` → `[T, T]`. */
export function meanOfHeads(maps: Float32Array, tokens: number): Float32Array {
  const size = tokens * tokens
  const heads = maps.length / size
  const mean = new Float32Array(size)
  maps.forEach((v, i) => {
    mean[i % size]! += v / heads
  })
  return mean
}

/** Cosine of the angle between each two rows: `[rows, dim]` → `[rows, rows]`, 0 with a row of zeros. */
export function cosines(data: Float32Array, rows: number): Float32Array {
  const dim = data.length / rows
  const lengths = norms(data, rows)
  return Float32Array.from({ length: rows * rows }, (_, i) => {
    const [a, b] = [Math.floor(i / rows), i % rows]
    let dot = 0
    for (let k = 0; k < dim; k++) dot += data[a * dim + k]! * data[b * dim + k]!
    return dot / (lengths[a]! * lengths[b]!) || 0
  })
}

/** Euclidean length of each row of `[rows, dim]`. */
export function norms(data: Float32Array, rows: number): Float32Array {
  const dim = data.length / rows
  return Float32Array.from({ length: rows }, (_, row) =>
    Math.hypot(...data.subarray(row * dim, (row + 1) * dim)),
  )
}

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
          for (let x = left; x < left + patch; x++) out.push(pixels[(c * height + y) * width + x]!)
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
