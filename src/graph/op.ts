import type { Attrs, TensorType } from './attributes.ts'
import type { DType } from './dtype.ts'
import { ShapeError, UserError } from './errors.ts'
import { onlyOutput } from './match.ts'
import type { Each, Names } from './names.ts'
import { type AnyTensor, makeNode, type Node, type NoGradient, type Op, type OpSpec } from './node.ts'

/** Says why an op has no gradient. */
export const noGradient = (why: string): NoGradient => ({ none: why })

/** Where an op works element by element on inputs that broadcast against each other. */
export const elementwise = (axis: number, inputs: readonly TensorType[]): (number | null)[] => {
  const rank = Math.max(...inputs.map(t => t.shape.length))
  return inputs.map(({ shape }) => {
    const i = axis - rank + shape.length
    return i >= 0 && shape[i] !== 1 ? i : null
  })
}

/** Names that are taken, those of leaves from the outset. */
const taken = new Set(['Input', 'Parameter', 'Constant', 'SizeOf'].map(type => keyOf(type)))

/** Ops that files alone are read with: a program may define its own of the same name. */
const yielding = new Set<string>()
/** Ops of a program in place of those. */
const own = new Set<string>()

/** Whether a program has defined an op that files would be read with otherwise. */
export const isRedefined = (type: string, domain = ''): boolean => own.has(keyOf(type, domain))

/** Equal nodes are one node by the name of their op, so that two ops of one name would be mixed up. */
function claim(type: string, domain: string | undefined): void {
  const key = keyOf(type, domain)
  if (yielding.delete(key)) own.add(key)
  else if (taken.has(key))
    throw new UserError(
      `op ${domain ? `${domain}.` : ''}${type} is already defined; use that one, or choose another domain or name`,
    )
  taken.add(key)
}

function keyOf(type: string, domain = ''): string {
  return `${domain}.${type}`
}

function makeOp<A extends Attrs, I extends Names, O extends Names>(
  type: string,
  spec: OpSpec<A, I, O>,
): Op<A, I, O> {
  claim(type, spec.domain)
  const self: Op<A, I, O> = {
    ...spec,
    type,
    apply: (inputs, ...[attrs]) => onlyOutput(makeNode(erased(self), inputs, attrs ?? {})),
    // The one place where a node's outputs get the arity of its op.
    applyAll: (inputs, ...[attrs]) =>
      makeNode(erased(self), inputs, attrs ?? {}).outputs as readonly unknown[] as Each<O, AnyTensor>,
  }
  return self
}

/** An op as nodes hold it: they know their number of inputs, and the types of their attributes, at run time only. */
const erased = <A extends Attrs, I extends Names, O extends Names>(op: Op<A, I, O>): Op => op as unknown as Op

/**
 * Defines a primitive: one operator of ONNX, or of another domain. Its public function is written beside it and calls `apply`. Ops
 * of `com.microsoft` run where onnxruntime has them; ops of any other domain are custom and always run as their `decompose`.
 * @param type ONNX's name of the operator
 * @throws UserError when the domain already has an op of that name
 */
export function op<
  const I extends Names,
  A extends Attrs = Record<never, never>,
  const O extends Names = readonly ['Y'],
>(type: string, spec: OpSpec<A, I, O>): Op<A, I, O> {
  const self = makeOp(type, spec)
  registry.set(keyOf(type, spec.domain), erased(self))
  return self
}

/** Defines a primitive that has no public function, and that files alone are read with: it gives way to a program's own. */
export const fileOp: typeof op = (type, spec) => {
  const self = op(type, spec)
  yielding.add(keyOf(type, spec.domain))
  return self
}

/**
 * Defines an op that ONNX does not have: it marks a place in a graph and is resolved before the graph is written. It is not among
 * {@link allOps}.
 */
export const marker = <
  const I extends Names,
  A extends Attrs = Record<never, never>,
  const O extends Names = readonly ['Y'],
>(
  type: string,
  spec: OpSpec<A, I, O> & Required<Pick<OpSpec<A, I, O>, 'resolve'>>,
): Op<A, I, O> => makeOp(type, spec)

const registry = new Map<string, Op>()

/** All primitives of the modules that have been loaded; what the op test and the importer walk through. */
export const allOps = (): readonly Op[] => [...registry.values()]

/** The op of an operator; undefined where there is none. */
export const opOf = (type: string, domain = ''): Op | undefined => registry.get(keyOf(type, domain))

/** The first opset that has the operator of a node with the attributes that it gives; 0 where every opset has. */
export const sinceOf = ({ op, attrs }: Node): number => Math.max(op.since ?? 0, op.needs?.(attrs) ?? 0)

/** Throws unless all tensors have the same dtype and the op accepts it. */
export function sameDType(
  name: string,
  inputs: readonly [TensorType, ...(TensorType | undefined)[]],
  allowed?: readonly DType[],
): DType {
  const [{ dtype }] = inputs
  const other = inputs.find(t => t && t.dtype !== dtype)
  if (other) throw new ShapeError(`${name}: dtypes ${dtype} and ${other.dtype} differ; cast one of them`)
  if (allowed && !allowed.includes(dtype))
    throw new ShapeError(`${name}: takes ${allowed.join(', ')}, not ${dtype}; cast it`)
  return dtype
}
