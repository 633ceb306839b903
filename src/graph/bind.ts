import type { Attr, Attrs } from './attributes.ts'
import { type Dim, product, type Shape, show, sum, UNKNOWN, unify } from './dim.ts'
import { ShapeError } from './errors.ts'
import { type Graph, rewriteTensors, type Tensors } from './graph.ts'
import { dimOf, input, SizeOf, sizeOf } from './leaf.ts'
import { makeNode } from './node.ts'
import { lookup, nth } from './present.ts'
import { currentScope } from './scope.ts'
import type { Tensor } from './tensor.ts'

/** Values of symbolic dims: sizes, such as `{ batch: 64 }`, or other dims. */
export type Bindings = Readonly<Record<string, Dim>>

const isLiteral = (factor: string): boolean => /^\d+$/.test(factor)

/** A dim with its symbols replaced: `'batch*17'` with `{ batch: 2 }` is 34. */
export function bindDim(dim: Dim, bindings: Bindings): Dim {
  if (typeof dim === 'number') return dim
  const terms = dim.split('+').map(term =>
    product(
      term.split('*').map(factor => {
        if (isLiteral(factor)) return Number(factor)
        return Object.hasOwn(bindings, factor) ? lookup(bindings, factor) : factor
      }),
    ),
  )
  return terms.length === 1 ? nth(terms, 0) : sum(terms)
}

export const bindShape = (shape: Shape, bindings: Bindings): Shape => shape.map(d => bindDim(d, bindings))

const bindAttr = (value: Attr, bindings: Bindings): Attr =>
  Array.isArray(value) && value.some(v => typeof v === 'string') ? bindShape(value, bindings) : value

const bindAttrs = (attrs: Attrs, bindings: Bindings): Attrs =>
  Object.fromEntries(Object.entries(attrs).map(([name, value]) => [name, bindAttr(value, bindings)]))

/**
 * What tensors compute, with other tensors in the places of leaves and symbols replaced: in shapes, in the attributes that
 * hold shapes and where a size is read as a value. All other shapes are inferred again. The layers' paths come after the
 * path of the layer that is being evaluated.
 * @throws ShapeError when an operator does not take the new shapes
 */
export function inline(
  roots: readonly Tensor[],
  leaves: ReadonlyMap<Tensor, Tensor>,
  bindings: Bindings,
): Tensor[] {
  const outer = currentScope()
  const path = outer ? (scope: string) => (scope ? `${outer}.${scope}` : outer) : (scope: string) => scope
  return rewriteTensors(
    roots,
    (node, inputs) => {
      if (node.op === SizeOf) return [sizeOf(bindDim(dimOf(node), bindings), nth(node.outputs, 0).dtype)]
      if (!node.inputs.length) return undefined
      return makeNode(node.op, inputs, bindAttrs(node.attrs, bindings)).outputs
    },
    leaves,
    path,
  )
}

/** A graph for known sizes. Symbols without a size stay. @throws ShapeError when the sizes do not fit an operator */
export function bind(graph: Graph, sizes: Bindings): Graph {
  const inputs = Object.fromEntries(
    Object.entries(graph.inputs).map(([name, t]): [string, Tensor] => [
      name,
      input(name, t.dtype, bindShape(t.shape, sizes)),
    ]),
  )
  const leaves = new Map(Object.entries(graph.inputs).map(([name, t]) => [t, lookup(inputs, name)]))
  const outputs = inline(Object.values(graph.outputs), leaves, sizes)
  return { inputs, parameters: graph.parameters, outputs: named(graph.outputs, outputs) }
}

const named = (names: Tensors, tensors: readonly Tensor[]): Tensors =>
  Object.fromEntries(Object.keys(names).map((name, i) => [name, nth(tensors, i)]))

/**
 * Binds the symbols of declared shapes to the sizes of given ones.
 * @param what names the tensor in errors
 * @throws ShapeError when a shape does not fit, or a symbol would have to be two things
 */
export function solve(what: string, declared: Shape, given: Shape, known: Record<string, Dim>): void {
  const wrong = (): never => {
    throw new ShapeError(`${what}: takes ${show(declared)}, not ${show(given)}`)
  }
  if (declared.length !== given.length) wrong()
  for (const [i, d] of declared.entries()) {
    const size = nth(given, i)
    const symbol = typeof d === 'string' && !/[+*]/.test(d)
    const wanted = symbol && !Object.hasOwn(known, d) ? size : bindDim(d, known)
    if (symbol) known[d] = unify(wanted, size) ?? conflict(what, d, wanted, size)
    else if (unify(wanted, size) === undefined) wrong()
  }
}

const conflict = (what: string, symbol: string, a: Dim, b: Dim): never => {
  throw new ShapeError(`${what}: ${symbol} is ${b} here and ${a} elsewhere`)
}

/** Whether every dim is a size. */
export const isConcrete = (shape: Shape): shape is readonly number[] =>
  shape.every(d => typeof d === 'number' && d !== UNKNOWN)

/** The sizes of a shape without symbols. */
export function sizesOf(shape: Shape): readonly number[] {
  if (isConcrete(shape)) return shape
  throw new Error(`internal: ${show(shape)} has a size that is not known`)
}
