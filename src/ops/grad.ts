import { reverse } from '../graph/autodiff.ts'
import { UserError } from '../graph/errors.ts'
import { show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { add } from './elementwise.ts'
import { onesLike, zerosLike } from './fill.ts'
import { sumTo } from './reduce.ts'

const algebra = { add, zerosLike, sumTo }

/**
 * Gradients of a scalar with respect to `wrt`, as new tensors of the same graph. Gradients of gradients are had by
 * calling it again.
 * @throws UserError when `y` is not a scalar, or a path leads through an op without a gradient
 */
export const grad = (y: AnyTensor, wrt: readonly AnyTensor[]): AnyTensor[] => {
  if (y.shape.length) throw new UserError(`grad: needs a scalar, got ${show(y.shape)}; sum it, or use vjp`)
  return vjp(y, onesLike(y), wrt)
}

/** Vector–Jacobian product: the gradient of Σ dy · y with respect to `wrt`. */
export const vjp = (y: AnyTensor, dy: AnyTensor, wrt: readonly AnyTensor[]): AnyTensor[] =>
  reverse(algebra, y, dy, wrt)
