import { type DType, isFloat } from '../../graph/dtype.ts'
import { UserError } from '../../graph/errors.ts'
import type { Int64 } from '../../graph/int64.ts'
import { Constant, constant, constantOf } from '../../graph/leaf.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
// Loaded for what their modules declare: operators that are an op themselves.
import '../../ops/bits.ts'
import '../../ops/logic.ts'
import '../../ops/rectifiers.ts'
import '../../ops/rounding.ts'
import '../../ops/trigonometry.ts'
import * as ops from '../../ops/elementwise.ts'
import { reshape } from '../../ops/layout.ts'
import { applied } from '../applied.ts'
import type { NodeReader } from '../node-reader.ts'
import type { Operators } from '../operator.ts'
import { constantNumber, importedType } from '../tensor.ts'
import { unsupported } from '../unsupported.ts'

type Binary = (a: AnyTensor, b: AnyTensor) => AnyTensor

/** A dtype that holds the values of another, for operators that onnxruntime has no kernel of it for. */
export const wider = (dtype: DType): DType =>
  dtype === 'uint32' || dtype === 'uint64' ? 'int64' : isFloat(dtype) || dtype === 'int64' ? dtype : 'int32'

/** The tensors of a tuple, each as another. */
const mapped = <T extends readonly AnyTensor[]>(inputs: T, f: (t: AnyTensor) => AnyTensor) =>
  inputs.map(f) as readonly AnyTensor[] as { [K in keyof T]: AnyTensor }

/**
 * An operator on tensors of one dtype, where onnxruntime has no kernels for `without` by way of a wider one. Casting back cuts the
 * upper bits off, as the narrow arithmetic would.
 */
export function widened<const T extends readonly [AnyTensor, ...AnyTensor[]]>(
  inputs: T,
  without: readonly DType[],
  f: (inputs: { [K in keyof T]: AnyTensor }) => AnyTensor,
): AnyTensor {
  const { dtype }: { dtype: DType } = inputs[0]
  const to = without.includes(dtype) ? wider(dtype) : dtype
  const y = f(mapped(inputs, t => ops.cast(t, to)))
  return y.dtype === to ? ops.cast(y, dtype) : y
}

/** Two operands; up to opset 6 the second is broadcast at a place of its own. */
function operands(n: NodeReader): readonly [AnyTensor, AnyTensor] {
  if (n.inputs.length !== 2) throw new UserError(`has ${n.inputs.length} inputs; expected 2`)
  const [a, b] = [n.data(0), n.data(1)]
  const given = n.attribute('axis', 'int')
  if (!n.flag('broadcast') || given === undefined) return [a, b]
  const axis = given < 0 ? given + a.shape.length : given
  const behind = a.shape.length - axis - b.shape.length
  if (axis < 0 || behind < 0)
    throw new UserError(`axis ${given} does not leave room for the ${b.shape.length} dims of input 1`)
  return [a, reshape(b, [...b.shape, ...new Array<number>(behind).fill(1)])]
}

const binary = (f: Binary) => (n: NodeReader) => f(...operands(n))
const logical = (type: string) => (n: NodeReader) => applied(type, operands(n))

/** A tensor in another dtype; of a constant a constant, whose value passes see. */
const constantAs = (t: AnyTensor, dtype: DType): AnyTensor =>
  t.node.op === Constant && t.dtype !== dtype
    ? constant(constantOf(t.node), dtype, t.shape)
    : ops.cast(t, dtype)

/** A power, computed as onnxruntime does where base and exponent differ in type: in the base's, or through doubles. */
function power(a: AnyTensor, b: AnyTensor): AnyTensor {
  const whole = (a.dtype === 'int32' || a.dtype === 'int64') && !isFloat(b.dtype)
  if (whole || isFloat(a.dtype)) return ops.pow(a, constantAs(b, a.dtype))
  return ops.cast(ops.pow(ops.cast(a, 'float64'), ops.cast(b, 'float64')), a.dtype)
}

/** A remainder with the sign of the dividend (`fmod`), or of the divisor, which onnxruntime computes of integers alone. */
function remainder([a, b]: readonly [AnyTensor, AnyTensor], fmod: boolean): AnyTensor {
  if (fmod || !isFloat(a.dtype)) return applied('Mod', [a, b], { fmod })
  const r = applied('Mod', [a, b], { fmod: true })
  const size = ops.abs(ops.where(ops.less(ops.mul(r, b), 0), ops.add(r, b), r))
  // A remainder of zero has the divisor's sign, too.
  return ops.mul(size, ops.sign(b))
}

