import { UserError } from '../../graph/errors.ts'
import { axisOf, type Dim, show } from '../../graph/shape.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import { add, mul, sub } from '../../ops/elementwise.ts'
import { gather } from '../../ops/gather.ts'
import { concat, reshape, slice, split, transpose } from '../../ops/layout.ts'
import type { NodeReader } from '../node-reader.ts'
import { positions } from '../positions.ts'
import { unsupported } from '../unsupported.ts'
import { checkRank } from './attend.ts'

/** `[batch, length, heads · size]` as `[batch, heads, length, size]`. */
export function splitHeads(x: AnyTensor, heads: number): AnyTensor {
  checkRank('an input', x, 3)
  const [batch, length, width]: [Dim, Dim, Dim] = x.shape
  if (typeof width !== 'number' || heads < 1 || width % heads)
    throw new UserError(`the last dim of ${show(x.shape)} does not split into ${heads} heads`)
  return transpose(reshape(x, [batch, length, heads, width / heads]), [0, 2, 1, 3])
}

/** `[batch, heads, length, size]` as `[batch, length, heads · size]`. */
export function joinHeads(x: AnyTensor): AnyTensor {
  const [batch, heads, length, size]: [Dim, number, Dim, number] = x.shape
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, length, heads * size])
}

interface Rotation {
  /** `[batch, length, n]`, or `[length, n]` for all of a batch. */
  readonly cos: AnyTensor
  readonly sin: AnyTensor
  /** Whether pairs are neighbours, rather than an element of each half. */
  readonly interleaved: boolean
}

/** Turns pairs of the first 2n elements of each vector of `[batch, heads, length, size]` (Su et al. 2021). */
export function rotated(x: AnyTensor, { cos, sin, interleaved }: Rotation): AnyTensor {
  checkRank('vectors', x, 4)
  const size: Dim = x.shape.at(-1)
  const half: Dim = cos.shape.at(-1)
  if (typeof size !== 'number' || typeof half !== 'number' || half < 0 || 2 * half > size)
    throw new UserError(`angles of ${show(cos.shape)} do not fit vectors of ${show(x.shape)}`)
  const [turning, rest] = 2 * half < size ? split(x, -1, [2 * half, size - 2 * half]) : [x, undefined]
  const perHead = (t: AnyTensor): AnyTensor =>
    t.shape.length === 3 ? reshape(t, [t.shape[0], 1, ...t.shape.slice(1)]) : t
  const [c, s] = [perHead(cos), perHead(sin)]
  const last = axisOf('rotary', -1, x.shape.length)
  const part = (i: 0 | 1): AnyTensor =>
    interleaved ? slice(turning, last, i, 2 * half, 2) : slice(turning, last, i * half, (i + 1) * half)
  const [a, b] = [part(0), part(1)]
  const [real, imaginary] = [sub(mul(c, a), mul(s, b)), add(mul(s, a), mul(c, b))]
  const together = interleaved
    ? reshape(concat([column(real), column(imaginary)], last + 1), turning.shape)
    : concat([real, imaginary], last)
  return rest ? concat([together, rest], last) : together
}

const column = (x: AnyTensor): AnyTensor => reshape(x, [...x.shape, 1])

/** Vectors of heads as ONNX passes them: in 4 dims, or joined in 3. */
function perHead(x: AnyTensor, heads: number, of: (x: AnyTensor) => AnyTensor): AnyTensor {
  if (x.shape.length === 4) return of(x)
  if (!heads) throw new UserError(`an input of ${show(x.shape)} needs num_heads`)
  return joinHeads(of(splitHeads(x, heads)))
}

/** ONNX's own, with tables of angles for places, or the angles themselves. */
export function rotaryEmbedding(n: NodeReader): AnyTensor {
  const [x, places] = [n.data(0), n.optional(3)]
  n.int('rotary_embedding_dim', 0) // The angles have as many.
  const [cos, sin] = [n.data(1), n.data(2)].map(t => (places ? gather(t, places) : t))
  if (!cos || !sin) throw new UserError('has no angles')
  const rotation = { cos, sin, interleaved: n.flag('interleaved') }
  return perHead(x, n.int('num_heads', 0), y => rotated(y, rotation))
}

/** onnxruntime's: places come second, `[1]` for where all rows begin, or one for each token. */
export function microsoftRotaryEmbedding(n: NodeReader): AnyTensor {
  const [x, given, cos, sin] = [n.data(0), n.data(1), n.data(2), n.data(3)]
  if (n.float('scale', 1) !== 1) unsupported(`scale ${n.float('scale', 1)} is not supported, only 1`)
  if (n.flag('is_packed_batching')) unsupported('is_packed_batching 1 is not supported, only 0')
  if (x.shape.length !== 3) checkRank('an input', x, 4)
  checkRank('a table of cosines', cos, 2)
  const length: Dim = x.shape.at(-2)
  const places = given.shape.length === 1 ? add(positions(length), given) : given
  const size = cos.shape[1]
  const dim = n.int('rotary_embedding_dim', 0)
  const rotation = { cos: gather(cos, places), sin: gather(sin, places), interleaved: n.flag('interleaved') }
  const width: Dim = x.shape.at(-1)
  const heads = n.int('num_heads', 0)
  // Without a number of heads the angles say how wide one is.
  const own = heads || (dim || typeof width !== 'number' ? 0 : width / (2 * Number(size)))
  return perHead(x, own, y => rotated(y, rotation))
}
