import { ShapeError } from './errors.ts'

/**
 * One extent of a tensor: a size (`64`), a symbol that equals only itself (`'batch'`, ONNX `dim_param`) or, at run
 * time, {@link UNKNOWN}. In types, plain `number` stands for unknown.
 */
export type Dim = number | string
export type Shape = readonly Dim[]

/** A size that only the run time will know. */
export const UNKNOWN = -1

export const show = (shape: Shape): string => `[${shape.map(d => (d === UNKNOWN ? '?' : d)).join(',')}]`

const fail = (message: string): never => {
  throw new ShapeError(message)
}

/** Symbols and literal factor of a dim: `'batch*17'` is `{ symbols: ['batch'], literal: 17 }`. */
function factors(dim: Dim): { symbols: string[]; literal: number } {
  if (typeof dim === 'number') return { symbols: [], literal: dim }
  const symbols: string[] = []
  let literal = 1
  for (const part of dim.split('*')) {
    if (/^\d+$/.test(part)) literal *= Number(part)
    else symbols.push(part)
  }
  return { symbols, literal }
}

function fromFactors(symbols: readonly string[], literal: number): Dim {
  if (literal === 0 || symbols.length === 0) return literal
  return literal === 1 ? symbols.join('*') : `${symbols.join('*')}*${literal}`
}

/** Product of dims; symbols from left to right, the literal last: `['batch', 17]` gives `'batch*17'`. */
export function product(dims: Shape): Dim {
  if (dims.includes(UNKNOWN)) return UNKNOWN
  const symbols: string[] = []
  let literal = 1
  for (const dim of dims) {
    const f = factors(dim)
    symbols.push(...f.symbols)
    literal *= f.literal
  }
  return fromFactors(symbols, literal)
}

/** The one dim that two equal dims have; `undefined` when they certainly differ. */
export function unify(a: Dim, b: Dim): Dim | undefined {
  if (a === b) return a
  if (a === UNKNOWN) return b
  if (b === UNKNOWN) return a
  return undefined
}

/** Position of `axis` (negative counts from the end) in a tensor of `rank` dims. */
export function axisOf(op: string, axis: number, rank: number): number {
  const i = axis < 0 ? axis + rank : axis
  return Number.isInteger(axis) && i >= 0 && i < rank
    ? i
    : fail(`${op}: axis ${axis} is out of range for rank ${rank}`)
}

/** Axes as sorted positions; an empty or missing list means all. */
export function axesOf(op: string, axes: readonly number[] | undefined, rank: number): number[] {
  if (!axes || axes.length === 0) return Array.from({ length: rank }, (_, i) => i)
  const out = axes.map(a => axisOf(op, a, rank)).sort((a, b) => a - b)
  return out.some((a, i) => a === out[i - 1]) ? fail(`${op}: axes [${axes.join(',')}] name one twice`) : out
}

/** Numpy broadcasting; a symbol meets only itself, 1 or an unknown. */
export function broadcast(op: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1
    const y = b[i - rank + b.length] ?? 1
    if (x === 1) return y
    if (y === 1) return x
    return unify(x, y) ?? fail(`${op}: dims ${x} and ${y} of ${show(a)} and ${show(b)} do not broadcast`)
  })
}

/** numpy.matmul: 1-D operands gain and lose a dim, leading dims broadcast. */
export function matmul(op: string, a: Shape, b: Shape): Shape {
  if (a.length === 0 || b.length === 0)
    return fail(`${op}: operands of ${show(a)} and ${show(b)} need at least 1 dim`)
  const k1 = a.at(-1)!
  const k2 = b.length === 1 ? b[0]! : b.at(-2)!
  if (unify(k1, k2) === undefined)
    fail(`${op}: inner dims ${k1} and ${k2} of ${show(a)} and ${show(b)} differ`)
  const rows = a.length === 1 ? [] : [a.at(-2)!]
  const columns = b.length === 1 ? [] : [b.at(-1)!]
  return [...broadcast(op, a.slice(0, -2), b.slice(0, -2)), ...rows, ...columns]
}

