import type { DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { exact, type Int64, saturated } from '../graph/int64.ts'
import { constant, sizeOf } from '../graph/leaf.ts'
import { nth } from '../graph/present.ts'
import { type Dim, product, type Shape, sliceRange, sum, UNKNOWN } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { concat, reshape } from '../ops/layout.ts'
import type { NodeReader } from './import-node.ts'
import { type Element, type Known, LONGEST_DIM, MOST, type Value } from './import-value.ts'
import { DATA_TYPE, dtypeOf, readTensor } from './tensor-data.ts'

const isInteger = (v: Element): v is Int64 => typeof v === 'number' || typeof v === 'bigint'

const list = (values: readonly Element[], dtype: DType = 'int64'): Known => ({ dtype, scalar: false, values })

/** A known value as a tensor. @throws UserError when an element is not known */
export function toTensor({ dtype, scalar, values }: Known): AnyTensor {
  if (values.every(isInteger)) return constant(values, dtype, scalar ? [] : [values.length])
  const parts = values.map(v => {
    if (v === undefined) throw new UserError('a size that is known only at run time is used as data')
    return isInteger(v) ? constant(v, dtype, []) : sizeOf(v, dtype)
  })
  return scalar
    ? nth(parts, 0)
    : concat(
        parts.map(p => reshape(p, [1])),
        0,
      )
}

/** Result of a node that computes with shapes; `undefined` when it does not, or not in a way that can be followed. */
export function knownResult(node: NodeReader): Known | undefined {
  if (node.domain) return undefined
  const shape = SHAPE_RULES.get(node.type)
  if (shape) return shape(node)
  const rule = RULES.get(node.type)
  const [first, ...rest] = node.inputs.map(v => v?.known)
  if (!rule || !first || !rest.every(k => k !== undefined)) return undefined
  const found = rule([first, ...rest], node)
  return found && found.values.length <= MOST ? { ...found, values: found.values.map(bounded) } : undefined
}

const bounded = (v: Element): Element => (typeof v !== 'string' || v.length <= LONGEST_DIM ? v : undefined)

const shapeOf = ({ known, tensor }: Value): Shape =>
  known ? (known.scalar ? [] : [known.values.length]) : tensor().shape
const elements = (shape: Shape): Element[] => shape.map(d => (d === UNKNOWN ? undefined : d))

const SHAPE_RULES: ReadonlyMap<string, (node: NodeReader) => Known | undefined> = new Map(
  Object.entries({
    Shape: node => {
      const [start = 0, end] = ['start', 'end'].map(name => node.attribute(name, 'int64'))
      const dims = elements(shapeOf(node.value(0)))
      return list(dims.slice(saturated(start), end === undefined ? end : saturated(end)))
    },
    Size: node => {
      const size = product(shapeOf(node.value(0)))
      return { ...list(elements([size])), scalar: true }
    },
  } satisfies Record<string, (node: NodeReader) => Known>),
)

type Rule = (inputs: readonly [Known, ...Known[]], node: NodeReader) => Known | undefined

/** Element by element with broadcasting; `undefined` when the lengths do not fit. */
function zip(
  inputs: readonly Known[],
  f: (...values: Element[]) => Element,
): Omit<Known, 'dtype'> | undefined {
  const length = Math.max(...inputs.map(k => k.values.length))
  if (inputs.some(k => k.values.length !== length && k.values.length !== 1)) return undefined
  const at = (k: Known, i: number) => k.values[k.values.length === 1 ? 0 : i]
  const values = Array.from({ length }, (_, i) => f(...inputs.map(k => at(k, i))))
  return { scalar: inputs.every(k => k.scalar), values }
}

const BITS: Readonly<Partial<Record<DType, number>>> = { int32: 32, int64: 64 }

/** Arithmetic on integers: with two of them, or with a size where that has a name. What overflows is not followed. */
const arithmetic =
  (integers: (a: bigint, b: bigint) => bigint | undefined, sizes: (a: Dim, b: Dim) => Element): Rule =>
  inputs => {
    const { dtype } = inputs[0]
    const bits = BITS[dtype]
    if (inputs.length !== 2 || !bits) return undefined
    const found = zip(inputs, (a, b) => {
      if (isInteger(a) && isInteger(b)) {
        const result = integers(BigInt(a), BigInt(b))
        return result !== undefined && BigInt.asIntN(bits, result) === result ? exact(result) : undefined
      }
      return isDim(a) && isDim(b) ? sizes(a, b) : undefined
    })
    return found && { dtype, ...found }
  }

const isDim = (v: Element): v is Dim => typeof v === 'number' || typeof v === 'string'
const negative = (v: Element) => isInteger(v) && v < 0
/** Sums and products of sizes; names exist for non-negative ones only. */
const named = (f: (dims: Shape) => Dim) => (a: Dim, b: Dim) =>
  negative(a) || negative(b) ? undefined : elements([f([a, b])])[0]

/** Integers that a dtype holds without loss; int64 holds all. */
const RANGE: Readonly<Partial<Record<DType, readonly [least: number, most: number]>>> = {
  int8: [-(2 ** 7), 2 ** 7 - 1],
  uint8: [0, 2 ** 8 - 1],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  float16: [-(2 ** 11), 2 ** 11],
  float32: [-(2 ** 24), 2 ** 24],
  float64: [-(2 ** 53), 2 ** 53],
}

const holds = (dtype: DType, v: Element): boolean => {
  const [least, most] = RANGE[dtype] ?? []
  return !isInteger(v) || least === undefined || most === undefined || (v >= least && v <= most)
}

/** Axis 0 is the only axis of a list. */
const isFirst = (axis: number | undefined) => axis === 0 || axis === -1

const RULES: ReadonlyMap<string, Rule> = new Map(
  Object.entries({
    Gather: ([x, index], node) => {
      const n = x.values.length
      if (x.scalar || !index || !isFirst(node.attribute('axis', 'int') ?? 0)) return undefined
      if (!index.values.every(i => typeof i === 'number' && i >= -n && i < n)) return undefined
      return { ...x, scalar: index.scalar, values: index.values.map(i => x.values.at(Number(i))) }
    },
    Concat: (inputs, node) =>
      isFirst(node.attribute('axis', 'int')) &&
      !inputs.some(k => k.scalar) &&
      inputs.reduce((n, k) => n + k.values.length, 0) <= MOST
        ? { ...inputs[0], values: inputs.flatMap(k => k.values) }
        : undefined,
    Slice: ([x], node) => {
      const [starts, ends] = [node.ints('starts', 1, true), node.ints('ends', 2, true)]
      const step = (node.ints('steps', 4, true) ?? [1])[0]
      const axes = node.ints('axes', 3) ?? [0]
      if (x.scalar || !starts || !ends || !step || axes.length !== 1 || !isFirst(axes[0])) return undefined
      const { start, length } = sliceRange(x.values.length, starts[0] ?? 0, ends[0] ?? 0, step)
      return { ...x, values: Array.from({ length }, (_, i) => x.values[start + i * step]) }
    },
    Squeeze: ([x], node) => {
      node.ints('axes', 1)
      return x.values.length === 1 ? { ...x, scalar: true } : undefined
    },
    Unsqueeze: ([x], node) => {
      const axes = node.ints('axes', 1)
      return x.scalar && axes?.length === 1 && isFirst(axes[0]) ? { ...x, scalar: false } : undefined
    },
    Reshape: ([x, shape]) =>
      x.values.length === 1 && shape && shape.values.length <= 1
        ? { ...x, scalar: !shape.values.length }
        : undefined,
    Cast: ([x], node) => {
      const dtype = dtypeOf(node.attribute('to', 'int'))
      const kept = dtype && dtype !== 'bool' && x.values.every(v => holds(dtype, v))
      return kept ? { ...x, dtype } : undefined
    },
    ConstantOfShape: ([shape], node) => {
      const length = shape.values[0]
      const fill = node.attribute('value', 'tensor')
      if (fill?.dataType !== DATA_TYPE.int64 || shape.values.length !== 1) return undefined
      if (typeof length !== 'number' || length < 0 || length > MOST) return undefined
      const [value] = readTensor(fill).data
      return typeof value !== 'bigint' ? undefined : list(new Array<Int64>(length).fill(exact(value)))
    },
    Add: arithmetic((a, b) => a + b, named(sum)),
    Sub: arithmetic(
      (a, b) => a - b,
      (a, b) => (b === 0 ? a : a === b ? 0 : undefined),
    ),
    Mul: arithmetic((a, b) => a * b, named(product)),
    Div: arithmetic(
      (a, b) => (b ? a / b : undefined),
      (a, b) => (b === 1 ? a : undefined),
    ),
    Equal: inputs => {
      if (inputs.length !== 2) return undefined
      const found = zip(inputs, (a, b) => {
        if (a === undefined || b === undefined) return undefined
        if (a === b) return 1
        // A size is never negative; two different names may stand for one number.
        return (isInteger(a) && isInteger(b)) || negative(a) || negative(b) ? 0 : undefined
      })
      return found && { dtype: 'bool', ...found }
    },
    Where: inputs => {
      if (inputs.length !== 3) return undefined
      const found = zip(inputs, (c, a, b) => (c === 1 || a === b ? a : c === 0 ? b : undefined))
      return found && { dtype: nth(inputs, 1).dtype, ...found }
    },
  } satisfies Record<string, Rule>),
)
