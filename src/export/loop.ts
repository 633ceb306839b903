import type { DType } from '../graph/dtype.ts'
import type { Graph } from '../graph/graph.ts'
import { present } from '../graph/present.ts'
import { type LowerOptions, lowerGraph, modelBytes } from './lower.ts'
import type { GraphProto, NodeProto, ValueInfoProto } from './onnx-proto.ts'
import { DATA_TYPE, tensorProto } from './tensor-data.ts'

export interface LoopSpec extends LowerOptions {
  /** How often the graph runs. */
  readonly times: number
  /** Inputs that each time but the first read what the time before wrote: input → output. */
  readonly carried: Readonly<Record<string, string>>
  /** Inputs that are the same each time. @default none */
  readonly fixed?: readonly string[]
}

/**
 * ONNX bytes of a model that runs a graph several times over, as one operator `Loop`, under the graph's own names. A
 * carried input is the first time's value, and its output the last time's; a fixed one is read as it is; every other
 * input has the values of all times, stacked along a new first axis, and so has every other output.
 */
export function lowerLoop(graph: Graph, { times, carried, fixed = [], ...options }: LoopSpec): Uint8Array {
  const { proto, domains } = lowerGraph(graph, options)
  const { node = [], initializer = [], input = [], output = [] } = proto
  const find = (values: readonly ValueInfoProto[], names: readonly string[]) =>
    names.map(name =>
      present(
        values.find(v => v.name === name),
        `value ${name}`,
      ),
    )
  const [before, after] = [find(input, Object.keys(carried)), find(output, Object.values(carried))]
  const same = find(input, fixed)
  const read = input.filter(v => !before.includes(v) && !same.includes(v))
  const written = output.filter(v => !after.includes(v))
  const inner = renamer(new Set(fixed))

  const body: GraphProto = {
    name: `${options.name}/body`,
    node: [...read.map(pick), ...node.map(inner), GO_ON],
    initializer: initializer.map(inner),
    input: [scalar(ITERATION, 'int64'), scalar(GOING, 'bool'), ...before.map(inner)],
    output: [scalar(GOES_ON, 'bool'), ...after.map(inner), ...written.map(inner)],
  }
  const outputs = [...after, ...written.map(v => stacked(v, times))]
  const loop: NodeProto = {
    input: [TIMES, '', ...before.map(nameOf)],
    output: outputs.map(nameOf),
    name: 'Loop',
    opType: 'Loop',
    attribute: [{ name: 'body', type: 5, g: body }],
  }
  const whole: GraphProto = {
    name: options.name,
    node: [loop],
    initializer: [tensorProto(TIMES, 'int64', [], BigInt64Array.of(BigInt(times)))],
    input: [...before, ...same, ...read.map(v => stacked(v, times))],
    output: outputs,
  }
  return modelBytes({ proto: whole, domains }, options)
}

const TIMES = 'loop.times'
const ITERATION = 'loop.iteration'
const GOING = 'loop.going'
const GOES_ON = 'loop.goesOn'
const GO_ON: NodeProto = { input: [GOING], output: [GOES_ON], name: GOES_ON, opType: 'Identity' }

const nameOf = ({ name }: { name?: string }): string => present(name, 'name')

/** Names inside of the loop differ from those outside: ONNX lets none mean two things. */
const within = (name: string): string => name && `each.${name}`

/** Renames a node, value or initializer for the inside of the loop; what is the same each time is read from outside. */
const renamer = (outside: ReadonlySet<string>) => {
  const renamed = (name: string): string => (outside.has(name) ? name : within(name))
  return <T extends { name?: string; input?: string[]; output?: string[] }>(part: T): T => {
    const { name = '', input, output } = part
    return {
      ...part,
      name: renamed(name),
      ...(input && { input: input.map(renamed) }),
      ...(output && { output: output.map(renamed) }),
    }
  }
}

/** Takes a time's value out of those of all times, by its number. */
const pick = ({ name = '' }: ValueInfoProto): NodeProto => ({
  input: [name, ITERATION],
  output: [within(name)],
  name: `${name}/Gather`,
  opType: 'Gather',
})

const scalar = (name: string, dtype: DType): ValueInfoProto => ({
  name,
  type: { tensorType: { elemType: DATA_TYPE[dtype], shape: { dim: [] } } },
})

function stacked(value: ValueInfoProto, times: number): ValueInfoProto {
  const { elemType, shape } = present(value.type?.tensorType, 'type')
  const dim = [{ dimValue: times }, ...(shape?.dim ?? [])]
  return { ...value, type: { tensorType: { ...(elemType && { elemType }), shape: { dim } } } }
}