/** All inputs, of an operator that takes any number of them. */
function all(n: NodeReader): readonly [AnyTensor, ...AnyTensor[]] {
  if (!n.inputs.length) throw new UserError('has 0 inputs; expected 1 or more')
  return [n.data(0), ...n.all().slice(1)]
}

const NO_EXTREME: readonly DType[] = ['int16', 'uint16']
const extreme = (f: Binary) => (n: NodeReader) =>
  widened(all(n), NO_EXTREME, inputs => inputs.reduce((a, b) => f(a, b)))

/** onnxruntime has no kernels of these for a choice between two tensors. */
const NO_CHOICE: readonly DType[] = ['bool', 'int8', 'int16', 'uint16', 'uint32', 'uint64']
const choice = (condition: AnyTensor, a: AnyTensor, b: AnyTensor) =>
  widened([a, b], NO_CHOICE, ([a, b]) => ops.where(condition, a, b))

/** A bound of a clip: an attribute in old files, else a tensor; undefined where there is none. */
function bound(n: NodeReader, name: string, i: number): Int64 | AnyTensor | undefined {
  if (n.has(name)) return n.attribute(name, 'float')
  const t = n.optional(i)
  return t && (constantNumber(t) ?? t)
}

/** Bounds that only the run time knows get the gradient of the elements that they replace. */
function clip(n: NodeReader): AnyTensor {
  const x = n.data(0)
  const [min, max] = [bound(n, 'min', 1), bound(n, 'max', 2)]
  if (min === undefined && max === undefined) return x
  if (typeof min !== 'object' && typeof max !== 'object')
    return widened([x], NO_EXTREME, ([x]) => applied('Clip', [x], { min, max }))
  const [low, high] = [min, max].map(v =>
    v === undefined || typeof v === 'object' ? v : constant(v, x.dtype, []),
  )
  const raised = low ? choice(ops.less(x, low), low, x) : x
  return high ? choice(ops.greater(raised, high), high, raised) : raised
}

/** How floats of 8 bits are rounded; those of other dtypes are not. */
function anyRounding(n: NodeReader): void {
  n.attribute('saturate', 'int')
  n.attribute('round_mode', 'string')
}

/** A cast; half precision is float32 here, so that a cast to it changes nothing. */
function cast(n: NodeReader): AnyTensor {
  const code = n.attribute('to', 'int')
  anyRounding(n)
  const to = importedType(code)
  if (!to) return unsupported(`element type ${code ?? 'unknown'} is not supported`)
  return ops.cast(n.data(0), to)
}

/** x σ(αx). */
export const swish = (x: AnyTensor, alpha: number): AnyTensor => ops.mul(x, ops.sigmoid(ops.mul(x, alpha)))

/** Functions of each element by itself, and arithmetic with broadcasting. */
export const ELEMENTWISE: Operators = {
  Add: binary(ops.add),
  Sub: binary(ops.sub),
  Mul: binary(ops.mul),
  Div: binary(ops.div),
  Pow: binary(power),
  Mod: n => remainder(operands(n), n.flag('fmod')),
  Equal: binary(ops.equal),
  Greater: binary(ops.greater),
  Less: binary(ops.less),
  And: logical('And'),
  Or: logical('Or'),
  Xor: logical('Xor'),
  Max: extreme(ops.maximum),
  Min: extreme(ops.minimum),
  Sum: n => all(n).reduce((a, b) => ops.add(a, b)),
  Mean: n => {
    const inputs = all(n)
    return ops.div(
      inputs.reduce((a, b) => ops.add(a, b)),
      inputs.length,
    )
  },
  Neg: n => widened([n.data(0)], ['uint8', 'uint16', 'uint32', 'int16'], ([x]) => ops.neg(x)),
  BitShift: n => {
    const direction = n.text('direction', ['LEFT', 'RIGHT'])
    const [a, b] = operands(n)
    const { dtype }: { dtype: DType } = a
    if (!dtype.startsWith('uint'))
      return unsupported(`a shift of ${dtype} is not supported, only of unsigned integers`)
    const shifted = (x: AnyTensor, y: AnyTensor) => applied('BitShift', [x, y], { direction })
    // onnxruntime has no kernel for 16 bits.
    if (dtype !== 'uint16') return shifted(a, b)
    return ops.cast(shifted(ops.cast(a, 'uint32'), ops.cast(b, 'uint32')), dtype)
  },
  Clip: clip,
  Where: n => choice(n.data(0), n.data(1), n.data(2)),
  Cast: cast,
  CastLike: n => {
    anyRounding(n)
    return ops.cast(n.data(0), n.data(1).dtype)
  },
  Swish: n => swish(n.data(0), n.float('alpha', 1)),
}
