/** Random cases of the rules of images, norms of channels and patterns, as in `differential.ts`. */
import * as images from '../../src/graph/images.ts'
import { matchShape } from '../../src/graph/pattern.ts'
import * as shapes from '../../src/graph/shape.ts'
import { type Dim, type Shape, UNKNOWN } from '../../src/graph/shape.ts'
import { type Case, type Draw, type } from './draw.ts'

/** An option of a window: one number, two, or none. */
function windowOption(
  d: Draw,
  name: string,
  values: readonly number[],
): [value?: images.Pair, type?: string] {
  if (d.chance(0.4)) return []
  const [a, b] = [d.pick(values), d.pick(values)]
  const key = d.chance(d.hidden) ? `${name}?` : name
  if (d.chance(0.5)) return [a, `${key}: ${d.size(a)}`]
  return [[a, b], `${key}: ${d.literal(`readonly [${d.size(a)}, ${d.size(b)}]`)}`]
}

/** Options of a window, mostly such as are possible. */
function windowOptions(d: Draw): { readonly options: images.WindowOptions; readonly type: string[] } {
  const [stride, strideType] = windowOption(d, 'stride', [1, 1, 2, 3])
  const [padding, paddingType] = windowOption(d, 'padding', [0, 1, 1, 2, 12])
  const [dilation, dilationType] = windowOption(d, 'dilation', [1, 1, 2, 3])
  return {
    options: { stride, padding, dilation },
    type: [strideType, paddingType, dilationType].filter(t => t !== undefined),
  }
}

/** A dim that is large enough for most windows. */
const extent = (d: Draw): Dim => (d.chance(0.3) ? d.dim() : d.pick([8, 12, 17, 28, 32, 224, 1023]))
const kernel = (d: Draw): number => d.pick([1, 2, 3, 3, 5, 7, 11])

export const IMAGE_RULES: Record<string, (d: Draw) => Case> = {
  pool(d) {
    const x = d.chance(0.05) ? d.shape(0, 5) : [d.dim(), d.dim(), extent(d), extent(d)]
    const size: images.Pair = d.chance(0.5) ? kernel(d) : [kernel(d), d.chance(0.05) ? 0 : kernel(d)]
    const { options, type } = windowOptions(d)
    const shown = typeof size === 'number' ? d.size(size) : `readonly ${d.list(size)}`
    return {
      type: `Pool<'maxPool2d', ${d.type(x)}, ${shown}, { ${type.join('; ')} }>`,
      run: () => {
        images.images('maxPool2d', x)
        const given = { ...options, stride: options.stride ?? size }
        return images.pool('maxPool2d', x, images.windowAttrs('maxPool2d', size, given))
      },
    }
  },
  conv2d(d) {
    const groups = d.pick([1, 1, 1, 2, 3])
    const perGroup = d.pick([1, 2, 3, 16, 'c'] as Dim[])
    const outputs = d.chance(0.1) ? d.dim() : groups * d.pick([1, 2, 4, 16])
    const channels = d.near(shapes.product([perGroup, groups]))
    const x = d.chance(0.05) ? d.shape(0, 5) : [d.dim(), channels, extent(d), extent(d)]
    const weight = d.chance(0.05) ? d.shape(0, 3) : [outputs, perGroup, kernel(d), kernel(d)]
    const { options, type } = windowOptions(d)
    if (groups > 1 || d.chance(0.2)) type.push(`groups: ${d.size(groups)}`)
    return {
      type: `Conv2d<'conv2d', ${d.type(x)}, ${d.type(weight)}, { ${type.join('; ')} }>`,
      run: () => {
        images.images('conv2d', x)
        images.filters('conv2d', weight)
        const attrs = images.windowAttrs('conv2d', weight.slice(2) as [number, number], options)
        return images.conv('conv2d', x, weight, undefined, groups, attrs)
      },
    }
  },
  options(d) {
    const name = d.pick(['padding', 'stride', 'dilation'])
    const [value, type] = windowOption(d, name, [-2, -1, 0, 0, 1, 2, 3, 1.5])
    const options = type ? `{ ${type} }` : 'Nothing'
    return {
      type: `First<CheckOptions<'conv2d', ${options}, Known>>`,
      run: () => {
        images.windowAttrs('conv2d', 1, { [name]: value })
        return []
      },
    }
  },
  channels(d) {
    const x = d.shape(d.chance(0.1) ? 0 : 2, 4)
    const weight = d.chance(0.1) ? d.shape(0, 2) : [d.near(x[1] ?? 3)]
    return {
      type: `PerChannel<'batchNorm', 'weight', ${d.type(x)}, ${d.type(weight)}>`,
      run: () => {
        images.channels('batchNorm', x, { weight })
        return weight
      },
    }
  },
  groupNorm(d) {
    const x = d.shape(d.chance(0.1) ? 0 : 2, 4).map((dim, i) => (i === 1 && dim === UNKNOWN ? 12 : dim))
    const groups = d.pick([0, 1, 2, 4, 8])
    const weight = [d.near(x[1] ?? 3)]
    return {
      type: `GroupNorm<'groupNorm', ${d.type(x)}, ${d.size(groups)}, ${d.type(weight)}>`,
      run: () => {
        images.channelsPerGroup('groupNorm', x, groups)
        images.channels('groupNorm', x, { weight })
        return x
      },
    }
  },
}

/** A dim that a body makes of the dims of its pattern, for any dims in their places. */
type Derived = (of: (dim: Dim) => Dim) => Dim

function derive(d: Draw, pattern: Shape, depth: number): Derived {
  if (!depth || d.chance(0.3)) {
    const dim = d.chance(0.3) || !pattern.length ? d.pick([1, 2, 3, 17, 64]) : d.pick(pattern)
    return of => of(dim)
  }
  const parts = Array.from({ length: d.int(1, 3) }, () => derive(d, pattern, depth - 1))
  const join = d.pick([shapes.sum, shapes.product])
  return of => join(parts.map(part => part(of)))
}

export const PATTERN_RULES: Record<string, (d: Draw) => Case> = {
  pattern(d) {
    const symbols = ['B', 'T', 'N']
    const pattern = Array.from({ length: d.int(0, 4) }, () =>
      d.chance(0.3) ? d.pick([1, 3, 64]) : d.pick(symbols),
    )
    // Nothing is empty: 0 times something unknown is 0 or unknown, according to what is multiplied first.
    const sizes = () => d.pick([1, 1, 2, 3, 17, 64, 'batch', 'n', 'batch*17', 'past+1', UNKNOWN, 'B', 'T'])
    const bound = new Map(symbols.map(symbol => [symbol, sizes()]))
    const shape = pattern
      .map(dim => (typeof dim === 'string' ? bound.get(dim)! : dim))
      .map(dim => (d.chance(0.06) ? sizes() : dim))
    if (d.chance(0.05)) shape.push(3)
    const results = Array.from({ length: d.int(0, 3) }, () => derive(d, pattern, 2))
    const made = results.filter(dim => dim(x => x) !== UNKNOWN)
    return {
      type: `Layered<[${pattern.map(dim => (typeof dim === 'number' ? d.size(dim) : `'${dim}'`)).join(', ')}], ${d.type(shape)}, ${type(made.map(dim => dim(x => x)))}>`,
      run: () => {
        const found = matchShape('layer', pattern, shape)
        return made.map(dim => dim(x => (typeof x === 'string' ? found.get(x)! : x)))
      },
    }
  },
}
