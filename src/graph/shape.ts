import { allFactors, type Dim, fromFactors, type Shape, show, sum, UNKNOWN, unify } from './dim.ts'
import { ShapeError } from './errors.ts'
import { nth, present } from './present.ts'

export * from './dim.ts'

/**
 * Shape rules of the ops: each gives the resulting shape or throws a ShapeError that starts with the op's name.
 * `typed/` holds the same rules for the compiler, with the same messages; a generated test keeps the two equal.
 */

const fail = (message: string): never => {
  throw new ShapeError(message)
}

/** Position of `axis` (negative counts from the end) in a tensor of `rank` dims. */
export function axisOf(op: string, axis: number, rank: number): number {
  const i = axis < 0 ? axis + rank : axis
  return Number.isInteger(axis) && i >= 0 && i < rank
    ? i
    : fail(`${op}: axis ${axis} is out of range for rank ${rank}`)
}

/** Axes as sorted positions; all when left out. */
export function axesOf(op: string, axes: readonly number[] | undefined, rank: number): number[] {
  if (!axes) return Array.from({ length: rank }, (_, i) => i)
  const out = axes.map(a => axisOf(op, a, rank)).sort((a, b) => a - b)
  return out.some((a, i) => a === out[i - 1])
    ? fail(`${op}: axes [${axes.join(',')}] contain one axis twice`)
    : out
}

/** Aligns shapes at the right; a dim of 1 stretches. `refuse` gets the last two dims that do not fit. */
function align(a: Shape, b: Shape, refuse: (dims: string) => never): Dim[] {
  const rank = Math.max(a.length, b.length)
  const out: Dim[] = []
  for (let i = 1; i <= rank; i++) {
    const x = a.at(-i) ?? 1
    const y = b.at(-i) ?? 1
    out.unshift(x === 1 ? y : y === 1 ? x : (unify(x, y) ?? refuse(`dims ${x} and ${y}`)))
  }
  return out
}

/** Numpy broadcasting; a symbol meets only itself, 1 or an unknown. */
export const broadcast = (op: string, a: Shape, b: Shape): Shape =>
  align(a, b, dims => fail(`${op}: ${dims} of ${show(a)} and ${show(b)} do not broadcast`))

/** numpy.matmul: 1-D operands gain and lose a dim, leading dims broadcast. */
export function matmul(op: string, a: Shape, b: Shape): Shape {
  const both = `${show(a)} and ${show(b)}`
  if (a.length === 0 || b.length === 0) return fail(`${op}: operands ${both} need at least 1 dim`)
  const k1 = nth(a, -1)
  const k2 = b.length === 1 ? nth(b, 0) : nth(b, -2)
  if (unify(k1, k2) === undefined) fail(`${op}: inner dims ${k1} and ${k2} of ${both} differ`)
  const lead = align(a.slice(0, -2), b.slice(0, -2), dims =>
    fail(`${op}: leading ${dims} of ${both} do not broadcast`),
  )
  return [...lead, ...a.slice(-2, -1), ...(b.length === 1 ? [] : b.slice(-1))]
}

/** Throws unless all dims that a caller wrote are sizes, symbols or -1. */
function written(op: string, shape: Shape): void {
  for (const d of shape)
    if (typeof d === 'number' && d !== UNKNOWN && !(Number.isInteger(d) && d >= 0))
      fail(`${op}: dim ${d} of [${shape.join(',')}] is not a size`)
}

