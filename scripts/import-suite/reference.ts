import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { decode } from '../../src/export/codec.ts'
import { Tensor, type ValueInfoProto } from '../../src/export/onnx-proto.ts'
import type { FileInfo } from '../../src/export/read.ts'
import { dtypeOf } from '../../src/export/tensor-data.ts'
import { arrayOver, emptyArray, sizeOfDims, type TypedArray } from '../../src/graph/array.ts'
import type { DType } from '../../src/graph/dtype.ts'
import { rng } from '../../src/graph/random.ts'
import { readElements } from '../../src/import/tensor.ts'

/** A tensor with its values, as the file has it. */
export interface Value {
  readonly dtype: DType
  readonly dims: readonly number[]
  readonly data: TypedArray
}
export type Values = Readonly<Record<string, Value>>

/** Inputs of a file and, where they are stored beside it, what it must give for them. */
export interface Reference {
  readonly inputs: Values
  readonly outputs?: Values
  /** Gradients of Σ cos(i) yᵢ over all outputs with respect to weights. */
  readonly gradients?: Values
}

/** Inputs that are not held by the file. */
export function portsOf({ proto }: FileInfo): readonly ValueInfoProto[] {
  const held = new Set(proto.graph?.initializer?.map(t => t.name))
  return (proto.graph?.input ?? []).filter(i => !held.has(i.name))
}

function readValue(file: string): Value {
  // Half precision is imported as float32.
  return readElements(decode(Tensor, readFileSync(file), file))
}

/** Data sets as onnx keeps them beside its test models: `test_data_set_0/input_0.pb`. */
function dataSets(file: string, info: FileInfo): Reference[] {
  const folder = dirname(file)
  const sets = readdirSync(folder).filter(name => name.startsWith('test_data_set_'))
  const read = (set: string, kind: string, names: readonly string[]): Values =>
    Object.fromEntries(
      names.flatMap((name, i) => {
        const path = join(folder, set, `${kind}_${i}.pb`)
        return existsSync(path) ? [[name, readValue(path)]] : []
      }),
    )
  const inputs = portsOf(info).map(i => i.name ?? '')
  const outputs = (info.proto.graph?.output ?? []).map(o => o.name ?? '')
  return sets.map(set => ({ inputs: read(set, 'input', inputs), outputs: read(set, 'output', outputs) }))
}

interface Stored {
  readonly kind: 'input' | 'output' | 'grad'
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly offset: number
}

/** Values of another framework: `x.onnx.ref.json` lists what `x.onnx.ref.bin` holds. */
function stored(file: string): Reference[] {
  if (!existsSync(`${file}.ref.json`)) return []
  const list: { tensors: Stored[] } | Stored[] = JSON.parse(readFileSync(`${file}.ref.json`, 'utf8'))
  const all = Array.isArray(list) ? list : list.tensors
  const bytes = readFileSync(`${file}.ref.bin`)
  const of = (kind: Stored['kind']): Values =>
    Object.fromEntries(
      all
        .filter(t => t.kind === kind)
        .map(({ name, dtype, shape, offset }) => {
          const size = emptyArray(dtype, 0).BYTES_PER_ELEMENT * sizeOfDims(shape)
          const memory = Uint8Array.from(bytes.subarray(offset, offset + size)).buffer
          return [name, { dtype, dims: shape, data: arrayOver(dtype, memory, 0, sizeOfDims(shape)) }]
        }),
    )
  return [{ inputs: of('input'), outputs: of('output'), gradients: of('grad') }]
}

/** What stands for a size that a file leaves open. */
const OPEN = 2

/** Random inputs: floats near 0, integers 0 and 1. */
function drawn(info: FileInfo): Reference {
  const random = rng(7)
  const inputs = portsOf(info).map(({ name = '', type }): [string, Value] => {
    const { elemType, shape } = type?.tensorType ?? {}
    const dtype = dtypeOf(elemType) ?? 'float32'
    const dims = (shape?.dim ?? []).map(d => (d.dimParam ? OPEN : (d.dimValue ?? OPEN)))
    const data = emptyArray(dtype, sizeOfDims(dims))
    for (let i = 0; i < data.length; i++) {
      if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = BigInt(random.int(2))
      else data[i] = dtype.startsWith('float') ? random.normal() : random.int(2)
    }
    return [name, { dtype, dims, data }]
  })
  return { inputs: Object.fromEntries(inputs) }
}

/** What a file is compared with. */
export function referencesOf(file: string, info: FileInfo): readonly Reference[] {
  const found = [...dataSets(file, info), ...stored(file)]
  return found.length ? found : [drawn(info)]
}
