import type { DType } from '../../graph/dtype.ts'
import { UserError } from '../../graph/errors.ts'
import { isLeaf, postorder } from '../../graph/graph.ts'
import type { Model } from '../../nn/model.ts'
import type { TrainedModel } from '../../nn/trained.ts'
import { matchesAny, type NamePattern, pathsOf } from '../../optim/patterns.ts'
import { type Product, productsOf, rootsOf } from './products.ts'

/** Options of every quantization. */
export interface LayerOptions {
  /**
   * Layers that stay float32: names of layers or of their weights, with `*` for any characters.
   * @default for `quantize` the few that, by measurement, reduce the error most; for `quantizeDynamic` none
   */
  readonly keep?: NamePattern | readonly NamePattern[] | undefined
  /**
   * Weights of 7 bits, for x86 processors without VNNI instructions (before about 2019): they cut sums of two products to 16 bits, which
   * larger weights may exceed. @default false
   */
  readonly reduceRange?: boolean | undefined
}

/** Whether `keep` names a weight, or a layer that holds it. */
export const isKept = (keep: LayerOptions['keep'], name: string): boolean =>
  pathsOf(name).some(path => matchesAny(keep, path))

/** What weights of smaller dtypes are called. */
const SMALL: Readonly<Partial<Record<DType, string>>> = { int8: '8-bit', uint8: '8-bit', float16: 'float16' }

/** @throws UserError for a model with weights of one of these dtypes: it is a smaller form of another */
export function refuseSmall(model: Model, dtypes: readonly DType[] = ['int8', 'uint8', 'float16']): void {
  const leaves = postorder(rootsOf(model)).flatMap(node => (isLeaf(node) ? node.outputs : []))
  const small = dtypes.find(dtype => leaves.some(t => t.dtype === dtype && t.shape.length > 1))
  if (small)
    throw new UserError(
      `${model.name}: has ${SMALL[small]} weights already; start from the float32 model that it was made from`,
    )
}

/** Layers to quantize. @throws UserError when there are none */
export function layersOf({ model }: TrainedModel, { keep }: LayerOptions): readonly Product[] {
  const all = productsOf(model)
  const products = all.filter(({ name }) => !isKept(keep, name))
  if (products.length) return products
  if (!all.length) refuseSmall(model)
  throw new UserError(
    all.length
      ? `${model.name}: all of its ${all.length} layers are kept; leave at least one to quantize`
      : `${model.name}: has no linear layer or convolution to quantize`,
  )
}
