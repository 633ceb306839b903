import { UserError } from '../graph/errors.ts'
import { postorder } from '../graph/graph.ts'
import { Constant } from '../graph/leaf.ts'
import { makeNode, type Node } from '../graph/node.ts'
import { show } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { averageOf, perExample } from './average.ts'

/** A scalar as a function of averages: all that it depends on beside constants is averaged. @experimental */
export interface Objective {
  /** The scalar. */
  readonly value: AnyTensor
  /** The averages, each once. */
  readonly averages: readonly AnyTensor[]
}

/**
 * A loss or metric in that form. What is not an average is weighted by the number of examples in its batch; so does the whole
 * scalar where an average is mixed into a larger tensor.
 * @param what its name in error messages @throws UserError when it is not a float scalar
 */
export function objective(what: string, scalar: Tensor): Objective {
  if (scalar.shape.length || (scalar.dtype !== 'float32' && scalar.dtype !== 'float64'))
    throw new UserError(
      `${what}: is ${scalar.dtype} ${show(scalar.shape)}; it must be a float32 scalar: reduce it with average(…), or with sum or mean`,
    )
  const value = averaged(scalar) ?? perExample(scalar)
  const averages = topAverages(value)
  return { value, averages }
}

/** The averages that a scalar is a function of; those inside of another one's terms are a matter of the batch. */
function topAverages(value: AnyTensor): AnyTensor[] {
  const found = new Set<AnyTensor>()
  const seen = new Set<Node>()
  const stack: AnyTensor[] = [value]
  for (let t = stack.pop(); t; t = stack.pop()) {
    if (averageOf(t.node)) found.add(t)
    else if (!seen.has(t.node)) {
      seen.add(t.node)
      stack.push(...t.node.inputs)
    }
  }
  return [...found].reverse()
}

/** The scalar with each part that is not a function of averages averaged; undefined where such a part is not a scalar. */
function averaged(scalar: AnyTensor): AnyTensor | undefined {
  const above = new Set<Node>()
  for (const node of postorder([scalar]))
    if (averageOf(node) || node.inputs.some(t => above.has(t.node))) above.add(node)
  if (!above.has(scalar.node)) return fixed(scalar) ? scalar : perExample(scalar)
  const made = new Map<Tensor, AnyTensor | undefined>()
  const convert = (t: AnyTensor): AnyTensor | undefined => {
    if (averageOf(t.node)) return t
    if (!above.has(t.node)) return fixed(t) ? t : t.shape.length ? undefined : perExample(t)
    if (made.has(t)) return made.get(t)
    const inputs = t.node.inputs.map(convert)
    const known = inputs.every(i => i !== undefined)
    const result = known ? makeNode(t.node.op, inputs, t.node.attrs).outputs[t.index] : undefined
    made.set(t, result)
    return result
  }
  return convert(scalar)
}

const fixed = (t: Tensor): boolean =>
  postorder([t]).every(({ op, inputs }) => inputs.length > 0 || op === Constant)

/**
 * Whether the value is a weighted sum of its averages, and a constant: then its gradient over several micro-batches is the
 * sum of theirs.
 */
export function isAffine({ value }: Objective): boolean {
  const degree = (t: AnyTensor): number => {
    const { node } = t
    if (averageOf(node)) return 1
    const degrees = node.inputs.map(degree)
    const most = Math.max(0, ...degrees)
    if (!most) return 0
    switch (node.op.type) {
      case 'Add':
      case 'Sub':
      case 'Neg':
      case 'Cast':
      case 'Reshape':
        return most
      case 'Mul':
        return degrees.reduce((a, b) => a + b)
      case 'Div':
        return degrees[1] ? Number.POSITIVE_INFINITY : most
      default:
        return Number.POSITIVE_INFINITY
    }
  }
  return degree(value) <= 1
}
