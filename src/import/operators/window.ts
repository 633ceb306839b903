import { isConcrete } from '../../graph/bind.ts'
import { UserError } from '../../graph/errors.ts'
import { paddingOf, reachOf, type WindowAttrs } from '../../graph/images.ts'
import { nth } from '../../graph/present.ts'
import { equalShape, product, type Shape, show, sum as sumOf, UNKNOWN } from '../../graph/shape.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import convs from '../../ops/conv.ts'
import { abs, add, mul, pow, sqrt } from '../../ops/elementwise.ts'
import { scatterAdd } from '../../ops/gather.ts'
import { pad, reshape } from '../../ops/layout.ts'
import pools from '../../ops/pool.ts'
import { max, mean, sum } from '../../ops/reduce.ts'
import type { NodeReader } from '../node-reader.ts'
import type { Operators } from '../operator.ts'
import { unsupported } from '../unsupported.ts'
import { activated } from './fused-activation.ts'
import { paddingFor, padsOf, perAxis, poolOf, transposedOf, windowOf } from './window-attrs.ts'

/** Sizes of the filters of a weight; a node may say them once more. */
function kernelOf(n: NodeReader, x: Shape, w: Shape): readonly number[] {
  const kernel = w.slice(2)
  if (x.length < 3 || w.length !== x.length)
    throw new UserError(
      `takes [n, channels, ...] and a weight of as many dims, not ${show(x)} and ${show(w)}`,
    )
  const given = n.has('kernel_shape') ? perAxis(n, 'kernel_shape', x, { least: 1 }) : undefined
  if (!isConcrete(kernel))
    return (
      given ?? unsupported(`the sizes of the weight ${show(w)} are not known; give the sizes of the inputs`)
    )
  if (given && String(given) !== String(kernel))
    throw new UserError(`kernel_shape is [${given.join(',')}], but the weight is ${show(w)}`)
  return kernel
}

function convolution(n: NodeReader): AnyTensor {
  const [x, w, b] = [n.data(0), n.data(1), n.optional(2)]
  const attrs = { ...windowOf(n, x.shape, kernelOf(n, x.shape, w.shape)), group: n.int('group', 1) }
  return convs.Conv.apply(b ? [x, w, b] : [x, w], attrs)
}

function transposed(n: NodeReader): AnyTensor {
  const [x, w, b] = [n.data(0), n.data(1), n.optional(2)]
  const window = transposedOf(n, x.shape, kernelOf(n, x.shape, w.shape))
  return convs.ConvTranspose.apply(b ? [x, w, b] : [x, w], { ...window, group: n.int('group', 1) })
}

function maxPool(n: NodeReader): readonly AnyTensor[] {
  const x = n.data(0)
  const indices = n.outputs > 1
  if (n.flag('storage_order') && indices)
    unsupported('storage_order 1 (indices by columns) is not supported, only 0')
  return pools.MaxPool.applyAll([x], { ...poolOf(n, x.shape), indices }).filter(y => y !== undefined)
}

/** Dilations that change something: only newer opsets can write them. */
const dilationsOf = ({ dilations }: WindowAttrs): readonly number[] | undefined =>
  dilations.some(d => d > 1) ? dilations : undefined

function averagePool(n: NodeReader): AnyTensor {
  const x = n.data(0)
  const window = poolOf(n, x.shape)
  return pools.AveragePool.apply([x], {
    ...window,
    dilations: dilationsOf(window),
    count_include_pad: n.flag('count_include_pad') ? 1 : 0,
  })
}

const power = (x: AnyTensor, p: number): AnyTensor =>
  p === 1 ? abs(x) : p === 2 ? mul(x, x) : pow(abs(x), p)
const root = (x: AnyTensor, p: number): AnyTensor => (p === 1 ? x : p === 2 ? sqrt(x) : pow(x, 1 / p))

