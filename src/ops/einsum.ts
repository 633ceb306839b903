import { ShapeError, UserError } from '../graph/errors.ts'
import { example } from '../graph/example.ts'
import { sameDType } from '../graph/op.ts'
import { nth } from '../graph/present.ts'
import { type Dim, product, type Shape, show, UNKNOWN, unify } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { mul } from './elementwise.ts'
import { reshape, slice, transpose } from './layout.ts'
import { matmul } from './matmul.ts'
import { sum } from './reduce.ts'

/** A label for each axis: a letter, or `.0`, `.1`, … for those of an ellipsis, from the right. */
type Labels = readonly string[]

interface Labelled {
  readonly labels: Labels
  readonly x: AnyTensor
}

const ELLIPSIS = '...'

/** Labels of a term such as `b...ij`, the ellipsis as one. */
function labelsOf(term: string, equation: string): string[] {
  const labels = term.match(/\.\.\.|[A-Za-z]/g) ?? []
  const wrong = labels.join('') !== term || labels.filter(l => l === ELLIPSIS).length > 1
  if (wrong)
    throw new UserError(`einsum: ${term} in ${equation} is not made of letters and at most one ellipsis`)
  return labels
}

/** The labels of `count` axes that an ellipsis stands for. */
const ellipsis = (count: number): string[] => Array.from({ length: count }, (_, i) => `.${count - 1 - i}`)

/** @returns the axes of each operand and those of the result */
function parse(equation: string, shapes: readonly Shape[]): { inputs: Labels[]; output: Labels } {
  const [left = '', right, ...more] = equation.replaceAll(' ', '').split('->')
  const terms = left.split(',').map(term => labelsOf(term, equation))
  if (more.length || terms.length !== shapes.length)
    throw new UserError(`einsum: ${equation} has ${terms.length} terms for ${shapes.length} tensors`)
  let most = 0
  const inputs = terms.map((term, i): Labels => {
    const shape = nth(shapes, i)
    const dots = term.includes(ELLIPSIS)
    const count = dots ? shape.length - term.length + 1 : 0
    if (count < 0 || (!dots && term.length !== shape.length))
      throw new ShapeError(`einsum: ${term.join('')} in ${equation} does not fit ${show(shape)}`)
    most = Math.max(most, count)
    return term.flatMap(label => (label === ELLIPSIS ? ellipsis(count) : [label]))
  })
  const letters = inputs.flat().filter(label => !label.startsWith('.'))
  // Without an arrow: the ellipsis, and letters that occur once, in the order of the alphabet.
  const once = [...new Set(letters)].filter(l => letters.indexOf(l) === letters.lastIndexOf(l)).sort()
  const named = right === undefined ? [ELLIPSIS, ...once] : labelsOf(right, equation)
  const output = named.flatMap(label => (label === ELLIPSIS ? ellipsis(most) : [label]))
  const strange = output.find((l, i) => !inputs.flat().includes(l) || output.indexOf(l) !== i)
  if (strange)
    throw new UserError(`einsum: ${strange} of the result of ${equation} is in no term, or there twice`)
  return { inputs, output }
}

const dimOf = ({ labels, x }: Labelled, label: string): Dim => nth(x.shape, labels.indexOf(label))

const dimsOf = (t: Labelled, labels: Labels): Dim[] => labels.map(label => dimOf(t, label))

/** The axes in another order. */
const ordered = ({ labels, x }: Labelled, order: Labels): AnyTensor =>
  transpose(
    x,
    order.map(label => labels.indexOf(label)),
  )

/** A label that an operand has twice stands for the diagonal of both axes: every (n + 1)-th of n · n elements. */
function diagonal({ labels, x }: Labelled): Labelled {
  const second = labels.findIndex((label, i) => labels.indexOf(label) !== i)
  if (second < 0) return { labels, x }
  const label = nth(labels, second)
  const first = labels.indexOf(label)
  const [size, other] = [x.shape[first], x.shape[second]]
  if (size !== other || typeof size !== 'number' || size === UNKNOWN)
    throw new ShapeError(
      `einsum: the axes ${label} of ${show(x.shape)} must have one known size for a diagonal`,
    )
  const rest = [...labels.keys()].filter(i => i !== first && i !== second)
  const lead = rest.map(i => x.shape[i])
  const rows = reshape(transpose(x, [...rest, first, second]), [...lead, size * size])
  const own = {
    labels: [...rest.map(i => nth(labels, i)), label],
    x: slice(rows, -1, 0, size * size, size + 1),
  }
  return diagonal(own)
}

