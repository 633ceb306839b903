/** Random shapes and arguments for every rule that exists twice: what the run time says becomes a type to be met. */
import * as shapes from '../../src/graph/shape.ts'
import { type Dim, type Shape, UNKNOWN } from '../../src/graph/shape.ts'
import { IMAGE_RULES, PATTERN_RULES } from './differential-images.ts'
import { type Case, Draw, SIZES, type } from './draw.ts'

/** Dims whose product is that of `shape`, in other groups and another order. */
function regroup(d: Draw, shape: Shape): Dim[] {
  const parts = shape.flatMap((dim): Dim[] => {
    if (typeof dim !== 'number' || dim < 2 || d.chance(0.4)) return [dim]
    const divisor = d.pick([2, 3, 4, 7, 16].filter(n => dim % n === 0).concat(1))
    return [divisor, dim / divisor]
  })
  const order = d.chance(0.3) ? d.shuffle(parts) : parts
  const out: Dim[] = []
  for (const part of order) {
    const last = out.at(-1)
    if (last !== undefined && last !== UNKNOWN && part !== UNKNOWN && d.chance(0.3))
      out[out.length - 1] = shapes.product([last, part])
    else out.push(part)
  }
  // An unknown dim of the target would be a hole.
  const target = out.map(dim => (dim === UNKNOWN ? 4 : d.chance(0.05) ? (d.pick([2, 0, 'n']) as Dim) : dim))
  while (d.chance(0.35)) target[d.int(0, Math.max(0, target.length - 1))] = -1
  return target
}

