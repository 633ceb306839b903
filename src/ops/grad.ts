import { type Algebra, reverse } from '../graph/autodiff.ts'
import { UserError } from '../graph/errors.ts'
import { show } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { add } from './elementwise.ts'
import { onesLike } from './fill.ts'
import { fill } from './layout.ts'
import reduce from './reduce.ts'

/** One gradient for each of the tensors. */
/** A gradient for each tensor. */
export type Gradients<W extends readonly AnyTensor[]> = { -readonly [K in keyof W]: AnyTensor }

const algebra: Algebra = {
  add,
  zerosLike: (x, dtype = x.dtype) => fill(0, dtype, x.shape),
  sumTo: reduce.sumTo,
}

/**
 * Gradients of a scalar with respect to `wrt`, as new tensors of the same graph. Call it again for higher-order gradients.
 * @throws UserError when `y` is not a scalar, or a path leads through an op without a gradient
 */
export const grad = <const W extends readonly AnyTensor[]>(y: AnyTensor, wrt: W): Gradients<W> => {
  if (y.shape.length) throw new UserError(`grad: needs a scalar, got ${show(y.shape)}; sum it, or use vjp`)
  return vjp(y, onesLike(y), wrt)
}

/** Vector–Jacobian product: the gradient of Σ dy · y with respect to `wrt`. */
export const vjp = <const W extends readonly AnyTensor[]>(
  y: AnyTensor,
  dy: AnyTensor,
  wrt: W,
): Gradients<W> => reverse(algebra, y, dy, wrt) as readonly Tensor[] as Gradients<W>