/** (Σ |x|ᵖ)^(1/p), where the sum is the mean of a window times its elements. */
function lpPool(n: NodeReader): AnyTensor {
  const x = n.data(0)
  const p = exponent(n)
  const window = poolOf(n, x.shape)
  const { before, after } = paddingFor(window, x.shape)
  const padded = pad(power(x, p), [0, 0, ...before], [0, 0, ...after])
  const means = pools.AveragePool.apply([padded], {
    ...window,
    pads: window.pads.map(() => 0),
    ceil_mode: undefined,
    dilations: dilationsOf(window),
    count_include_pad: 1,
  })
  return root(mul(means, Number(product(window.kernel_shape))), p)
}

function exponent(n: NodeReader): number {
  const p = n.int('p', 2)
  if (p < 1) throw new UserError(`p is ${p}; it must be at least 1`)
  return p
}

/** Axes after the channels. */
function spatial({ shape }: AnyTensor): number[] {
  if (shape.length < 3) throw new UserError(`takes [n, channels, ...], not ${show(shape)}`)
  return [...shape.keys()].slice(2)
}

/** Elements set into zeros where they stood before pooling. */
function maxUnpool(n: NodeReader): AnyTensor {
  const [x, indices] = [n.data(0), n.data(1)]
  const shape: Shape = x.shape
  const window: WindowAttrs = {
    kernel_shape: perAxis(n, 'kernel_shape', shape, { least: 1 }),
    strides: perAxis(n, 'strides', shape, { least: 1, otherwise: 1 }),
    pads: padsOf(n, shape),
    dilations: shape.slice(2).map(() => 1),
  }
  // An element that two windows share would be added up.
  if (window.strides.some((stride, i) => stride < nth(window.kernel_shape, i)))
    unsupported(
      `strides [${window.strides.join(',')}] below the kernel [${window.kernel_shape.join(',')}] are not supported`,
    )
  const sizes = window.strides.map((stride, i) => {
    const [before, after] = paddingOf(window, i)
    const rest = reachOf(window, i) + 1 - stride - before - after
    return rest < 0 && typeof x.shape[i + 2] === 'string'
      ? UNKNOWN
      : sumOf([product([nth(shape, i + 2), stride]), rest])
  })
  const to = [...shape.slice(0, 2), ...sizes]
  // Indices count in this shape for ONNX, and in the other for onnxruntime.
  if (n.inputs[2] && !equalShape(to, n.dims(2)))
    unsupported(`output_shape ${show(n.dims(2))} other than ${show(to)} is not supported`)
  const flat = (t: AnyTensor): AnyTensor => reshape(t, [product(t.shape)])
  return reshape(scatterAdd([product(to)], flat(indices), flat(x), 0), to)
}

function fusedConv(n: NodeReader): AnyTensor {
  const y = convolution(n)
  const z = n.optional(3)
  const name = n.text('activation', ['', 'Relu', 'Tanh', 'Sigmoid', 'LeakyRelu', 'Clip', 'HardSigmoid'])
  const given = n.attribute('activation_params', 'floats') ?? []
  return activated(z ? add(y, z) : y, name, given.length ? [given[0] ?? 0, given[1] ?? 0] : [])
}

/** What windows see: convolutions and pooling over any number of axes. */
export const WINDOWS: Operators = {
  Conv: convolution,
  ConvTranspose: transposed,
  MaxPool: maxPool,
  AveragePool: averagePool,
  LpPool: lpPool,
  MaxUnpool: maxUnpool,
  GlobalAveragePool: n => mean(n.data(0), spatial(n.data(0)), true),
  GlobalMaxPool: n => max(n.data(0), spatial(n.data(0)), true),
  GlobalLpPool(n) {
    const [x, p] = [n.data(0), exponent(n)]
    return root(sum(power(x, p), spatial(x), true), p)
  },
}

/** Those that onnxruntime's optimizer writes. */
export const FUSED_WINDOWS: Operators = { FusedConv: fusedConv }
