import { type ArrayPort, type ArrayValue, checkValues, toNdArray } from '../data/arrays.ts'
import type { UserBatch } from '../data/dataset.ts'
import type { Allocate } from '../data/memory.ts'
import { arrayOver, copyElements, type NdArray } from '../graph/array.ts'
import { solve } from '../graph/bind.ts'
import { UserError } from '../graph/errors.ts'
import { lookup, nth } from '../graph/present.ts'
import { type Dim, show } from '../graph/shape.ts'
import type { TracedObjective } from '../tasks/task.ts'
import type { Examples, ExamplesOfSteps } from './step/examples.ts'

/** What arrays a batch must have, by name. */
export type Ports = Readonly<Record<string, ArrayPort>>

/** The inputs and targets of a task. */
export function portsOf({ model, targets }: Pick<TracedObjective, 'model' | 'targets'>): Ports {
  const port = ({ dtype, shape }: ArrayPort): ArrayPort => ({ dtype, shape })
  return {
    ...Object.fromEntries(Object.entries(model.graph.inputs).map(([name, t]) => [name, port(t)])),
    ...Object.fromEntries(
      Object.entries(targets).map(([name, { spec, leaf }]) => [
        name,
        { ...port(leaf), below: spec.below, ignore: spec.ignore },
      ]),
    ),
  }
}

const named = (ports: Ports): string =>
  Object.entries(ports)
    .map(([name, { dtype, shape }]) => `${name}, ${dtype} ${show(shape)}`)
    .join('; ')

/** Whether an array says its dims itself. */
const hasDims = (value: ArrayValue | undefined): boolean => !ArrayBuffer.isView(value)

/**
 * A user's batch as programs take it: elements and dims fit, and all arrays agree on the sizes of symbols. Further arrays are left
 * out.
 * @param what the batch's name in error messages @param values whether values are looked at, too
 * @throws UserError for an array that is missing or does not fit, with its numbers
 */
export function examplesOf(what: string, ports: Ports, batch: UserBatch, values = true): Examples {
  if (typeof batch !== 'object' || batch === null)
    throw new UserError(`${what}: is ${String(batch)}; give arrays by name: ${named(ports)}`)
  const missing = Object.keys(ports).find(name => batch[name] === undefined)
  if (missing !== undefined)
    throw new UserError(
      `${what}: has no ${missing}${Object.keys(batch).length ? `, only ${Object.keys(batch).join(', ')}` : ''}; it needs ${named(ports)}`,
    )
  const sizes: Record<string, Dim> = {}
  const arrays: Record<string, NdArray> = {}
  // Arrays without dims of their own are understood by the sizes that the others have.
  const names = Object.keys(ports).sort((a, b) => Number(hasDims(batch[b])) - Number(hasDims(batch[a])))
  for (const name of names) {
    const port = lookup(ports, name)
    const array = toNdArray(`${what}: ${name}`, lookup(batch, name), port, sizes)
    solve(`${what}: ${name}`, port.shape, array.dims, sizes)
    if (values) checkValues(`${what}: ${name}`, array, port)
    arrays[name] = array
  }
  if (sizes.batch === 0) throw new UserError(`${what}: is empty`)
  return { arrays, sizes }
}

/** Whether two batches can lie one after the other: all arrays of equal dims. */
const alike = (a: Examples, b: Examples): boolean =>
  Object.entries(a.arrays).every(([name, { dims }]) => lookup(b.arrays, name).dims.join() === dims.join())

/**
 * The same batches in memory of `allocate`, in two sets of arrays by turns: what was given stays as it is while the next
 * is made, until the one after that is asked for.
 * @param together how many batches are given at a time; those that are too few for it, or of another size, come singly
 */
export async function* staged(
  source: Iterable<Examples> | AsyncIterable<Examples>,
  ports: Ports,
  allocate: Allocate,
  together = 1,
): AsyncGenerator<ExamplesOfSteps> {
  const sets: Map<string, ArrayBufferLike>[] = [new Map(), new Map()]
  let turn = 0
  let kept: Examples[] = []
  /** Memory for all batches of a run, as values like these, from the place of batch `at` on. */
  const place = (name: string, { data }: NdArray, at: number, times: number) => {
    const memory = nth(sets, turn)
    const bytes = together * data.byteLength
    if (!kept.length && (memory.get(name)?.byteLength ?? 0) < bytes) memory.set(name, allocate(bytes))
    return arrayOver(
      lookup(ports, name).dtype,
      lookup(memory, name),
      at * data.byteLength,
      times * data.length,
    )
  }
  function* singly(): Generator<ExamplesOfSteps> {
    for (const examples of kept) yield { ...examples, steps: 1 }
    kept = []
    turn = 1 - turn
  }
  for await (const examples of source) {
    if (kept[0] && !alike(kept[0], examples)) yield* singly()
    const { sizes } = examples
    const at = kept.length
    const own: Record<string, NdArray> = {}
    const all: Record<string, NdArray> = {}
    for (const [name, array] of Object.entries(examples.arrays)) {
      const dims = together > 1 ? [together, ...array.dims] : array.dims
      all[name] = { data: place(name, array, 0, together), dims }
      const mine = place(name, array, at, 1)
      copyElements(mine, array.data)
      own[name] = { data: mine, dims: array.dims }
    }
    kept.push({ arrays: own, sizes })
    if (kept.length < together) continue
    yield { arrays: all, sizes, steps: together }
    kept = []
    turn = 1 - turn
  }
  yield* singly()
}
