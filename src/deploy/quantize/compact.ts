import { sizesOf } from '../../graph/bind.ts'
import { postorder, usersOf } from '../../graph/graph.ts'
import { isParameter } from '../../graph/leaf.ts'
import { match } from '../../graph/match.ts'
import { lookup, nth } from '../../graph/present.ts'
import type { AnyTensor, Tensor } from '../../graph/tensor.ts'
import { edited } from '../../nn/edit.ts'
import { namesOf } from '../../nn/model.ts'
import { type TrainedModel, weightsOf } from '../../nn/trained.ts'
import { cast } from '../../ops/elementwise.ts'
import { QuantizeLinear } from '../../ops/image-primitives.ts'
import { unfitWeights } from '../half-ranges.ts'
import { Round } from './bias.ts'
import { isKept, type LayerOptions } from './layers.ts'
import { productsOf, rootsOf } from './products.ts'
import { roundedWeight } from './static.ts'

/** Weights of more elements are stored as integers though nothing multiplies with integers: tables and positions. */
const TABLE = 1024

/** Parameters that are stored as integers already, once what depends on them alone is computed. */
function stored(roots: readonly Tensor[]): ReadonlySet<Tensor> {
  const users = usersOf(postorder(roots))
  const becomesInteger = (p: Tensor): boolean => {
    const readers = users.get(p) ?? []
    return readers.every(node => {
      // A bias is divided by its scale, and rounded.
      const steps = nth(node.outputs, 0)
      const next = users.get(steps)?.[0]
      return (
        match(node, QuantizeLinear) !== undefined || (next !== undefined && match(next, Round) !== undefined)
      )
    })
  }
  return new Set([...users.keys()].filter(p => isParameter(p) && becomesInteger(p)))
}

/** The axis along which a table has a scale for each place: the first one that has several. */
const tableAxis = (sizes: readonly number[]): number =>
  Math.max(
    sizes.findIndex(d => d > 1),
    0,
  )

/**
 * A model that stores in few bytes what it does not compute with integers: tables, such as embeddings and positions, as 8-bit
 * integers, and everything else (biases, norms, layers that stay float32) in half precision. All of it is float32 again when it is read.
 * @param keep what is no table of integers although it could be, by name
 */
export function compacted(trained: TrainedModel, keep: LayerOptions['keep']): TrainedModel {
  const { model } = trained
  const values = weightsOf(trained)
  const names = namesOf(model)
  const done = stored(rootsOf(model))
  const layers = new Set<Tensor>(productsOf(model).map(({ weight }) => weight))
  const smaller = (p: AnyTensor): AnyTensor => {
    const sizes = sizesOf(p.shape)
    const name = lookup(names, p)
    const own = lookup(values, name)
    if (!layers.has(p) && sizes.length > 1 && own.length >= TABLE && !isKept(keep, name))
      return roundedWeight(p, own, tableAxis(sizes))
    return unfitWeights(own, true) ? p : cast(cast(p, 'float16'), 'float32')
  }
  const replaced = [...model.parameters.values()]
    .filter(p => p.dtype === 'float32' && !done.has(p))
    .map(p => [p, smaller(p)] as const)
  return { ...trained, model: edited(model, { config: {}, replaced: new Map<Tensor, Tensor>(replaced) }) }
}
