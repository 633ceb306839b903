import { lower } from '../../export/lower.ts'
import { tracePasses } from '../../export/trace.ts'
import { type Graph, postorder } from '../../graph/graph.ts'
import { lookup, zip } from '../../graph/present.ts'
import { hash } from '../../graph/random.ts'
import type { Target } from '../../graph/target.ts'
import type { AnyTensor, Tensor } from '../../graph/tensor.ts'
import type { Layout } from '../../nn/layout.ts'
import { cast } from '../../ops/elementwise.ts'
import { reshape, split } from '../../ops/layout.ts'
import { optimizeFor, type Purpose } from '../../passes/index.ts'
import type { Session } from '../../runtime/session.ts'
import type { StatePart, StateVector } from './state.ts'

/** Where a program will run, and how it is made. */
export interface ProgramOptions {
  readonly target: Target
  /** Of parameters and arithmetic; float64 is for tests. @default 'float32' */
  readonly dtype?: 'float32' | 'float64' | undefined
  /** Compute cheap activations again in the backward pass where that saves memory; results are the same. @default false */
  readonly recompute?: boolean | undefined
}

/** A compiled graph and how to call it. */
export interface Program {
  readonly bytes: Uint8Array
  readonly graph: Graph
  /** State that is read, and state that is replaced. */
  readonly reads: readonly StateVector[]
  readonly writes: readonly StateVector[]
  /** Whether it takes `scalar.seed`. */
  readonly random: boolean
}

export const SEED = 'scalar.seed'

/** The seed of a step's micro-batch, counted from 0: each draws masks of its own. */
export const seedOfPart = (seed: number, part: number): number => (part ? hash(seed, 'part', part) : seed)

/** @param name of the program, such as `vit-step` */
export const purposeOf = (
  name: string,
  { target, dtype = 'float32', recompute = false }: ProgramOptions,
  training: boolean,
): Purpose => ({ target, dtype, training, recompute, trace: tracePasses(name) })

/** Parameters as pieces of flat vectors: what each leaf is replaced by. @param flat of each part */
export function unflatten(
  parameters: Graph['parameters'],
  parts: readonly { readonly layout: Layout; readonly flat: AnyTensor }[],
): Map<Tensor, AnyTensor> {
  return new Map(
    parts.flatMap(({ layout: { slots }, flat }) => {
      const pieces: readonly AnyTensor[] = split(
        flat,
        0,
        slots.map(s => s.size),
      )
      return zip(slots, pieces).map(([s, piece]) => {
        const p = lookup(parameters, s.name)
        // State is float32, which holds the values of every dtype that a parameter has.
        return [p, cast(reshape(piece, s.shape), p.dtype)] as const
      })
    }),
  )
}

/** Finishes a program: passes, then ONNX. State that is neither read nor written is left out of its inputs. */
export function finish(
  name: string,
  graph: Graph,
  purpose: Purpose,
  about: {
    readonly parts: readonly (readonly [StateVector, AnyTensor])[]
    readonly writes: readonly StateVector[]
    readonly random: boolean
  },
): Program {
  const read = new Set<Tensor>(postorder(Object.values(graph.outputs)).flatMap(n => n.outputs))
  const written = new Set(about.writes.map(v => v.name))
  const unread = new Set<Tensor>(
    about.parts.filter(([v, t]) => !read.has(t) && !written.has(v.name)).map(([, t]) => t),
  )
  const inputs = Object.fromEntries(Object.entries(graph.inputs).filter(([, t]) => !unread.has(t)))
  const optimized = optimizeFor({ ...graph, inputs }, purpose)
  return {
    bytes: lower(optimized, { name, opset: 21 }),
    graph: optimized,
    reads: about.parts.filter(([, t]) => !unread.has(t)).map(([v]) => v),
    writes: about.writes,
    random: about.random,
  }
}

/** All vectors of state parts, each with its name. */
export const vectorsOf = (parts: readonly StatePart[]): StateVector[] =>
  parts.flatMap(p => [p.params, ...Object.values(p.moments)])

/** A program and its session. */
export interface Loaded<P extends Program = Program> {
  readonly program: P
  readonly session: Session
}

/** Closes a session once it is there; one that could not be loaded has told so already. */
export const closeLoaded = (loaded: Promise<Loaded | undefined> | undefined): Promise<void> =>
  Promise.resolve(loaded).then(
    l => l?.session.close(),
    () => {},
  )
