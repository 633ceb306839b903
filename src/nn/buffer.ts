import { UserError } from '../graph/errors.ts'
import { rewriteTensors } from '../graph/graph.ts'
import type { Init } from '../graph/init.ts'
import { isParameter, type Parameter, parameter, parameterAttrs } from '../graph/leaf.ts'
import { equalShape, show } from '../graph/shape.ts'
import type { Tensor } from '../graph/tensor.ts'
import { currentTrace } from '../graph/tracing.ts'

/**
 * A tensor stored with the parameters but not trained, such as running statistics: training steps update it with {@link assign}.
 * @param init initial value @default zeros
 */
export const buffer = <const S extends readonly number[]>(
  shape: S,
  init: Init = { kind: 'constant', value: 0 },
): Parameter<'float32', { -readonly [K in keyof S]: S[K] }> => parameter(shape, init, { buffer: true })

/**
 * Assigns a new value to a buffer at the end of each training step; reads within the step return the old value. Evaluation and
 * prediction do not change buffers. When a buffer is assigned several times in one step, each value is computed from the one
 * before. Outside a model's forward function this does nothing.
 * @throws UserError when the tensor is not a buffer, or the value has another dtype or shape
 */
export function assign(target: Parameter, value: Tensor): void {
  if (!isParameter(target) || !parameterAttrs(target).buffer)
    throw new UserError('assign: only a buffer can be assigned; create one with buffer(shape)')
  if (value.dtype !== target.dtype || !equalShape(value.shape, target.shape))
    throw new UserError(
      `assign: the buffer is ${target.dtype} ${show(target.shape)}, the value ${value.dtype} ${show(value.shape)}`,
    )
  const assigned = currentTrace()?.assigned
  if (!assigned) return
  const before = assigned.get(target)
  const [next = value] = before ? rewriteTensors([value], () => undefined, new Map([[target, before]])) : []
  assigned.set(target, next)
}