/** Sums over the axes that nothing reads any more. */
function summed({ labels, x }: Labelled, needed: ReadonlySet<string>): Labelled {
  const axes = [...labels.keys()].filter(i => !needed.has(nth(labels, i)))
  return axes.length ? { labels: labels.filter(l => needed.has(l)), x: sum(x, axes) } : { labels, x }
}

/** An axis of size 1 that is longer in the other operand is dropped: its one element goes with all of them. */
function narrowed(t: Labelled, other: Labelled): Labelled {
  const kept = t.labels.filter(label => {
    if (!other.labels.includes(label)) return true
    const [own, its] = [dimOf(t, label), dimOf(other, label)]
    if (own === 1 && its !== 1) return false
    if (its !== 1 && unify(own, its) === undefined)
      throw new ShapeError(
        `einsum: ${label} is ${own} in ${show(t.x.shape)} and ${its} in ${show(other.x.shape)}`,
      )
    return true
  })
  return kept.length === t.labels.length ? t : { labels: kept, x: reshape(t.x, dimsOf(t, kept)) }
}

/** Both operands as one, over the labels that are needed after them: a matrix product, or one of elements. */
function contracted(left: Labelled, right: Labelled, needed: ReadonlySet<string>): Labelled {
  const [l, r] = [narrowed(left, right), narrowed(right, left)]
  const a = summed(l, new Set([...needed, ...r.labels]))
  const b = summed(r, new Set([...needed, ...a.labels]))
  const shared = a.labels.filter(label => b.labels.includes(label))
  const batch = shared.filter(label => needed.has(label))
  const inner = shared.filter(label => !needed.has(label))
  const rows = a.labels.filter(label => !shared.includes(label))
  const columns = b.labels.filter(label => !shared.includes(label))
  const labels = [...batch, ...rows, ...columns]
  const [lead, m, n] = [dimsOf(a, batch), dimsOf(a, rows), dimsOf(b, columns)]
  const x = ordered(a, [...batch, ...rows, ...inner])
  if (!inner.length) {
    const y = ordered(b, [...batch, ...columns])
    const ones = (axes: readonly unknown[]): number[] => axes.map(() => 1)
    return {
      labels,
      x: mul(reshape(x, [...lead, ...m, ...ones(n)]), reshape(y, [...lead, ...ones(m), ...n])),
    }
  }
  const k = product(dimsOf(a, inner))
  const y = reshape(ordered(b, [...batch, ...inner, ...columns]), [...lead, k, product(n)])
  // A matrix on the right takes any leading axes as they are.
  const grouped = batch.length || !rows.length ? [...lead, product(m)] : m
  return { labels, x: reshape(matmul(reshape(x, [...grouped, k]), y), [...lead, ...m, ...n]) }
}

/**
 * Sums of products over axes that are named by letters, as torch.einsum: `einsum('bij,bjk->bik', [a, b])` is a product of
 * matrices. Operands are taken from left to right.
 */
export function einsum(equation: string, tensors: readonly AnyTensor[]): AnyTensor {
  const [head, ...others] = tensors
  if (!head) throw new UserError('einsum: needs at least one tensor')
  sameDType('einsum', [head, ...others])
  const { inputs, output } = parse(
    equation,
    tensors.map(t => t.shape),
  )
  const [first, ...rest] = inputs.map((labels, i) => diagonal({ labels, x: nth(tensors, i) }))
  const start = first ?? { labels: [], x: head }
  // The last operand that has a label; those of the result outlive all of them.
  const last = new Map(rest.flatMap(({ labels }, i) => labels.map(label => [label, i] as const)))
  for (const label of output) last.set(label, rest.length)
  const neededAfter = (i: number) => [...last].flatMap(([label, at]) => (at > i ? [label] : []))
  const whole = rest.reduce((a, b, i) => contracted(a, b, new Set(neededAfter(i))), start)
  return ordered(summed(whole, new Set(output)), output)
}
example(einsum, t => ['ij,jk->ik', [t(2, 3), t(3, 4)]])
