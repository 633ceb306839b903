import { nth } from '../../graph/present.ts'
import type { Values } from './weights.ts'

/** A matrix, row by row. */
type Matrix = readonly Float64Array[]

/** Cubic convolution with a = −0.5 (Keys 1981). */
function cubic(distance: number): number {
  const x = Math.abs(distance)
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0
}

/**
 * The weights `[to, from]` by which a line is resized, as by PyTorch's `interpolate(mode='bicubic', antialias=True)`: where it
 * shrinks, the kernel is as wide as what an element covers.
 */
export function resizeMatrix(from: number, to: number): Matrix {
  const scale = from / to
  const width = Math.max(scale, 1)
  return Array.from({ length: to }, (_, i) => {
    const centre = scale * (i + 0.5)
    const [begin, end] = [Math.trunc(centre - 2 * width + 0.5), Math.trunc(centre + 2 * width + 0.5)]
    const row = Float64Array.from({ length: from }, (_, j) =>
      j >= begin && j < end ? cubic((j - centre + 0.5) / width) : 0,
    )
    const total = row.reduce((a, b) => a + b, 0)
    return row.map(v => v / total)
  })
}

/** A kernel `[rows, columns]` between two matrices: left · x · rightᵀ. */
function between(
  left: Matrix,
  right: Matrix,
  x: ArrayLike<number>,
  stride: number,
  offset: number,
): Float64Array[] {
  const columns = nth(right, 0).length
  const at = (i: number, j: number): number => x[offset + (i * columns + j) * stride] ?? 0
  const half = left.map(weights =>
    Float64Array.from({ length: columns }, (_, j) =>
      weights.reduce((sum, w, i) => (w ? sum + w * at(i, j) : sum), 0),
    ),
  )
  return half.map(line =>
    Float64Array.from({ length: right.length }, (_, j) =>
      nth(right, j).reduce((sum, w, k) => sum + w * nth(line, k), 0),
    ),
  )
}

/**
 * Position embeddings `[1, prefix + from², D]` for a grid of `to²` patches, as timm's `resample_abs_pos_embed`; the first `prefix`
 * are kept.
 */
export function resampleGrid({ shape, data }: Values, prefix: number, from: number, to: number): Values {
  const [, , dim = 0] = shape
  const made = new Float32Array((prefix + to * to) * dim)
  made.set(data.subarray(0, prefix * dim))
  const matrix = resizeMatrix(from, to)
  for (let d = 0; d < dim; d++)
    for (const [i, line] of between(matrix, matrix, data, dim, prefix * dim + d).entries())
      for (const [j, v] of line.entries()) made[(prefix + i * to + j) * dim + d] = v
  return { shape: [1, prefix + to * to, dim], data: made }
}

/**
 * Patch embeddings `[D, C, from, from]` for patches of `to` pixels, as timm's `resample_patch_embed` (Beyer et al. 2023): the
 * pseudoinverse of the resizing, by which a resized patch has the embedding of the first.
 */
export function resamplePatch({ shape, data }: Values, to: number): Values {
  const [dim = 0, channels = 0, from = 0] = shape
  const matrix = transposed(pseudoinverse(resizeMatrix(from, to)))
  const made = new Float32Array(dim * channels * to * to)
  for (let k = 0; k < dim * channels; k++)
    for (const [i, line] of between(matrix, matrix, data, 1, k * from * from).entries())
      made.set(line, (k * to + i) * to)
  return { shape: [dim, channels, to, to], data: made }
}

const transposed = (a: Matrix): Matrix =>
  Array.from(nth(a, 0), (_, j) => Float64Array.from(a, row => nth(row, j)))

const product = (a: Matrix, b: Matrix): Matrix => {
  const columns = transposed(b)
  return a.map(row =>
    Float64Array.from(columns, column => row.reduce((sum, v, k) => sum + v * nth(column, k), 0)),
  )
}

/** Of a matrix of full rank, `[m, n]` → `[n, m]`: (AᵀA)⁻¹Aᵀ, or Aᵀ(AAᵀ)⁻¹ where it is wide. */
function pseudoinverse(a: Matrix): Matrix {
  const t = transposed(a)
  if (a.length >= t.length) return solved(product(t, a), t)
  return transposed(solved(product(a, t), a))
}

/** A⁻¹B for a symmetric positive definite A, by Gauss–Jordan elimination. */
function solved(a: Matrix, b: Matrix): Matrix {
  const rows = a.map((row, i) => Float64Array.of(...row, ...nth(b, i)))
  for (const [i, pivot] of rows.entries()) {
    const scale = nth(pivot, i)
    for (let k = i; k < pivot.length; k++) pivot[k] = nth(pivot, k) / scale
    for (const [j, row] of rows.entries()) {
      const factor = nth(row, i)
      if (j !== i && factor)
        for (let k = i; k < row.length; k++) row[k] = nth(row, k) - factor * nth(pivot, k)
    }
  }
  return rows.map(row => row.subarray(a.length))
}