const RULES: Record<string, (d: Draw) => Case> = {
  broadcast(d) {
    const a = d.shape(0, 4)
    const b = a.map(d.beside).slice(d.chance(0.3) ? 1 : 0)
    if (d.chance(0.2)) b.unshift(d.dim())
    const [x, y] = d.chance(0.5) ? [a, b] : [b, a]
    return { type: `Broadcast<'add', ${d.type(x)}, ${d.type(y)}>`, run: () => shapes.broadcast('add', x, y) }
  },
  matmul(d) {
    const lead = d.shape(0, 2)
    const k = d.dim()
    const a = d.chance(0.1) ? [k] : [...lead.map(d.beside), d.dim(), k]
    const b = d.chance(0.1) ? [d.near(k)] : [...lead.map(d.beside), d.near(k), d.dim()]
    const [x, y] = d.chance(0.05) ? [[], b] : [a, b]
    return { type: `MatMul<'matmul', ${d.type(x)}, ${d.type(y)}>`, run: () => shapes.matmul('matmul', x, y) }
  },
  reshape(d) {
    const from = d.shape(0, 4)
    const target = regroup(d, from)
    return {
      type: `Reshape<'reshape', ${d.type(from)}, [${target.map(t => (t === -1 ? '-1' : d.dimType(t))).join(', ')}]>`,
      run: () => shapes.reshape('reshape', from, target),
    }
  },
  transpose(d) {
    const from = d.shape(0, 5)
    const perm = d.shuffle([...from.keys()])
    if (d.chance(0.1)) perm.push(d.int(0, from.length))
    if (d.chance(0.15) && perm.length) perm[0] = d.int(-1, from.length)
    return {
      type: `Transpose<'transpose', ${d.type(from)}, ${d.list(perm)}>`,
      run: () => shapes.transpose('transpose', from, perm),
    }
  },
  expand(d) {
    const to = d.shape(0, 4)
    const from = to.map(d.beside).slice(d.chance(0.3) ? 1 : 0)
    if (d.chance(0.05)) from.unshift(1)
    return {
      type: `Expand<'expand', ${d.type(from)}, ${d.type(to)}>`,
      run: () => shapes.expand('expand', from, to),
    }
  },
  concat(d) {
    const first = d.shape(1, 3)
    const axis = d.axis(first.length)
    const others = Array.from({ length: d.int(0, 3) }, () =>
      first.map((dim, i) => (i === (axis + first.length) % first.length ? d.dim() : d.near(dim))),
    )
    if (others.length && d.chance(0.1)) others[0]!.push(2)
    const all = [first, ...others]
    return {
      type: `Concat<'concat', [${all.map(d.type).join(', ')}], ${d.size(axis)}>`,
      run: () => shapes.concat('concat', all, axis),
    }
  },
  splitParts(d) {
    const from = d.shape(1, 3).map(dim => (dim === UNKNOWN ? 12 : dim))
    const axis = d.axis(from.length)
    const parts = d.int(0, 5)
    return {
      type: `Split<'split', ${d.type(from)}, ${d.size(axis)}, ${d.size(parts)}>`,
      run: () => shapes.split('split', from, axis, shapes.equalParts('split', from, axis, parts)),
    }
  },
  splitSizes(d) {
    const from = d.shape(1, 3)
    const axis = d.axis(from.length)
    const dim = from.at(axis)
    const sizes = Array.from({ length: d.int(0, 3) }, () => d.pick(SIZES))
    const rest = typeof dim === 'number' ? dim - sizes.reduce((a, b) => a + b, 0) : 0
    if (rest >= 0) sizes.push(d.chance(0.2) ? d.int(0, 9) : rest)
    return {
      type: `Split<'split', ${d.type(from)}, ${d.size(axis)}, ${d.list(sizes)}>`,
      run: () => shapes.split('split', from, axis, sizes),
    }
  },
  slice(d) {
    const from = d.shape(1, 3)
    const axis = d.axis(from.length)
    const bound = () => d.pick([d.int(-20, 20), d.int(-130, 130), d.int(-3, 3)])
    const [start, end, step] = [bound(), bound(), d.chance(0.6) ? 1 : d.int(-5, 5)]
    return {
      type: `Slice<'slice', ${d.type(from)}, ${d.size(axis)}, ${d.size(start)}, ${d.size(end)}, ${d.size(step)}>`,
      run: () => shapes.slice('slice', from, [axis], [start], [end], [step]),
    }
  },
  select(d) {
    const from = d.shape(1, 4)
    const axis = d.axis(from.length)
    const dim = from.at(axis)
    const n = typeof dim === 'number' && dim > 0 ? dim : 3
    const index = d.chance(0.2) ? d.int(-n - 2, n + 1) : d.int(-n, n - 1)
    return {
      type: `Select<'select', ${d.type(from)}, ${d.size(axis)}, ${d.size(index)}>`,
      run: () => shapes.select('select', from, axis, index),
    }
  },
  gather(d) {
    const from = d.shape(1, 4)
    const indices = d.shape(0, 2)
    const axis = d.axis(from.length)
    return {
      type: `Gather<'gather', ${d.type(from)}, ${d.type(indices)}, ${d.size(axis)}>`,
      run: () => shapes.gather('gather', from, indices, axis),
    }
  },
  reduce(d) {
    const from = d.shape(0, 4)
    const keep = d.chance(0.5)
    const axes =
      d.chance(0.2) || !from.length
        ? undefined
        : Array.from({ length: d.int(0, 3) }, () => d.axis(from.length))
    return {
      type: `Reduce<'sum', ${d.type(from)}, ${axes ? d.list(axes) : undefined}, ${d.hidden && d.chance(d.hidden) ? 'boolean' : keep}>`,
      run: () => shapes.reduce('sum', from, axes, keep),
    }
  },
  squeeze(d) {
    const from = d.shape(1, 4).map(dim => (d.chance(0.6) ? 1 : dim))
    const axes = Array.from({ length: d.int(0, 2) }, () => d.axis(from.length))
    return {
      type: `Squeeze<'squeeze', ${d.type(from)}, ${d.list(axes)}>`,
      run: () => shapes.squeeze('squeeze', from, axes),
    }
  },
  unsqueeze(d) {
    const from = d.shape(0, 3)
    const axes = Array.from({ length: d.int(0, 3) }, () => d.axis(from.length + 2))
    return {
      type: `Unsqueeze<'unsqueeze', ${d.type(from)}, ${d.list(axes)}>`,
      run: () => shapes.unsqueeze('unsqueeze', from, axes),
    }
  },
  linear(d) {
    const [k, n] = [d.dim(), d.dim()]
    const x = d.chance(0.05) ? [] : [...d.shape(0, 2), k]
    const weight = d.chance(0.1) ? d.shape(0, 3) : [n, d.near(k)]
    return {
      type: `Linear<'linear', ${d.type(x)}, ${d.type(weight)}>`,
      run: () => shapes.linear('linear', x, weight),
    }
  },
  bias(d) {
    const weight = [d.dim(), 64]
    const bias = d.chance(0.1) ? d.shape(0, 2) : [d.near(weight[0]!)]
    return {
      type: `LinearBias<'linear', ${d.type(weight)}, ${d.type(bias)}>`,
      run: () => {
        shapes.linear('linear', [3, 64], weight, bias)
        return bias
      },
    }
  },
  pad(d) {
    const x = d.shape(0, 4)
    const around = () =>
      Array.from({ length: x.length + (d.chance(0.05) ? 1 : 0) }, () => d.pick([0, 0, 1, 2, 10, -1, -3]))
    const [before, after] = [around(), around()]
    return {
      type: `Pad<'pad', ${d.type(x)}, ${d.list(before)}, ${d.list(after)}>`,
      run: () => shapes.pad('pad', x, before, after),
    }
  },
  rmsNorm(d) {
    const x = d.shape(0, 3)
    const weight = d.chance(0.1) ? d.shape(0, 2) : [d.near(x.at(-1) ?? 3)]
    return {
      type: `RmsNorm<'rmsNorm', ${d.type(x)}, ${d.type(weight)}>`,
      run: () => {
        shapes.rmsNorm('rmsNorm', x, weight)
        return x
      },
    }
  },
  layerNorm(d) {
    const x = d.shape(0, 3)
    const weight = x.slice(d.int(0, x.length)).map(d.near)
    if (d.chance(0.05)) weight.unshift(2)
    return {
      type: `LayerNorm<'layerNorm', ${d.type(x)}, ${d.type(weight)}>`,
      run: () => {
        shapes.layerNorm('layerNorm', x, weight)
        return x
      },
    }
  },
  attention(d) {
    const [lead, t, s, k, e] = [d.shape(0, 2), d.dim(), d.dim(), d.dim(), d.dim()]
    const few = () => d.chance(0.03)
    const q = few() ? [k] : [...lead.map(d.beside), t, k]
    const keys = few() ? [k] : [...lead.map(d.beside), s, d.near(k)]
    const values = few() ? [] : [...lead.map(d.beside), d.near(s), e]
    return {
      type: `Attention<'attention', ${d.type(q)}, ${d.type(keys)}, ${d.type(values)}>`,
      run: () => shapes.attention('attention', q, keys, values),
    }
  },
}

