import { isFloat } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { lookup } from '../graph/present.ts'
import { show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import type { Model } from '../nn/model.ts'

/** An output of a model. */
export interface TaskOutput {
  readonly key: string
  readonly tensor: AnyTensor
  /** The output among the model's outputs in a task. */
  readonly of: (out: Readonly<Record<string, AnyTensor>>) => AnyTensor
}

/**
 * The output that a ready-made task reads: the one that is named, else `preferred`, else the only float output.
 * @throws UserError when it cannot be determined
 */
export function outputOf(
  task: string,
  { name, outputs }: Model,
  preferred: string,
  asked?: string,
): TaskOutput {
  const floats = Object.entries(outputs).flatMap(([key, { dtype }]) => (isFloat(dtype) ? [key] : []))
  const key = asked ?? (floats.includes(preferred) ? preferred : floats.length === 1 ? floats[0] : undefined)
  const tensor = key === undefined ? undefined : outputs[key]
  if (key === undefined || !tensor)
    throw new UserError(
      `${task}: ${name} has ${asked === undefined ? 'several outputs' : `no output ${asked}; it has`} ${Object.keys(outputs).join(', ')}; name one with the option output`,
    )
  return { key, tensor, of: out => lookup(out, key) }
}

/** The number of classes: the last dim of logits. @throws UserError when it is not known */
export function classesOf(task: string, key: string, logits: AnyTensor): number {
  const classes = logits.shape.at(-1)
  if (logits.shape.length < 2 || typeof classes !== 'number' || classes < 1)
    throw new UserError(
      `${task}: output ${key} is ${show(logits.shape)}; it must be [batch, …, classes] with a known number of classes`,
    )
  return classes
}