/** Shape of `reshape(x, target)`; one dim of `target` may be -1. */
export function reshape(op: string, from: Shape, target: Shape): Shape {
  const wanted = `[${target.join(',')}]`
  written(op, target)
  const holes = target.filter(d => d === UNKNOWN).length
  if (holes > 1) fail(`${op}: ${wanted} has more than one -1`)
  if (from.includes(UNKNOWN)) return target
  const wrong = () => fail(`${op}: ${show(from)} does not fit into ${wanted}`)
  const have = allFactors(from)
  const want = allFactors(target.filter(d => d !== UNKNOWN))
  const left = [...have.symbols]
  const missing = want.symbols.filter(s => {
    const i = left.indexOf(s)
    if (i >= 0) left.splice(i, 1)
    return i < 0
  })
  if (missing.length && want.literal) return wrong()
  const symbols = have.literal === 0 ? [] : left
  if (!holes) return symbols.length === 0 && have.literal === want.literal ? target : wrong()
  if (want.literal === 0) return wrong()
  const literal = have.literal / want.literal
  if (!Number.isInteger(literal) && symbols.length === 0) return wrong()
  const rest = Number.isInteger(literal) ? fromFactors({ symbols, literal }) : UNKNOWN
  return target.map(d => (d === UNKNOWN ? rest : d))
}

/** Shape of `transpose(x, perm)`. */
export function transpose(op: string, from: Shape, perm: readonly number[]): Shape {
  if (perm.length !== from.length || perm.some((_, i) => !perm.includes(i)))
    fail(`${op}: [${perm.join(',')}] is not a permutation of the ${from.length} axes of ${show(from)}`)
  return perm.map(p => nth(from, p))
}

/** Shape of a concatenation along `axis`. */
export function concat(op: string, shapes: readonly Shape[], axis: number): Shape {
  const first = shapes[0] ?? fail(`${op}: needs at least one tensor`)
  const at = axisOf(op, axis, first.length)
  const out: Dim[] = [...first]
  for (const other of shapes.slice(1)) {
    if (other.length !== first.length) fail(`${op}: ranks of ${show(first)} and ${show(other)} differ`)
    for (const [i, d] of other.entries())
      if (i !== at)
        out[i] =
          unify(nth(out, i), d) ??
          fail(`${op}: dims ${out[i]} and ${d} of ${show(first)} and ${show(other)} differ`)
  }
  out[at] = sum(shapes.map(s => nth(s, at)))
  return out
}

/** Sizes of `parts` equal pieces of axis `axis`. */
export function equalParts(op: string, from: Shape, axis: number, parts: number): number[] {
  const dim = nth(from, axisOf(op, axis, from.length))
  if (typeof dim === 'string') return fail(`${op}: symbolic dim ${dim} of ${show(from)} cannot be split`)
  if (!Number.isInteger(parts) || parts < 1) return fail(`${op}: cannot split into ${parts} parts`)
  if (dim === UNKNOWN)
    return fail(`${op}: axis ${axis} of ${show(from)} is not known; give the sizes of the parts`)
  if (dim % parts) fail(`${op}: dim ${dim} of ${show(from)} does not split into ${parts} equal parts`)
  return Array.from({ length: parts }, () => dim / parts)
}

/** Shape of each piece of a split along `axis`. */
export function split(op: string, from: Shape, axis: number, sizes: readonly number[]): Shape[] {
  const at = axisOf(op, axis, from.length)
  const dim = nth(from, at)
  if (typeof dim === 'string') fail(`${op}: symbolic dim ${dim} of ${show(from)} cannot be split`)
  if (sizes.some(n => !Number.isInteger(n) || n < 0))
    fail(`${op}: sizes [${sizes.join(',')}] must be whole numbers of at least 0`)
  const total = sizes.reduce((a, b) => a + b, 0)
  if (dim !== UNKNOWN && total !== dim)
    fail(`${op}: sizes [${sizes.join(',')}] add up to ${total}, not to dim ${dim} of ${show(from)}`)
  return sizes.map(n => from.with(at, n))
}

/** First index and length of `start:end:step` in a dim of size `n`, clamped as numpy does. */
export function sliceRange(
  n: number,
  start: number,
  end: number,
  step: number,
): { start: number; length: number } {
  const clamp = (i: number) =>
    step > 0 ? Math.min(Math.max(i < 0 ? i + n : i, 0), n) : Math.min(Math.max(i < 0 ? i + n : i, -1), n - 1)
  const first = clamp(start)
  const last = clamp(end)
  return { start: first, length: Math.max(0, Math.ceil((last - first) / step)) }
}

