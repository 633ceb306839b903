import { isConcrete } from '../graph/bind.ts'
import { isFloat } from '../graph/dtype.ts'
import type { Graph } from '../graph/graph.ts'
import { constant, filledWith } from '../graph/leaf.ts'
import { makeNode, type Node } from '../graph/node.ts'
import { elementwise } from '../graph/op.ts'
import { equalShape } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { add, exp, mul, sub } from '../ops/elementwise.ts'
import { Add, Div, Exp, Expand, MatMul, Mul, Neg, Reshape, Sqrt, Sub } from '../ops/primitives.ts'
import { elements, match, onlyOutput, pairs, type Readers, rewriteCounting, scalar } from './match.ts'

/** What a node's output becomes; undefined leaves it. */
type Rule = (node: Node, readers: Readers) => AnyTensor | undefined

/** The first answer that a rule gives for a pair of operands, in either order. */
const first =
  (
    op: Parameters<typeof pairs>[1],
    rule: (a: AnyTensor, b: AnyTensor, readers: Readers) => AnyTensor | undefined,
  ): Rule =>
  (node, readers) => {
    for (const [a, b] of pairs(node, op)) {
      const y = rule(a, b, readers)
      if (y) return y
    }
    return undefined
  }

const ARITHMETIC = new Map<unknown, (a: number, b: number) => number>([
  [Add, (a, b) => a + b],
  [Sub, (a, b) => a - b],
  [Mul, (a, b) => a * b],
  [Div, (a, b) => a / b],
  [Neg, a => -a],
  [Exp, a => Math.exp(a)],
  [Sqrt, a => Math.sqrt(a)],
  [Reshape, a => a],
  [Expand, a => a],
])

/** Arithmetic of constants of one value. */
const fold: Rule = node => {
  const { dtype, shape } = onlyOutput(node)
  const f = ARITHMETIC.get(node.op)
  const [a, b] = node.inputs.map(filledWith)
  if (
    !f ||
    !isConcrete(shape) ||
    !isFloat(dtype) ||
    a === undefined ||
    (node.inputs.length > 1 && b === undefined)
  )
    return undefined
  return constant(f(a, b ?? 0), dtype, shape)
}

/** Operands that are one value, or repeated, only to have the shape of the others are read as they are. */
const narrow: Rule = node => {
  if (node.op.along !== elementwise || node.inputs.length < 2) return undefined
  const small = node.inputs.map(t => {
    const c = t.shape.length ? filledWith(t) : undefined
    return c === undefined ? (match(t.node, Expand)?.inputs[0] ?? t) : constant(c, t.dtype, [])
  })
  const choices = [small, ...node.inputs.map((t, i) => small.with(i, t))]
  for (const inputs of choices) {
    if (inputs.every((t, i) => t === node.inputs[i])) continue
    const y = onlyOutput(makeNode(node.op, inputs, node.attrs))
    if (equalShape(y.shape, onlyOutput(node).shape)) return y
  }
  return undefined
}

/** x + c, with −a + c written as c − a. */
const plus = (x: AnyTensor, c: number): AnyTensor => {
  const negated = match(x.node, Neg)
  return negated ? sub(constant(c, x.dtype, []), negated.inputs[0]) : add(x, c)
}

/** x and c of x · c with a number. */
function scaled(t: AnyTensor): { x: AnyTensor; c: number } | undefined {
  for (const [x, b] of pairs(t.node, Mul)) {
    const c = scalar(b)
    if (c !== undefined) return { x, c }
  }
  return undefined
}

/** Factors of a product of equally shaped tensors, as far as nothing else reads its parts. */
function factors(t: AnyTensor, readers: Readers): AnyTensor[] {
  const product = match(t.node, Mul)
  if (!product || product.inputs.some(x => !equalShape(x.shape, t.shape))) return [t]
  return product.inputs.flatMap(x => (match(x.node, Mul) && readers(x) === 1 ? factors(x, readers) : [x]))
}

const RULES: readonly Rule[] = [
  narrow,
  fold,
  // x · 1 ⇒ x
  first(Mul, (x, b) => (scalar(b) === 1 ? x : undefined)),
  // (x · a) · b ⇒ x · (a b), where a number holds a b
  first(Mul, (x, b) => {
    const [inner, c] = [scaled(x), scalar(b)]
    if (!inner || c === undefined) return undefined
    const product = inner.c * c
    return isFloat(x.dtype) || Number.isSafeInteger(product) ? mul(inner.x, product) : undefined
  }),
  // −x · c ⇒ x · −c
  first(Mul, (x, b) => {
    const [negated, c] = [match(x.node, Neg), scalar(b)]
    return negated && c !== undefined ? mul(negated.inputs[0], -c) : undefined
  }),
  // exp(x) · c ⇒ exp(x + ln c)
  first(Mul, (x, b, readers) => {
    const [power, c] = [match(x.node, Exp), scalar(b)]
    const fits = power && c !== undefined && c > 0 && readers(x) === 1
    return fits ? exp(plus(power.inputs[0], Math.log(c))) : undefined
  }),
  // (A B + b) · c ⇒ (A B) · c + b · c: a product takes the factor in
  first(Mul, (x, f, readers) => {
    const c = scalar(f)
    if (c === undefined || readers(x) > 1) return undefined
    for (const [y, b] of pairs(x.node, Add))
      if (match(y.node, MatMul) && readers(y) === 1 && elements(b.shape) * 8 <= elements(y.shape))
        return add(mul(y, c), mul(b, c))
    return undefined
  }),
  // −a + b ⇒ b − a
  first(Add, (x, b) => {
    const negated = match(x.node, Neg)
    return negated && sub(b, negated.inputs[0])
  }),
  // g a + g b ⇒ g (a + b)
  first(Add, (x, y, readers) => {
    if (readers(x) > 1 || readers(y) > 1) return undefined
    const [left, right] = [factors(x, readers), factors(y, readers)]
    const common = left.find(t => right.includes(t))
    if (!common || left.length < 2 || right.length < 2) return undefined
    const others = (all: AnyTensor[]) =>
      all.toSpliced(all.indexOf(common), 1).reduce((p, q): AnyTensor => mul(p, q))
    return mul(common, add(others(left), others(right)))
  }),
  // a − (−b) ⇒ a + b
  node => {
    const [a, b] = match(node, Sub)?.inputs ?? []
    const negated = b && match(b.node, Neg)
    return a && negated && add(a, negated.inputs[0])
  },
  // −(−x) ⇒ x
  node => {
    const [x] = match(node, Neg)?.inputs ?? []
    return x && match(x.node, Neg)?.inputs[0]
  },
  // −(x · c) ⇒ x · −c
  (node, readers) => {
    const [x] = match(node, Neg)?.inputs ?? []
    const inner = x && readers(x) === 1 ? scaled(x) : undefined
    return inner && mul(inner.x, -inner.c)
  },
]

/** Elementwise arithmetic with fewer passes over memory: the rules above until none applies. */
export const simplify = (graph: Graph): Graph =>
  rewriteCounting(graph, (node, readers) => {
    let found: AnyTensor | undefined
    for (let at: Node | undefined = node; at; ) {
      let next: AnyTensor | undefined
      for (const rule of RULES) next ??= rule(at, readers)
      found = next ?? found
      at = next?.node
    }
    return found && [found]
  })
