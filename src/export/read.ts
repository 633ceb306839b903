import { UserError } from '../graph/errors.ts'
import { decode } from './codec.ts'
import { METADATA } from './export.ts'
import { Model, type ModelProto } from './onnx-proto.ts'
import { readTensor, type TypedArray } from './tensor-data.ts'

/** What an `.onnx` file that onnxgrad wrote says about itself. */
export interface FileInfo {
  readonly proto: ModelProto
  readonly opset: number
  readonly metadata: Readonly<Record<string, string>>
  readonly model?: { readonly name: string; readonly config: object }
  readonly normalization?: { readonly mean: readonly number[]; readonly std: readonly number[] }
  readonly classes?: readonly string[]
  readonly training?: Readonly<Record<string, unknown>>
}

/**
 * Reads an `.onnx` file: its messages, and the metadata that onnxgrad writes where there is some.
 * @throws UserError when the bytes are no ONNX model
 */
export function readOnnx(bytes: Uint8Array, name: string): FileInfo {
  const proto = decode(Model, bytes, name)
  if (!proto.graph?.node || !proto.irVersion)
    throw new UserError(`${name}: not an ONNX file (it holds no graph)`)
  const metadata = Object.fromEntries(
    (proto.metadataProps ?? []).flatMap(({ key, value }) =>
      key && value !== undefined ? [[key, value]] : [],
    ),
  )
  const json = (key: string): unknown => {
    const text = metadata[key]
    if (text === undefined) return undefined
    try {
      return JSON.parse(text)
    } catch {
      throw new UserError(`${name}: its metadata ${key} is not JSON: the file is damaged`)
    }
  }
  const known = {
    model: json(METADATA.model) as FileInfo['model'],
    normalization: json(METADATA.normalization) as FileInfo['normalization'],
    classes: json(METADATA.classes) as FileInfo['classes'],
    training: json(METADATA.training) as FileInfo['training'],
  }
  const opset = proto.opsetImport?.find(o => !o.domain)?.version ?? 0
  const present = Object.fromEntries(Object.entries(known).filter(([, v]) => v !== undefined))
  return { proto, opset, metadata, ...present }
}

/** Initializers by name. */
export function readWeights({ proto }: FileInfo): Map<string, { dims: number[]; data: TypedArray }> {
  return new Map(
    (proto.graph?.initializer ?? []).map(t => {
      const { dims, data } = readTensor(t)
      return [t.name ?? '', { dims, data }]
    }),
  )
}
