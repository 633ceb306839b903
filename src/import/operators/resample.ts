import { UserError } from '../../graph/errors.ts'
import { axisOf, type Shape, show, UNKNOWN } from '../../graph/shape.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import { type ResizeAttrs, resize } from '../../ops/resize.ts'
import type { NodeReader } from '../node-reader.ts'
import type { Operators } from '../operator.ts'
import { unsupported } from '../unsupported.ts'

const MODES = ['nearest', 'linear', 'cubic'] as const
const COORDINATES = [
  'half_pixel',
  'half_pixel_symmetric',
  'pytorch_half_pixel',
  'align_corners',
  'asymmetric',
  'tf_half_pixel_for_nn',
  'tf_crop_and_resize',
] as const
const NEAREST = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'] as const
const POLICIES = ['stretch', 'not_larger', 'not_smaller'] as const

const DEFAULTS = { cubic_coeff_a: -0.75, exclude_outside: false, extrapolation_value: 0 } as const

/** Upsample, and Resize before opset 11: element i of the output lies at i / scale, which shrinking rounds up. */
function scaled(n: NodeReader): AnyTensor {
  const x = n.data(0)
  const mode = n.text('mode', ['nearest', 'linear'])
  checkType(x, mode)
  const scales = n.numbers('scales', 1)
  if (!scales) throw new UserError('scales are missing')
  const part = (y: AnyTensor, own: readonly number[], nearest_mode: 'floor' | 'ceil') =>
    own.every(s => s === 1)
      ? y
      : resize(y, {
          ...DEFAULTS,
          mode,
          coordinate_transformation_mode: 'asymmetric',
          nearest_mode,
          scales: own,
        })
  if (mode === 'linear') return part(x, scales, 'floor')
  const grown = part(
    x,
    scales.map(s => Math.max(s, 1)),
    'floor',
  )
  return part(
    grown,
    scales.map(s => Math.min(s, 1)),
    'ceil',
  )
}

function checkType(x: AnyTensor, mode: string): void {
  if (mode !== 'nearest' && !x.dtype.startsWith('float'))
    unsupported(`mode ${mode} of ${x.dtype} is not supported, only of floats`)
}

/** The list of an input, which opset 11 leaves empty where there is none. */
const filled = <T extends readonly unknown[]>(list: T | undefined): T | undefined =>
  list?.length ? list : undefined

function resized(n: NodeReader): AnyTensor {
  const x = n.data(0)
  const shape: Shape = x.shape
  const mode = n.text('mode', MODES)
  checkType(x, mode)
  const coordinates = n.text('coordinate_transformation_mode', COORDINATES)
  const crops = coordinates === 'tf_crop_and_resize'
  const policy = n.text('keep_aspect_ratio_policy', POLICIES)
  const axes = n.ints('axes')?.map(a => axisOf('axes', a, shape.length))
  n.input(1) // which other modes do not read
  const given = { roi: crops ? n.numbers('roi', 1) : undefined, ...extentOf(n) }
  const whole = policy === 'stretch' && axes ? onAllAxes(given, axes, shape) : undefined
  const attrs: ResizeAttrs = {
    ...(whole ?? { ...given, axes }),
    mode,
    coordinate_transformation_mode: coordinates,
    nearest_mode: n.text('nearest_mode', NEAREST),
    cubic_coeff_a: n.float('cubic_coeff_a', -0.75),
    exclude_outside: n.flag('exclude_outside'),
    extrapolation_value: n.float('extrapolation_value', 0),
    antialias: n.flag('antialias') && mode !== 'nearest' ? true : undefined,
    keep_aspect_ratio_policy: policy === 'stretch' || !given.sizes ? undefined : policy,
  }
  const wanted = 2 * (axes?.length ?? shape.length)
  if (crops && given.roi?.length !== wanted)
    throw new UserError(`roi has ${given.roi?.length ?? 0} numbers; tf_crop_and_resize needs ${wanted}`)
  return resize(x, attrs)
}

type Extent = Pick<ResizeAttrs, 'roi' | 'scales' | 'sizes'>

function extentOf(n: NodeReader): Extent {
  const scales = filled(n.numbers('scales', 2))
  const sizes = n.input(3) ? filled(n.dims(3)) : undefined
  if (sizes?.includes(UNKNOWN))
    unsupported(`sizes ${show(sizes)} (input 3) depend on more than the sizes of the graph's inputs`)
  return { scales, sizes }
}

/** What is given for some axes, for all; undefined where a size would have to be known, which a file cannot write. */
function onAllAxes({ roi, scales, sizes }: Extent, axes: readonly number[], x: Shape): Extent | undefined {
  const list = <T>(all: readonly T[], own: readonly T[]): readonly T[] =>
    axes.reduce((a, axis, i) => (i < own.length ? a.with(axis, own[i] as T) : a), all)
  const half = axes.length
  const ends = x.map(() => 1)
  const whole = {
    roi: roi && [
      ...list(
        x.map(() => 0),
        roi.slice(0, half),
      ),
      ...list(ends, roi.slice(half)),
    ],
    scales: scales && list(ends, scales),
    sizes: sizes && list(x, sizes),
  }
  return whole.sizes?.includes(UNKNOWN) ? undefined : whole
}

/** Operators that change the size of images. */
export const RESAMPLING: Operators = {
  Resize: n => (n.opset < 11 ? scaled(n) : resized(n)),
  Upsample: scaled,
}
