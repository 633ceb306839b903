import { sizeOfDims } from '../graph/array.ts'
import type { Attrs } from '../graph/attributes.ts'
import { isConcrete } from '../graph/bind.ts'
import type { DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { input } from '../graph/leaf.ts'
import { makeNode, type Node, type Op } from '../graph/node.ts'
import { hash, type Rng, rng } from '../graph/random.ts'
import type { Sample, SampleInput } from '../graph/sample.ts'
import { show } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'

/** One sample of an op as a node, with values for its inputs. */
export interface Case {
  readonly op: Op
  readonly name: string
  readonly inputs: readonly AnyTensor[]
  readonly attrs: Attrs
  /** The op on other inputs. */
  readonly apply: (inputs: readonly Tensor[]) => Node
}

/** Values for inputs by name, filled as cases and directions are made. */
export type Feeds = Record<string, number[]>

/** Samples of an op, with float32 inputs in `dtype`; their values, the same in any dtype, are put into `feeds`. */
export const casesOf = (
  op: Op,
  dtype: DType,
  feeds: Feeds,
  samples: readonly Sample[] = op.samples ?? [],
): Case[] =>
  samples.map((s, i) => {
    const name = `${op.type}/${i}`
    const attrs = s.attrs as Attrs
    const inputs = s.inputs.map((x, k) => {
      feeds[`${name}/x${k}`] = values(x, `${name}/x${k}`)
      return input(`${name}/x${k}`, x.dtype === 'float32' ? dtype : x.dtype, x.shape)
    })
    return { op, name, inputs, attrs, apply: xs => makeNode(op, xs, attrs) }
  })

/** An input of standard normal values, like another tensor. */
export function normalLike({ dtype, shape }: Tensor, name: string, feeds: Feeds): Tensor {
  if (!isConcrete(shape)) throw new UserError(`${name}: ${show(shape)} has a size that is not known`)
  feeds[name] = draw(name, shape, r => r.normal())
  return input(name, dtype, shape)
}

function draw(name: string, shape: readonly number[], next: (r: Rng) => number): number[] {
  const r = rng(hash('sample', name))
  return Array.from({ length: sizeOfDims(shape) }, () => Math.fround(next(r)))
}

/** Values of a sample's input; the same for the same name. */
export function values({ shape, domain }: SampleInput, name: string): number[] {
  if (typeof domain === 'object') {
    if ('below' in domain) return draw(name, shape, r => r.int(domain.below))
    const { least, most } = domain
    return draw(name, shape, r => least + (most - least) * r.uniform())
  }
  if (domain === 'positive') return draw(name, shape, r => 0.2 + 1.8 * r.uniform())
  if (domain === 'unit') return draw(name, shape, r => r.uniform())
  if (domain === 'normal') return draw(name, shape, r => r.normal())
  // 'distinct': evenly spaced, half of them below zero, in random order
  const order = draw(name, shape, r => r.uniform()).map((value, i) => ({ value, i }))
  const ranks = order.sort((a, b) => a.value - b.value).map(({ i }) => i)
  return ranks.map(rank => (rank - order.length / 2 + 0.5) / 4)
}
