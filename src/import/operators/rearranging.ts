import { UserError } from '../../graph/errors.ts'
import { nth } from '../../graph/present.ts'
import { axesOf, axisOf, type Dim, type Shape, show, UNKNOWN } from '../../graph/shape.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import { depthToSpace, depthToSpacePlain, spaceToDepth, spaceToDepthPlain } from '../../ops/depth-space.ts'
import { dropout } from '../../ops/dropout.ts'
import { greater, where } from '../../ops/elementwise.ts'
import layout, { concat, fill, pad, reshape, slice, split } from '../../ops/layout.ts'
import { tile } from '../../ops/tile.ts'
import '../../ops/col2im.ts'
import type { NodeReader } from '../node-reader.ts'
import type { Operators } from '../operator.ts'
import { unsupported } from '../unsupported.ts'

const isKnown = (dim: Dim): dim is number => typeof dim === 'number' && dim !== UNKNOWN

/** What onnxruntime has kernels for that move pixels. */
const PIXELS = ['float32', 'float64']

/** Numbers for all axes of a tensor, those at some of them and 0 elsewhere: what begins an axis, then what ends it. */
function padsOf(n: NodeReader, { length: rank }: Shape): number[] {
  const given = n.ints(n.has('paddings') ? 'paddings' : 'pads', 1)
  if (!given) throw new UserError('pads are missing')
  const axes = n.ints('axes', 3)?.map(a => axisOf('pad', a, rank)) ?? [...Array(rank).keys()]
  if (given.length !== 2 * axes.length)
    throw new UserError(`has ${given.length} pads; expected ${2 * axes.length}, two for each axis`)
  const pads = new Array<number>(2 * rank).fill(0)
  axes.forEach((axis, i) => {
    pads[axis] = nth(given, i)
    pads[axis + rank] = nth(given, i + axes.length)
  })
  return pads
}

/** Around `x`, the elements of its other end. */
const wrapped = (x: AnyTensor, pads: readonly number[]): AnyTensor =>
  [...x.shape.keys()].reduce<AnyTensor>((y, axis): AnyTensor => {
    const [before, after] = [nth(pads, axis), nth(pads, axis + x.shape.length)]
    const head = before ? [slice(y, axis, -before, Number.MAX_SAFE_INTEGER)] : []
    return concat([...head, y, ...(after ? [slice(y, axis, 0, after)] : [])], axis)
  }, x)

/** Pads with elements of `x` itself. Negative ones take elements away before. */
function paddedWith(x: AnyTensor, pads: readonly number[], mode: 'reflect' | 'edge' | 'wrap'): AnyTensor {
  const rank = x.shape.length
  const cut = pads.map(p => Math.min(p, 0))
  const inner = pad(x, cut.slice(0, rank), cut.slice(rank))
  const around = pads.map(p => Math.max(p, 0))
  const least = mode === 'reflect' ? 1 : 0
  for (const [i, p] of around.entries()) {
    const dim: Dim = inner.shape[i % rank]
    if (mode !== 'edge' && isKnown(dim) && p > dim - least)
      unsupported(
        `${mode} padding of ${p} at axis ${i % rank} of ${show(inner.shape)} repeats elements twice`,
      )
  }
  if (!around.some(Boolean)) return inner
  return mode === 'wrap' ? wrapped(inner, around) : layout.padWith(inner, around, mode)
}

