import { UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import { axisOf, show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { concat, reshape, select } from '../ops/layout.ts'
import { knownValue } from './known.ts'
import type { NodeReader } from './node-reader.ts'
import { unsupported } from './unsupported.ts'
import { computed, onlyElement, type Value } from './value.ts'

/** Loops of a file, unrolled: each round is a copy of the body, so that a gradient can be taken through all of them. */

/** Reads the body of a loop once more, for other inputs. */
export type Body = (inputs: readonly (Value | undefined)[]) => readonly Value[]

/** More rounds make a graph that takes minutes to load. */
const MOST_ROUNDS = 1024

const number = (v: number): Value => knownValue({ dtype: 'int64', shape: [], values: [v] })
const truth = knownValue({ dtype: 'bool', shape: [], values: [1] })

/** A number of rounds or a condition, where it is known. */
const only = (v: Value | undefined): number | undefined => {
  const element = onlyElement(v)
  return typeof element === 'number' ? element : undefined
}

function checkRounds(rounds: number): void {
  if (rounds > MOST_ROUNDS)
    unsupported(`a loop of ${rounds} rounds is not supported, only up to ${MOST_ROUNDS}`)
}

/** Tensors of all rounds along a new axis. */
function stacked(tensors: readonly AnyTensor[], axis: number): AnyTensor {
  const [first] = tensors
  if (!first) return unsupported('a loop without rounds is not supported')
  const shape = first.shape.toSpliced(axis, 0, 1)
  return concat(
    tensors.map(t => reshape(t, shape)),
    axis,
  )
}

/** Loop whose rounds are known beforehand: their number is constant, and so is the condition. */
export function loop(node: NodeReader, states: number, body: Body): readonly Value[] {
  const [given, condition] = [node.input(0), node.input(1)]
  const [most, first] = [only(given), only(condition)]
  if (states < 0) throw new UserError('its body has too few inputs; the file is damaged')
  if (condition && first === undefined)
    return unsupported('a condition that only the run time knows is not supported')
  if (given && most === undefined)
    return unsupported('a number of rounds that only the run time knows is not supported')
  let carried: readonly (Value | undefined)[] = Array.from({ length: states }, (_, i) => node.value(i + 2))
  const scanned: AnyTensor[][] = []
  let goes: number | undefined = first ?? 1
  for (let i = 0; goes && i < (most ?? Number.POSITIVE_INFINITY); i++) {
    checkRounds(i + 1)
    const [next, ...results] = body([number(i), truth, ...carried])
    goes = only(next)
    if (goes === undefined) return unsupported('a condition that only the run time knows is not supported')
    carried = results.slice(0, states)
    for (const [k, result] of results.slice(states).entries()) {
      scanned[k] ??= []
      scanned[k].push(result.tensor())
    }
  }
  return [...carried.map(v => v ?? missing()), ...scanned.map(tensors => computed(stacked(tensors, 0)))]
}

const missing = (): never => {
  throw new UserError('its body has too few outputs; the file is damaged')
}

/** Scan over axes of known length. @param inner how many inputs and outputs the body has */
export function scan(
  node: NodeReader,
  inner: { readonly inputs: number; readonly outputs: number },
  body: Body,
): readonly Value[] {
  const count = node.int('num_scan_inputs', 0)
  const states = inner.inputs - count
  if (node.opset < 9) return unsupported(`Scan of opset ${node.opset} is not supported`)
  const results = inner.outputs - states
  if (count < 0 || states < 0 || results < 0)
    throw new UserError(
      `num_scan_inputs is ${count}, but its body has ${inner.inputs} inputs and ${inner.outputs} outputs; the file is damaged`,
    )
  const list = (name: string, size: number) => node.ints(name) ?? new Array<number>(size).fill(0)
  const [axes, directions] = [list('scan_input_axes', count), list('scan_input_directions', count)]
  const [outAxes, outDirections] = [
    list('scan_output_axes', results),
    list('scan_output_directions', results),
  ]
  const scannedInputs = Array.from({ length: count }, (_, i) => {
    const t = node.data(states + i)
    return { t, axis: axisOf('scan', axes[i] ?? 0, t.shape.length) }
  })
  const [first] = scannedInputs
  const length = first ? first.t.shape[first.axis] : 0
  if (typeof length !== 'number' || length < 0)
    return unsupported(
      `scan: the length of ${show(first?.t.shape ?? [])} is not known; give the sizes of the inputs`,
    )
  checkRounds(length)
  let carried: readonly Value[] = Array.from({ length: states }, (_, i) => node.value(i))
  const scanned: AnyTensor[][] = Array.from({ length: results }, () => [])
  for (let i = 0; i < length; i++) {
    const slices = scannedInputs.map(({ t, axis }, k) =>
      computed(select(t, axis, directions[k] ? length - 1 - i : i)),
    )
    const outputs = body([...carried, ...slices])
    carried = outputs.slice(0, states)
    for (const [k, result] of outputs.slice(states).entries()) nth(scanned, k).push(result.tensor())
  }
  return [
    ...carried,
    ...scanned.map((tensors, k) => {
      const [sample] = tensors
      const axis = axisOf('scan', outAxes[k] ?? 0, (sample?.shape.length ?? 0) + 1)
      return computed(stacked(outDirections[k] ? tensors.toReversed() : tensors, axis))
    }),
  ]
}
