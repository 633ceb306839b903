import type { Rng } from '../graph/random.ts'

/** The lattice of control points has this many cells along each side. */
const CELLS = 4
/** A cubic spline reaches over four control points, so the lattice has three more of them than cells. */
const POINTS = CELLS + 3

/** How far each pixel moves; `draw` makes another field. */
export interface DisplacementField {
  /** Along x and along y, of the pixels of the row that `row` was called for, in pixels. */
  readonly dx: Float64Array
  readonly dy: Float64Array
  draw(random: Rng): void
  row(y: number): void
}

/**
 * A smooth random field of displacements with a root mean square of `strength` pixels along each axis.
 *
 * Instead of noise at every pixel under a wide Gaussian, a lattice of 7 × 7 normal numbers under cubic B-splines: a
 * spline of a lattice with cells of h pixels is nearly a Gaussian with the deviation h / √3, here 1 / 6.9 of the side.
 */
export function elasticField(height: number, width: number, strength: number): DisplacementField {
  const columns = splines(width)
  const rows = splines(height)
  // The mean of the splines' squared weights, over all places between two control points: the spline of degree 7 at 0.
  const unit = strength / (2416 / 5040)
  const points = [new Float64Array(POINTS * POINTS), new Float64Array(POINTS * POINTS)] as const
  // Each row of control points at all columns: what remains is to go down.
  const lines = [new Float64Array(POINTS * width), new Float64Array(POINTS * width)] as const
  const dx = new Float64Array(width)
  const dy = new Float64Array(width)

  return {
    dx,
    dy,
    draw(random) {
      if (!strength) return
      for (let i = 0; i < POINTS * POINTS; i++) {
        points[0][i] = unit * random.normal()
        points[1][i] = unit * random.normal()
      }
      for (let p = 0; p < POINTS; p++) {
        across(points[0], p * POINTS, columns, lines[0], p * width)
        across(points[1], p * POINTS, columns, lines[1], p * width)
      }
    },
    row(y) {
      if (!strength) return
      down(lines[0], y, rows, dx)
      down(lines[1], y, rows, dy)
    },
  }
}

/** For each pixel: its cell, and the weights of the four control points around it. */
interface Splines {
  readonly cell: Int32Array
  readonly weight: Float64Array
}

function splines(size: number): Splines {
  const cell = new Int32Array(size)
  const weight = new Float64Array(4 * size)
  for (let i = 0; i < size; i++) {
    const at = ((i + 0.5) / size) * CELLS
    cell[i] = Math.floor(at)
    const t = at - Number(cell[i])
    const [t2, t3] = [t * t, t * t * t]
    weight.set(
      [(1 - t) ** 3, 3 * t3 - 6 * t2 + 4, -3 * t3 + 3 * t2 + 3 * t + 1, t3].map(w => w / 6),
      4 * i,
    )
  }
  return { cell, weight }
}

/** One row of control points at every column. */
function across(
  points: Float64Array,
  from: number,
  { cell, weight }: Splines,
  line: Float64Array,
  to: number,
): void {
  for (let x = 0; x < cell.length; x++) {
    const p = from + Number(cell[x])
    line[to + x] =
      Number(weight[4 * x]) * Number(points[p]) +
      Number(weight[4 * x + 1]) * Number(points[p + 1]) +
      Number(weight[4 * x + 2]) * Number(points[p + 2]) +
      Number(weight[4 * x + 3]) * Number(points[p + 3])
  }
}

/** Every column at one row of pixels. */
function down(lines: Float64Array, y: number, { cell, weight }: Splines, row: Float64Array): void {
  const width = row.length
  const a = Number(cell[y]) * width
  const b = a + width
  const c = b + width
  const d = c + width
  const wa = Number(weight[4 * y])
  const wb = Number(weight[4 * y + 1])
  const wc = Number(weight[4 * y + 2])
  const wd = Number(weight[4 * y + 3])
  for (let x = 0; x < width; x++) {
    row[x] =
      wa * Number(lines[a + x]) +
      wb * Number(lines[b + x]) +
      wc * Number(lines[c + x]) +
      wd * Number(lines[d + x])
  }
}
