import type { TypedArray } from '../graph/array.ts'
import { UserError } from '../graph/errors.ts'
import { keysOf } from '../graph/keys.ts'
import { printable } from '../graph/printable.ts'
import type { Admitted } from './admit.ts'
import { encode } from './codec.ts'
import { METADATA } from './export.ts'
import { Model, type ModelProto, type TensorProto } from './onnx-proto.ts'
import { type ReadOptions, readModel } from './read-model.ts'
import { FLOAT_TYPES, readTensor } from './tensor-data.ts'

export type { ReadOptions } from './read-model.ts'

/** An `.onnx` file and the metadata that onnxgrad writes. */
export interface FileInfo extends Admitted {
  /** @internal The decoded messages of the file. */
  readonly proto: ModelProto
  /** The model in one piece: the bytes that were read, with external tensors embedded. */
  readonly bytes: Uint8Array
  /** Version of the default operator set; 0 where the file names none. */
  readonly opset: number
  /** The file's metadata, as text. */
  readonly metadata: Readonly<Record<string, string>>
  /** Name and configuration of the architecture, for `buildModel` of `onnxgrad/models`. */
  readonly model?: { readonly name: string; readonly config: object }
  /** Preprocessing of its pictures. */
  readonly preprocessing?: { readonly kind: string }
  /** Mean and standard deviation that the graph normalizes pixels with. */
  readonly normalization?: { readonly mean: readonly number[]; readonly std: readonly number[] }
  /** Names of the classes, by label. */
  readonly classes?: readonly string[]
  /** Results of the training, such as `testAccuracy`. */
  readonly training?: Readonly<Record<string, unknown>>
}

const isObject = (v: unknown): v is Readonly<Record<string, unknown>> =>
  typeof v === 'object' && v !== null && !Array.isArray(v)
const isList = (v: unknown, of: (item: unknown) => boolean): boolean => Array.isArray(v) && v.every(of)

/** What the metadata that programs rely on must look like. */
const SOUND: Readonly<
  Record<'model' | 'preprocessing' | 'normalization' | 'classes' | 'training', (value: unknown) => boolean>
> = {
  model: v => isObject(v) && typeof v.name === 'string' && isObject(v.config),
  preprocessing: v => isObject(v) && typeof v.kind === 'string',
  normalization: v => isObject(v) && isList(v.mean, Number.isFinite) && isList(v.std, Number.isFinite),
  classes: v => isList(v, name => typeof name === 'string'),
  training: isObject,
}

/**
 * Reads an `.onnx` file: its messages, and the metadata that onnxgrad writes where there is some.
 * @throws UserError when the bytes are not an ONNX model, or one that is dangerous to load (tensors in other files, functions that
 * call each other without end), or onnxgrad's metadata is damaged
 */
export function readOnnx(bytes: Uint8Array, name: string, options: ReadOptions = {}): FileInfo {
  const { proto, ...admitted } = readModel(bytes, name, options)
  const metadata = Object.fromEntries(
    (proto.metadataProps ?? []).flatMap(({ key, value }) =>
      key && value !== undefined ? [[key, value]] : [],
    ),
  )
  const opset = proto.opsetImport?.find(o => !o.domain)?.version ?? 0
  const known = keysOf(SOUND).flatMap(field => {
    const key = METADATA[field]
    const text = metadata[key]
    if (text === undefined) return []
    const value = parsed(text)
    if (!SOUND[field](value))
      throw new UserError(`${name}: its metadata ${key} is damaged: ${printable(text)}`)
    return [[field, value]]
  })
  const whole = typeof options.external === 'function' ? encode(Model, proto) : bytes
  return { proto, bytes: whole, ...admitted, opset, metadata, ...Object.fromEntries(known) }
}

/** The value of a JSON text; undefined where it is none. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** @internal Initializers by name. @throws UserError for one that is damaged or not supported */
export function readWeights({ proto }: FileInfo): Map<string, { dims: number[]; data: TypedArray }> {
  return new Map(
    (proto.graph?.initializer ?? []).map(t => {
      const name = t.name ?? ''
      try {
        const { dims, data } = readTensor(t)
        return [name, { dims, data }]
      } catch (error) {
        throw error instanceof UserError
          ? new UserError(`initializer ${printable(name)} ${error.message}`)
          : error
      }
    }),
  )
}

/** Constants that the exporter names. */
const OWN_CONSTANT = /^const_\d+(_\d+)?$/

/** @internal Whether an initializer is a weight: anything but a constant in own files, floats that are no scalars in others. */
export function isWeight({ producerName }: ModelProto, { name, dims, dataType }: TensorProto): boolean {
  if (producerName === 'onnxgrad') return !OWN_CONSTANT.test(name ?? '')
  const size = (dims ?? []).reduce((a, b) => a * b, 1)
  return size >= 2 && FLOAT_TYPES.has(dataType ?? 0)
}
