// What is seen in a model's attention and embeddings.

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
      mixed[i] = 0.5 * Number(mixed[i]) + (row === column ? 0.5 : 0)
      sum += Number(mixed[i])
    }
    for (let column = 0; column < tokens; column++) {
      const i = row * tokens + column
      mixed[i] = Number(mixed[i]) / sum
    }
  }
  return mixed
}

/**
 * Attention rollout (Abnar & Zuidema 2020, "Quantifying Attention Flow in Transformers"): how much of each token before the
 * first block reaches what is read after the last, w Âₙ … Â₂ Â₁.
 * @param blocks what {@link mixing} gives for each block from the first on
 * @param read w: how much of each token is read after the last block, `[T]`; 1 for one token gives its row of the product
 */
export const rollout = (blocks: readonly Float32Array[], read: Float32Array): Float32Array =>
  blocks.reduceRight((after, mixed) => weighted(mixed, after), read)

/** Sum of the rows of `[rows, columns]`, each times its weight. */
export function weighted(matrix: Float32Array, weights: Float32Array): Float32Array {
  const columns = matrix.length / weights.length
  const sum = new Float32Array(columns)
  weights.forEach((weight, row) => {
    if (weight)
      for (let i = 0; i < columns; i++) sum[i] = Number(sum[i]) + weight * Number(matrix[row * columns + i])
  })
  return sum
}

/** `[heads, T, T]` → `[T, T]`. */
export function meanOfHeads(maps: Float32Array, tokens: number): Float32Array {
  const size = tokens * tokens
  const heads = maps.length / size
  const mean = new Float32Array(size)
  maps.forEach((v, i) => {
    mean[i % size] = Number(mean[i % size]) + v / heads
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
    for (let k = 0; k < dim; k++) dot += Number(data[a * dim + k]) * Number(data[b * dim + k])
    return dot / (Number(lengths[a]) * Number(lengths[b])) || 0
  })
}

/** Euclidean length of each row of `[rows, dim]`. */
export function norms(data: Float32Array, rows: number): Float32Array {
  const dim = data.length / rows
  return Float32Array.from({ length: rows }, (_, row) =>
    Math.hypot(...data.subarray(row * dim, (row + 1) * dim)),
  )
}
