import { encode } from '../../src/export/codec.ts'
import { type AttributeProto, Model, type NodeProto, type TensorProto } from '../../src/export/onnx-proto.ts'
import { DATA_TYPE, tensorProto, toTyped } from '../../src/export/tensor-data.ts'
import type { DType } from '../../src/graph/dtype.ts'
import type { SampleInput } from '../../src/graph/sample.ts'

/** A tensor that a file holds. */
export interface Held {
  readonly dtype: DType
  readonly dims: readonly number[]
  readonly values: readonly number[]
}

/** A FLOAT attribute, also where its value is whole. */
export interface Float {
  readonly float: number | readonly number[]
}

export type NodeAttr =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | Float
  | { readonly tensor: TensorProto }

/** A node to test an operator with. */
export interface NodeSample {
  /** Drawn inputs, tensors of the file, and `null` for one that is left out. */
  readonly inputs: readonly (SampleInput | Held | null)[]
  readonly attrs: Readonly<Record<string, NodeAttr>>
  readonly options: SampleOptions
}

export interface SampleOptions {
  /** @default 1 */
  readonly outputs?: number
  /** Of the file. @default 22 */
  readonly opset?: number
  /** Whether its gradient is compared with central differences. @default true */
  readonly gradient?: boolean
  /** Largest difference from the runtime, relative to the largest element (at least 1). @default 2e-6 */
  readonly tolerance?: number
}

/** Samples of operators, by ONNX's name; those of another domain as `domain.name`. */
export type NodeSamples = Readonly<Record<string, readonly NodeSample[]>>

export const held = (
  dtype: DType,
  values: readonly number[],
  dims: readonly number[] = [values.length],
): Held => ({
  dtype,
  dims,
  values,
})
/** An int64 list of the file. */
export const ints = (...values: readonly number[]): Held => held('int64', values)
/** A float attribute. */
export const float = (...values: readonly number[]): Float => ({
  float: values.length === 1 ? Number(values[0]) : values,
})
export const floats = (...values: readonly number[]): Float => ({ float: values })

export const nodeSample = (
  inputs: NodeSample['inputs'],
  attrs: NodeSample['attrs'] = {},
  options: SampleOptions = {},
): NodeSample => ({ inputs, attrs, options })

const isDrawn = (x: SampleInput | Held): x is SampleInput => 'domain' in x

/** Inputs that are fed, with their places. */
export const drawnOf = ({ inputs }: NodeSample): (readonly [name: string, input: SampleInput])[] =>
  inputs.flatMap((x, i) => (x && isDrawn(x) ? [[`x${i}`, x] as const] : []))

function attribute(name: string, value: NodeAttr): AttributeProto {
  if (typeof value === 'number')
    return Number.isInteger(value) ? { name, type: 2, i: value } : { name, type: 1, f: value }
  if (typeof value === 'string') return { name, type: 3, s: new TextEncoder().encode(value) }
  if ('tensor' in value) return { name, type: 4, t: value.tensor }
  if ('float' in value)
    return typeof value.float === 'number'
      ? { name, type: 1, f: value.float }
      : { name, type: 6, floats: [...value.float] }
  const texts = value.filter(v => typeof v === 'string')
  if (texts.length) return { name, type: 8, strings: texts.map(t => new TextEncoder().encode(t)) }
  return { name, type: 7, ints: value.map(Number) }
}

const shapeOf = (dims: readonly number[]) => ({ dim: dims.map(dimValue => ({ dimValue })) })

/** The bytes of a file that holds the one node. Its tensors are constants, so that none is a weight. */
export function fileOfSample(type: string, sample: NodeSample): Uint8Array {
  const { inputs, attrs, options } = sample
  const { outputs = 1, opset = 22 } = options
  const at = type.lastIndexOf('.')
  const [domain, opType] = [type.slice(0, Math.max(at, 0)), type.slice(at + 1)]
  const constants: NodeProto[] = inputs.flatMap((x, i) => {
    if (!x || isDrawn(x)) return []
    const t = tensorProto('', x.dtype, x.dims, toTyped(x.values, x.dtype, x.values.length))
    return [{ opType: 'Constant', input: [], output: [`x${i}`], attribute: [{ name: 'value', type: 4, t }] }]
  })
  const node: NodeProto = {
    opType,
    domain,
    input: inputs.map((x, i) => (x ? `x${i}` : '')),
    output: Array.from({ length: outputs }, (_, i) => `y${i}`),
    attribute: Object.entries(attrs).map(([name, value]) => attribute(name, value)),
  }
  return encode(Model, {
    irVersion: 10,
    producerName: 'test',
    graph: {
      name: 'g',
      node: [...constants, node],
      input: drawnOf(sample).map(([name, { dtype, shape }]) => ({
        name,
        type: { tensorType: { elemType: DATA_TYPE[dtype], shape: shapeOf(shape) } },
      })),
      // Without a type, so that nothing can be kept as the file has it.
      output: node.output?.map(name => ({ name })) ?? [],
    },
    opsetImport: [{ domain: '', version: opset }, ...(domain ? [{ domain, version: 1 }] : [])],
  })
}
