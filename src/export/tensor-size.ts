import { UserError } from '../graph/errors.ts'
import type { TensorProto } from './onnx-proto.ts'

/** No tensor has more axes; some work here grows with the square of their number. */
export const MOST_AXES = 64

/** How many elements a tensor has. @throws UserError for dims that no tensor has */
export function elementCount(dims: readonly number[] = []): number {
  if (dims.length > MOST_AXES)
    throw new UserError(`has ${dims.length} axes; a tensor has at most ${MOST_AXES}`)
  const odd = dims.find(d => !Number.isSafeInteger(d) || d < 0)
  if (odd !== undefined) throw new UserError(`has a dim of ${odd}: the file is damaged`)
  const size = dims.reduce((a, b) => a * b, 1)
  if (!Number.isSafeInteger(size))
    throw new UserError(`has the dims [${dims.join()}], which no tensor can have`)
  return size
}

const STRING = 8

/** Bits of an element, by ONNX's TensorProto.DataType from FLOAT = 1 on; none where an element has no fixed size. */
const BITS = [
  32, 8, 8, 16, 16, 32, 64, 0, 8, 16, 64, 32, 64, 64, 128, 16, 8, 8, 8, 8, 4, 4, 4, 8, 2, 2, 6, 6,
] as const

/** Bytes that the elements of a tensor take when they are packed. @throws UserError for dims that no tensor has */
export const bytesNeeded = ({ dims, dataType = 0 }: TensorProto): number =>
  Math.ceil((elementCount(dims) * (BITS[dataType - 1] ?? 1)) / 8)

/** Most bytes that a number in the lists of a tensor stands for. */
const NUMBER = 8

/** @throws UserError, without the tensor's name, when a tensor of a known type claims more elements than it comes with */
export function checkFilled(t: TensorProto): void {
  const bits = BITS[(t.dataType ?? 0) - 1]
  const count = elementCount(t.dims)
  if (bits === undefined) return
  const lists = [t.floatData, t.doubleData, t.int32Data, t.int64Data, t.uint64Data, t.stringData]
  const listed = lists.reduce((n, list) => n + (list?.length ?? 0), 0)
  const isText = t.dataType === STRING
  const held = t.rawData && !isText ? Math.floor((t.rawData.length * 8) / bits) : listed
  // Numbers of few bits share one of a list.
  if (t.rawData || isText ? held < count : listed * NUMBER < bytesNeeded(t))
    throw new UserError(
      `has ${held} elements, but its dims [${t.dims?.join() ?? ''}] need ${count}: the file is damaged`,
    )
}
