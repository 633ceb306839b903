import { setting } from '../graph/debug.ts'
import { UserError } from '../graph/errors.ts'
import type { Graph } from '../graph/graph.ts'
import { checkPass } from './check.ts'

/** A pass that has run, for those who look on. */
export interface Ran {
  readonly pass: string
  readonly before: Graph
  readonly after: Graph
  readonly ms: number
}

/** Is told of each pass that runs. */
export type Trace = (ran: Ran) => void

/** A rewriting of a graph that keeps what it computes. `P` is what it must know of the graph's use. */
export interface Pass<P> {
  readonly name: string
  readonly run: (graph: Graph, purpose: P) => Graph
  /** Whether it applies; always, when left out. */
  readonly when?: (purpose: P) => boolean
  /** The graph would not run, or not be what it is meant to be, without it: ONNXGRAD_PASSES cannot leave it out. */
  readonly required?: true
  /** It changes dtypes. */
  readonly dtype?: true
}

/** Names of the passes that a graph can do without. */
const optional = new Set<string>()

/** Declares passes that run in this order. */
export function inOrder<P>(passes: readonly Pass<P>[]): readonly Pass<P>[] {
  for (const { name, required } of passes) if (!required) optional.add(name)
  return passes
}

/**
 * Names of the passes that ONNXGRAD_PASSES leaves out, for measurement: `-slices,-views`, or `-all` for every one that a
 * graph can do without.
 * @throws UserError when it names none
 */
function leftOut(): ReadonlySet<string> {
  const names = setting('ONNXGRAD_PASSES').split(',').filter(Boolean)
  const known = ['-all', ...[...optional].sort().map(name => `-${name}`)]
  const wrong = names.find(name => !known.includes(name))
  if (wrong !== undefined)
    throw new UserError(`ONNXGRAD_PASSES: unknown pass ${wrong}; choose from ${known.join(', ')}`)
  return names.includes('-all') ? optional : new Set(names.map(name => name.slice(1)))
}

/** What fails inside a pass is a fault of the pass: its name is said. */
function run<P>(pass: Pass<P>, graph: Graph, purpose: P): Graph {
  try {
    const after = pass.run(graph, purpose)
    checkPass(graph, after, pass.dtype === true)
    return after
  } catch (error) {
    if (error instanceof Error && error.message.startsWith(INTERNAL))
      error.message = `${INTERNAL} pass ${pass.name}: ${error.message.slice(INTERNAL.length).trim()}`
    throw error
  }
}

const INTERNAL = 'internal:'

/** Runs those passes that apply, and checks each: see {@link checkPass}. */
export function runPasses<P extends { readonly trace?: Trace | undefined }>(
  passes: readonly Pass<P>[],
  graph: Graph,
  purpose: P,
): Graph {
  const out = leftOut()
  return passes.reduce((before, pass) => {
    if ((!pass.required && out.has(pass.name)) || pass.when?.(purpose) === false) return before
    const start = performance.now()
    const after = run(pass, before, purpose)
    const ms = performance.now() - start
    purpose.trace?.({ pass: pass.name, before, after, ms })
    return after
  }, graph)
}