/** Shape of `reshape(x, target)`; one dim of `target` may be -1. */
export function reshape(op: string, from: Shape, target: Shape): Shape {
  const holes = target.filter(d => d === UNKNOWN).length
  if (holes > 1) fail(`${op}: ${show(target)} has more than one -1`)
  if (from.includes(UNKNOWN)) return target
  const have = factors(product(from))
  const want = factors(product(target.filter(d => d !== UNKNOWN)))
  for (const s of [...want.symbols]) {
    if (!have.symbols.includes(s)) continue
    have.symbols.splice(have.symbols.indexOf(s), 1)
    want.symbols.splice(want.symbols.indexOf(s), 1)
  }
  const wrong = () => fail(`${op}: ${show(from)} does not fit into ${show(target)}`)
  if (!holes) {
    const equal = have.symbols.length + want.symbols.length === 0 && have.literal === want.literal
    return equal || (have.literal === 0 && want.literal === 0) ? target : wrong()
  }
  if (want.literal === 0) return wrong()
  if (want.symbols.length) return wrong()
  const exact = have.literal % want.literal === 0
  if (!exact && !have.symbols.length) return wrong()
  const rest = exact ? fromFactors(have.symbols, have.literal / want.literal) : UNKNOWN
  return target.map(d => (d === UNKNOWN ? rest : d))
}

/** Shape of `transpose(x, perm)`. */
export function transpose(op: string, from: Shape, perm: readonly number[]): Shape {
  if (perm.length !== from.length || perm.some((_, i) => !perm.includes(i)))
    fail(`${op}: [${perm.join(',')}] is not a permutation of the ${from.length} axes of ${show(from)}`)
  return perm.map(p => from[p]!)
}

/** Sum of dims; symbols are joined with `+`, the literal last. */
export function sum(dims: Shape): Dim {
  if (dims.includes(UNKNOWN)) return UNKNOWN
  const symbols = dims.filter(d => typeof d === 'string')
  const literal = dims.reduce<number>((n, d) => n + (typeof d === 'number' ? d : 0), 0)
  if (!symbols.length) return literal
  return literal ? `${symbols.join('+')}+${literal}` : symbols.join('+')
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
          unify(out[i]!, d) ??
          fail(`${op}: dims ${out[i]} and ${d} of ${show(first)} and ${show(other)} differ`)
  }
  out[at] = sum(shapes.map(s => s[at]!))
  return out
}

/** Sizes of `parts` equal pieces of `dim`. */
export function equalParts(op: string, dim: Dim, parts: number): number[] {
  if (typeof dim === 'string' || dim === UNKNOWN)
    return fail(`${op}: dim ${dim} is not known, give the sizes`)
  if (dim % parts) fail(`${op}: dim ${dim} does not split into ${parts} equal parts`)
  return Array.from({ length: parts }, () => dim / parts)
}

/** Shape of each piece of a split along `axis`. */
export function split(op: string, from: Shape, axis: number, sizes: readonly number[]): Shape[] {
  const at = axisOf(op, axis, from.length)
  const dim = from[at]!
  const total = sizes.reduce((a, b) => a + b, 0)
  if (typeof dim === 'string') fail(`${op}: symbolic dim ${dim} of ${show(from)} cannot be split`)
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
  // In ONNX an end at or below -n-1 means "before the first element" when stepping back.
  const last = step < 0 && end < -n ? -1 : clamp(end)
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
  axes.forEach((axis, i) => {
    const at = axisOf(op, axis, from.length)
    const step = steps[i] ?? 1
    if (step === 0) fail(`${op}: step of axis ${axis} is 0`)
    const dim = from[at]!
    out[at] =
      typeof dim === 'string' || dim === UNKNOWN
        ? UNKNOWN
        : sliceRange(dim, starts[i]!, ends[i]!, step).length
  })
  return out
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

/** Shape of `expand(x, target)`: `x` must broadcast to exactly `target`. */
export function expand(op: string, from: Shape, target: Shape): Shape {
  const out = broadcast(op, from, target)
  const same = out.length === target.length && out.every((d, i) => unify(d, target[i]!) !== undefined)
  return same ? out : fail(`${op}: ${show(from)} does not expand to ${show(target)}`)
}
