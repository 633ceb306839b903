import { lookup } from '../graph/present.ts'
import { huber, l1, mse } from './losses.ts'
import { outputOf } from './outputs.ts'
import { defineTask, specification, type Task } from './task.ts'

/** Options of `regression`. */
export interface RegressionOptions {
  /** The output that is compared. @default `y`, or the only float output */
  readonly output?: string
  /** Name of the target. @default the output's name, or `target` if an input has that name */
  readonly target?: string
  /** `mse`, `l1`, or `huber` with δ = 1. @default 'mse' */
  readonly loss?: 'mse' | 'l1' | 'huber'
}

const LOSSES = { mse, l1, huber } as const

/** Regression, with the mean absolute error as the metric `mae`. The target has the shape of the output. */
export function regression({ output, target, loss = 'mse' }: RegressionOptions = {}): Task<'mae'> {
  return defineTask('regression', model => {
    const { key, tensor, of } = outputOf('regression', model, 'y', output)
    const name = target ?? (Object.hasOwn(model.inputs, key) ? 'target' : key)
    return specification({
      targets: { [name]: { shape: tensor.shape.slice(1), dtype: tensor.dtype } },
      loss: ({ out, target: t }) => LOSSES[loss](of(out), lookup(t, name)),
      metrics: { mae: ({ out, target: t }) => l1(of(out), lookup(t, name)) },
    })
  })
}
