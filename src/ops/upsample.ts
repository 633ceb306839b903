import { ShapeError } from '../graph/errors.ts'
import { example } from '../graph/example.ts'
import { show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { expand, reshape } from './layout.ts'

/**
 * Each pixel `scale` × `scale` times, as torch.nn.Upsample with nearest neighbours.
 * @param x `[n, c, h, w]` of known height and width @param scale a whole number of at least 1
 */
export const upsample2d = (x: AnyTensor, scale: number): AnyTensor => {
  const [n, c, h, w] = x.shape
  if (x.shape.length !== 4 || typeof h !== 'number' || typeof w !== 'number' || h < 0 || w < 0)
    throw new ShapeError(`upsample2d: takes [n, c, h, w] of known height and width, not ${show(x.shape)}`)
  if (!Number.isInteger(scale) || scale < 1)
    throw new ShapeError(`upsample2d: scale must be a whole number of at least 1, not ${scale}`)
  const apart = reshape(x, [n, c, h, 1, w, 1])
  return reshape(expand(apart, [n, c, h, scale, w, scale]), [n, c, h * scale, w * scale])
}
example(upsample2d, t => [t(1, 2, 3, 3), 2])
