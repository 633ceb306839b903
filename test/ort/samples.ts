import { readdirSync } from 'node:fs'
import type { DType } from '../../src/graph/dtype.ts'
import { input } from '../../src/graph/leaf.ts'
import { makeNode, type Node, type Op } from '../../src/graph/node.ts'
import { allOps } from '../../src/graph/op.ts'
import { hash, rng } from '../../src/graph/random.ts'
import type { SampleInput } from '../../src/graph/sample.ts'
import type { Tensor } from '../../src/graph/tensor.ts'

// Every op, whether or not a public function makes it.
for (const file of readdirSync('src/ops')) await import(`../../src/ops/${file.replace('.ts', '')}.ts`)

/** One sample of an op as a node, with values for its inputs. */
export interface Case {
  readonly op: Op
  readonly name: string
  readonly inputs: readonly Tensor[]
  /** The op on other inputs. */
  readonly apply: (inputs: readonly Tensor[]) => Node
}

/** Values for inputs by name, filled as cases and directions are made. */
export type Feeds = Record<string, number[]>

/** All samples of all ops, with float32 inputs in `dtype`; their values, the same in any dtype, are put into `feeds`. */
export const allCases = (dtype: DType, feeds: Feeds): Case[] =>
  allOps().flatMap(op =>
    op.samples.map((s, i) => {
      const name = `${op.type}/${i}`
      const inputs = s.inputs.map((x, k) => {
        feeds[`${name}/x${k}`] = values(x, `${name}/x${k}`)
        return input(`${name}/x${k}`, x.dtype === 'float32' ? dtype : x.dtype, x.shape)
      })
      return { op, name, inputs, apply: xs => makeNode(op, xs, s.attrs) }
    }),
  )

/** An input of standard normal values, like another tensor. */
export function normalLike(t: Tensor, name: string, feeds: Feeds): Tensor {
  const shape = t.shape as number[]
  feeds[name] = draw(name, shape, r => r.normal())
  return input(name, t.dtype, shape)
}

function draw(name: string, shape: readonly number[], next: (r: ReturnType<typeof rng>) => number): number[] {
  const r = rng(hash('sample', name))
  return Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.fround(next(r)))
}

function values({ shape, domain }: SampleInput, name: string): number[] {
  if (typeof domain === 'object') return draw(name, shape, r => r.int(domain.below))
  if (domain === 'positive') return draw(name, shape, r => 0.2 + 1.8 * r.uniform())
  if (domain === 'unit') return draw(name, shape, r => r.uniform())
  if (domain === 'normal') return draw(name, shape, r => r.normal())
  // 'distinct': evenly spaced, half of them below zero, in random order
  const order = draw(name, shape, r => r.uniform())
  const ranks = [...order.keys()].sort((a, b) => order[a]! - order[b]!)
  return ranks.map(rank => (rank - order.length / 2 + 0.5) / 4)
}