/** Shape of a slice with one range per named axis. */
export function slice(
  op: string,
  from: Shape,
  axes: readonly number[],
  starts: readonly number[],
  ends: readonly number[],
  steps: readonly number[],
): Shape {
  const out: Dim[] = [...from]
  axesOf(op, axes, from.length)
  if (starts.length !== axes.length || ends.length !== axes.length || steps.length > axes.length)
    fail(
      `${op}: ${starts.length} starts, ${ends.length} ends and ${steps.length} steps do not fit ${axes.length} axes`,
    )
  axes.forEach((axis, i) => {
    const at = axisOf(op, axis, from.length)
    const step = steps[i] ?? 1
    if (step === 0) fail(`${op}: step of axis ${axis} is 0`)
    const dim = nth(from, at)
    out[at] =
      typeof dim === 'string' || dim === UNKNOWN
        ? UNKNOWN
        : sliceRange(dim, nth(starts, i), nth(ends, i), step).length
  })
  return out
}

/** Shape with `before[i]` and `after[i]` elements around axis i; fewer than 0 take elements away. */
export function pad(op: string, from: Shape, before: readonly number[], after: readonly number[]): Shape {
  const written = `before [${before.join(',')}] and after [${after.join(',')}]`
  if (before.length !== from.length || after.length !== from.length)
    fail(`${op}: ${written} must be one number for each axis of ${show(from)}`)
  return from.map((d, i) => {
    const [low, high] = [nth(before, i), nth(after, i)]
    if (typeof d === 'string') return low || high ? (low < 0 || high < 0 ? UNKNOWN : sum([d, low, high])) : d
    if (d === UNKNOWN) return d
    return d + low + high >= 0
      ? d + low + high
      : fail(`${op}: ${written} remove more of ${show(from)} than it has`)
  })
}

/** Shape of a reduction over `axes`. */
export function reduce(
  op: string,
  from: Shape,
  axes: readonly number[] | undefined,
  keepdims: boolean,
): Shape {
  const at = new Set(axesOf(op, axes, from.length))
  return keepdims ? from.map((d, i) => (at.has(i) ? 1 : d)) : from.filter((_, i) => !at.has(i))
}

/** Shape of `gather(x, indices, axis)`: the axis is replaced by the dims of `indices`. */
export function gather(op: string, from: Shape, indices: Shape, axis: number): Shape {
  const at = axisOf(op, axis, from.length)
  return [...from.slice(0, at), ...indices, ...from.slice(at + 1)]
}

/** Shape of `select(x, axis, index)`: the axis goes. */
export function select(op: string, from: Shape, axis: number, index: number): Shape {
  const at = axisOf(op, axis, from.length)
  const dim = nth(from, at)
  if (typeof dim === 'number' && dim !== UNKNOWN && !(index >= -dim && index < dim))
    fail(`${op}: index ${index} is out of range for dim ${dim} of ${show(from)}`)
  return from.toSpliced(at, 1)
}

/** Shape without the dims of size 1 at `axes`. */
export function squeeze(op: string, from: Shape, axes: readonly number[]): Shape {
  const at = axesOf(op, axes, from.length)
  for (const i of at)
    if (unify(nth(from, i), 1) === undefined)
      fail(`${op}: dim ${from[i]} at axis ${i} of ${show(from)} is not 1`)
  return from.filter((_, i) => !at.includes(i))
}

/** Shape with dims of size 1 put in, at the positions `axes` of the result. */
export function unsqueeze(op: string, from: Shape, axes: readonly number[]): Shape {
  const rank = from.length + axes.length
  const at = axesOf(op, axes, rank)
  const rest = [...from]
  return Array.from({ length: rank }, (_, i) => (at.includes(i) ? 1 : present(rest.shift(), 'dim')))
}

