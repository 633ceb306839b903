import { UserError } from '../graph/errors.ts'
import { printable } from '../graph/printable.ts'
import type { TensorProto } from './onnx-proto.ts'
import { bytesNeeded } from './tensor-size.ts'

/**
 * How tensors in external files are handled: `leave` keeps them out, for looking at the rest; a function gives the bytes of a file
 * by its plain name, and what it does not give is an error of its own.
 */
export type External = 'leave' | ((file: string) => Uint8Array)

/** ONNX TensorProto.DataLocation; what is not the default is another file, or nothing that is known. */
const DEFAULT = 0

/** @internal Whether a tensor's elements lie in another file. */
export const isExternal = ({ dataLocation = DEFAULT, externalData = [] }: TensorProto): boolean =>
  dataLocation !== DEFAULT || externalData.length > 0

const entry = (t: TensorProto, key: string): string | undefined =>
  t.externalData?.find(e => e.key === key)?.value

/** @internal The file that a tensor's elements lie in. */
export const locationOf = (t: TensorProto): string => entry(t, 'location') ?? ''

/** A name that means the same file on every system: no path, no drive, nothing hidden by what a terminal does not show. */
const isPlain = (name: string): boolean =>
  /^[^/\\:]+$/.test(name) && name === printable(name, 255) && name !== '.' && name !== '..'

/** @internal Why a tensor of another file is not here. */
export function whyOutside(t: TensorProto): string {
  const file = locationOf(t)
  if (!file) return 'is stored outside the file, but the file does not say where: it is damaged'
  const where = `is stored in another file, ${printable(file)}`
  return isPlain(file)
    ? `${where}; give --external-data (readOnnx: external) to read that file from the model's folder`
    : `${where}, which is not a file name in the model's folder; such files are not read`
}

/**
 * @internal
 * Puts a tensor's elements into the model.
 * @throws UserError, without the tensor's name, when the file is not beside the model or does not hold them
 */
export function embed(t: TensorProto, read: (file: string) => Uint8Array): void {
  const file = locationOf(t)
  if (!file || !isPlain(file)) throw new UserError(whyOutside(t))
  const bytes = read(file)
  const need = bytesNeeded(t)
  const [offset = 0, length = need] = ['offset', 'length'].map(key => {
    const text = entry(t, key)
    if (text === undefined) return undefined
    if (/^\d{1,15}$/.test(text)) return Number(text)
    throw new UserError(`has an ${key} of ${printable(text)} in ${file}: the file is damaged`)
  })
  if (length !== need)
    throw new UserError(`has ${length} bytes in ${file}, but its dims [${t.dims?.join() ?? ''}] need ${need}`)
  if (offset + length > bytes.length)
    throw new UserError(
      `ends at byte ${offset + length} of ${file}, but that file has ${bytes.length} bytes: it belongs to another model or is truncated`,
    )
  t.rawData = bytes.subarray(offset, offset + length)
  delete t.externalData
  delete t.dataLocation
}