export interface Generated {
  readonly source: string
  /** How many cases of each rule have a shape, and how many a message. */
  readonly counts: Readonly<Record<string, { readonly accepted: number; readonly refused: number }>>
}

const IMPORTS = `import type { Expand, Broadcast, MatMul, Reshape, Transpose } from '../../src/graph/typed/shapes.ts'
import type { Gather, Reduce, Select, Squeeze, Unsqueeze } from '../../src/graph/typed/axes.ts'
import type { Concat, Pad, Slice, Split } from '../../src/graph/typed/pieces.ts'
import type { Attention, LayerNorm, Linear, LinearBias, RmsNorm } from '../../src/graph/typed/layers.ts'
import type { CheckOptions, Conv2d, GroupNorm, PerChannel, Pool } from '../../src/graph/typed/images.ts'
import type { WindowOptions as Known } from '../../src/graph/images.ts'
import type { BindShape, MatchShape } from '../../src/graph/typed/pattern.ts'
type Nothing = Record<never, never>
type First<O> = Extract<O[keyof O], string> extends infer M ? [M] extends [never] ? [] : M : never
type Layered<P extends readonly (string | number)[], S extends readonly (string | number)[], R> =
  MatchShape<'layer', P, S> extends infer B ? B extends string ? B : BindShape<R, B> : never
`

const EQUAL = `type Eq<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function is<A, B>(equal: Eq<A, B>): void
`

// R is the run time's. Every known dim must be its dim; unions of shapes must hold it.
const COVERS = `type Dims<A, R> = { [I in keyof A]: number extends A[I] ? 0 : I extends keyof R ? R[I] extends A[I] ? 0 : 1 : 1 }
type Shape<A, R> = A extends readonly unknown[]
  ? number extends A['length'] ? true : A['length'] extends R['length' & keyof R] ? 1 extends Dims<A, R>[number] ? false : true : false
  : false
type Each<A, R> = { [I in keyof R]: A extends readonly (infer E)[] ? true extends Shape<I extends keyof A ? A[I] : E, R[I]> ? 0 : 1 : 1 }
type Covers<A, R> = R extends readonly unknown[][]
  ? A extends readonly unknown[] ? 1 extends Each<A, R>[number] ? false : true : false
  : true extends Shape<A, R> ? true : false
declare function is<A, B>(covers: Covers<A, B>): void
`

/**
 * A program that compiles if the compiler gives, for `count` cases of each rule, the run time's shape or message.
 * @param hidden share of the dims and numbers that the compiler is not told: then its shape must still hold the run
 * time's, and it may not refuse what the run time takes
 */
export function generate(seed: number, count: number, hidden = 0): Generated {
  const draw = new Draw(seed, hidden)
  const lines: string[] = []
  const counts: Record<string, { accepted: number; refused: number }> = {}
  for (const [name, rule] of Object.entries({ ...RULES, ...IMAGE_RULES, ...PATTERN_RULES })) {
    let refused = 0
    for (let i = 0; i < count; i++) {
      const { type: given, run } = rule(draw)
      try {
        const result = run()
        const wanted = Array.isArray(result[0])
          ? `[${(result as readonly Shape[]).map(type).join(', ')}]`
          : type(result as Shape)
        lines.push(`is<${given}, ${wanted}>(true)`)
      } catch (error) {
        if (!(error instanceof Error && error.name === 'ShapeError')) throw error
        refused++
        if (!hidden) lines.push(`is<${given}, ${JSON.stringify(error.message)}>(true)`)
      }
    }
    counts[name] = { accepted: count - refused, refused }
  }
  return { source: `${IMPORTS}${hidden ? COVERS : EQUAL}${lines.join('\n')}\n`, counts }
}