/** Tensors cut, joined, repeated and padded. */
export const REARRANGING: Operators = {
  Concat(n) {
    const axis = n.attribute('axis', 'int') ?? (n.opset < 4 ? 1 : undefined)
    if (axis === undefined) throw new UserError('attribute axis is missing')
    return concat(n.all(), axis)
  },
  Split(n) {
    const x = n.data(0)
    const axis = axisOf('split', n.int('axis', 0), x.shape.length)
    const dim: Dim = x.shape[axis]
    const given = n.ints('split', 1)
    const parts = n.int('num_outputs', n.outputs)
    if (parts !== n.outputs)
      throw new UserError(`num_outputs is ${parts}, but the node has ${n.outputs} outputs`)
    if (typeof dim === 'string' || (!given && !isKnown(dim)))
      return unsupported(`axis ${axis} of ${show(x.shape)} has no known size to split`)
    // Equal parts; the last one takes the remainder.
    const size = Math.ceil(dim / parts)
    return split(x, axis, given ?? Array.from({ length: parts }, (_, i) => Math.min(size, dim - i * size)))
  },
  Tile(n) {
    const x = n.data(0)
    const repeats: Dim[] = x.shape.map(() => 1)
    if (n.opset < 6) {
      const [times, axis] = [n.number('tiles', 1), n.number('axis', 2)]
      if (times === undefined || axis === undefined) throw new UserError('tiles or axis is missing')
      repeats[axisOf('tile', axis, repeats.length)] = times
    } else repeats.splice(0, repeats.length, ...n.dims(1))
    if (repeats.includes(UNKNOWN)) return unsupported('repeats that only the run time knows')
    return repeats.every(r => r === 1) && repeats.length === x.shape.length ? x : tile(x, repeats)
  },
  Pad(n) {
    const x = n.data(0)
    const pads = padsOf(n, x.shape)
    const mode = n.text('mode', ['constant', 'reflect', 'edge', 'wrap'])
    const [before, after] = [pads.slice(0, x.shape.length), pads.slice(x.shape.length)]
    const given = n.input(2)
    if (mode === 'constant' && given && !given.known && !given.stored) {
      // A value of the run time takes the places that the padding of ones leaves at zero.
      const inside = pad(fill(1, 'float32', x.shape), before, after)
      return where(greater(inside, 0), pad(x, before, after), reshape(given.tensor(), []))
    }
    const value = n.number('value', 2) ?? 0
    if (mode !== 'constant') return paddedWith(x, pads, mode)
    return pad(x, before, after, value)
  },
  DepthToSpace(n) {
    const [x, block, mode] = [n.data(0), n.int('blocksize', 0), n.text('mode', ['DCR', 'CRD'])]
    return PIXELS.includes(x.dtype) ? depthToSpace(x, block, mode) : depthToSpacePlain(x, block, mode)
  },
  SpaceToDepth(n) {
    const [x, block, mode] = [n.data(0), n.int('blocksize', 0), n.text('mode', ['DCR', 'CRD'])]
    return PIXELS.includes(x.dtype) && mode === 'DCR'
      ? spaceToDepth(x, block)
      : spaceToDepthPlain(x, block, mode)
  },
  CenterCropPad(n) {
    const x = n.data(0)
    const rank = x.shape.length
    const target = n.dims(1)
    const axes = n.ints('axes')?.map(a => axisOf('centerCropPad', a, rank)) ?? axesOf('', undefined, rank)
    if (target.length !== axes.length)
      throw new UserError(`has ${target.length} sizes for ${axes.length} axes of ${show(x.shape)}`)
    const [before, after] = [x.shape.map(() => 0), x.shape.map(() => 0)]
    for (const [i, axis] of axes.entries()) {
      const [have, want]: [Dim, Dim] = [x.shape[axis], nth(target, i)]
      if (have === want && want !== UNKNOWN) continue
      if (!isKnown(have) || !isKnown(want))
        return unsupported(`a centre of ${want} at axis ${axis} of ${show(x.shape)}, whose size is not known`)
      // The middle, rounded down.
      const room = Math.abs(want - have)
      const low = Math.floor(room / 2)
      before[axis] = want < have ? -low : low
      after[axis] = want < have ? low - room : room - low
    }
    return pad(x, before, after)
  },
  Dropout(n) {
    for (const name of ['seed', 'is_test']) n.attribute(name, 'int')
    const x = n.data(0)
    const rate = n.number('training_mode', 2) ? (n.number('ratio', 1) ?? 0.5) : 0
    // The rate does not count elsewhere.
    n.attribute('ratio', 'float')
    n.input(1)
    // A file that was exported in training mode: training steps drop, nothing else does.
    if (rate) return dropout(x, rate)
    if (n.outputs < 2) return n.value(0)
    // Nothing is dropped; before opset 12 onnxruntime gives zeros.
    const [kept, dtype] = [Number(n.opset >= 12), n.opset < 10 ? x.dtype : 'bool']
    const mask = x.shape.includes(UNKNOWN) ? undefined : fill(kept, dtype, x.shape)
    return [x, mask]
  },
}