/** Shape of `expand(x, target)`: `x` must broadcast to exactly `target`. */
export function expand(op: string, from: Shape, target: Shape): Shape {
  written(op, target)
  const lead = target.length - from.length
  const dims = target.map((t, i) => {
    const d = from[i - lead] ?? 1
    return d === 1 ? t : unify(d, t)
  })
  const fits = lead >= 0 && dims.every(d => d !== undefined)
  return fits ? dims : fail(`${op}: ${show(from)} does not expand to ${show(target)}`)
}

/** Multiply–accumulates of a matrix product `[…, K]` × … = y: elements of y × K; symbols count as 1. */
export const productMacs = (a: Shape, y: Shape): number =>
  [...y, ...a.slice(-1)].reduce<number>((n, d) => n * (typeof d === 'number' && d > 0 ? d : 1), 1)

/** Whether two shapes are the same, dim by dim; a dim that is not known equals none. */
export const equalShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i] && d !== UNKNOWN)

/** Whether two shapes may be one: dims that are not known count as equal. */
export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((d, i) => unify(d, nth(b, i)) !== undefined)

/** Shape of `linear(x, weight, bias)`: `[..., in]`, `[out, in]` and `[out]`. */
export function linear(op: string, x: Shape, weight: Shape, bias?: Shape): Shape {
  const [outputs, inputs, ...more] = weight
  if (outputs === undefined || inputs === undefined || more.length)
    return fail(`${op}: weight ${show(weight)} is not [out,in]`)
  if (x.length === 0) return fail(`${op}: x of [] needs at least 1 dim`)
  const last = nth(x, -1)
  if (unify(last, inputs) === undefined)
    fail(`${op}: inner dims ${last} and ${inputs} of ${show(x)} and weight ${show(weight)} differ`)
  if (bias && !sameShape(bias, [outputs]))
    fail(`${op}: bias ${show(bias)} does not fit weight ${show(weight)}`)
  return [...x.slice(0, -1), outputs]
}

/** Throws unless `weight`, and `bias` like it, has the last dims of `x`. */
export function layerNorm(op: string, x: Shape, weight: Shape, bias?: Shape): void {
  if (weight.length === 0 || !sameShape(weight, x.slice(-weight.length)))
    fail(`${op}: weight ${show(weight)} does not fit the last dims of ${show(x)}`)
  if (bias && !sameShape(bias, weight)) fail(`${op}: bias ${show(bias)} does not fit weight ${show(weight)}`)
}

/** Throws unless `weight` is `[d]` for the last dim `d` of `x`. */
export function rmsNorm(op: string, x: Shape, weight: Shape): void {
  if (weight.length !== 1 || !sameShape(weight, x.slice(-1)))
    fail(`${op}: weight ${show(weight)} does not fit the last dim of ${show(x)}`)
}

/** Shape of attention of `q` `[..., T, d]` to `k` `[..., S, d]` and `v` `[..., S, e]`. */
export function attention(op: string, q: Shape, k: Shape, v: Shape): Shape {
  const qk = `q ${show(q)} and k ${show(k)}`
  if (q.length < 2 || k.length < 2) return fail(`${op}: ${qk} need at least 2 dims`)
  const [d1, d2] = [nth(q, -1), nth(k, -1)]
  if (unify(d1, d2) === undefined) fail(`${op}: inner dims ${d1} and ${d2} of ${qk} differ`)
  const lead = align(q.slice(0, -2), k.slice(0, -2), dims =>
    fail(`${op}: leading ${dims} of ${qk} do not broadcast`),
  )
  if (v.length < 2) return fail(`${op}: v ${show(v)} needs at least 2 dims`)
  const [s1, s2] = [nth(k, -2), nth(v, -2)]
  if (unify(s1, s2) === undefined)
    fail(`${op}: lengths ${s1} and ${s2} of k ${show(k)} and v ${show(v)} differ`)
  const all = align(lead, v.slice(0, -2), dims =>
    fail(`${op}: leading ${dims} of q ${show(q)}, k ${show(k)} and v ${show(v)} do not broadcast`),
  )
  return [...all, nth(q, -2), nth(v, -1)]
}
