import { sizeOfDims } from '../graph/array.ts'
import { constant, sizeOf } from '../graph/leaf.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { concat, reshape } from '../ops/layout.ts'
import { RULES, SHAPE_RULES } from './known-rules.ts'
import type { NodeReader } from './node-reader.ts'
import { isNumber } from './sizes.ts'
import { unsupported } from './unsupported.ts'
import { type Element, type Known, LONGEST_DIM, MOST, type Value } from './value.ts'

/** Sizes with names that a tensor holds at most: no tensor has more axes. */
const MOST_SIZES = 64
/** A value that stands for axes, sizes or places has one or two of its own; work on elements grows with their number. */
const MOST_AXES = 8

/** A known value as a tensor. @throws Unsupported when an element is not known */
export function toTensor({ dtype, shape, values }: Known): AnyTensor {
  if (values.every(isNumber)) return constant(values, dtype, shape)
  // Each is a node.
  if (values.length > MOST_SIZES)
    return unsupported(`${values.length} sizes as data are not supported, only up to ${MOST_SIZES}`)
  const parts = values.map(v => {
    if (v === undefined) return unsupported('a size that is known only at run time is used as data')
    return reshape(isNumber(v) ? constant(v, dtype, []) : sizeOf(v, dtype), [1])
  })
  return reshape(concat(parts, 0), shape)
}

/** A value that a node may read a thousand times. */
export function knownValue(known: Known): Value {
  let made: AnyTensor | undefined
  const tensor = () => {
    made ??= toTensor(known)
    return made
  }
  return { known, tensor }
}

/** Results of a node that computes with shapes; `undefined` when it does not, or not in a way that can be followed. */
export function knownResults(node: NodeReader): readonly Known[] | undefined {
  if (node.domain) return undefined
  const shape = Object.hasOwn(SHAPE_RULES, node.type) ? SHAPE_RULES[node.type] : undefined
  if (shape) return [shape(node)]
  const rule = Object.hasOwn(RULES, node.type) ? RULES[node.type] : undefined
  if (!rule) return undefined
  const given = node.inputs.map(v => v?.known)
  const [first, ...rest] = given
  if (given.some(k => k && k.shape.length > MOST_AXES)) return undefined
  if (!first || !node.inputs.every((v, i) => !v || given[i])) return undefined
  const results = [rule([first, ...rest], node) ?? []].flat()
  if (!results.length || !results.every(isSmall)) return undefined
  // What the rule was given, it has read.
  for (const i of node.inputs.keys()) node.input(i)
  return results.map(k => ({ ...k, values: k.values.map(bounded) }))
}

const isSmall = ({ shape, values }: Known): boolean =>
  values.length <= MOST && shape.length <= MOST_AXES && values.length === sizeOfDims(shape)

const bounded = (v: Element): Element => (typeof v !== 'string' || v.length <= LONGEST_DIM ? v : undefined)
