import type { FileInfo } from '../export/read.ts'
import { UserError } from '../graph/errors.ts'
import type { Normalization } from '../graph/normalization.ts'
import { nth } from '../graph/present.ts'
import { type Dim, type Shape, show } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { inputsOf } from '../import/import.ts'
import { type LoadOptions, loadInfo } from '../import/load.ts'
import { imageInput, type Model } from '../nn/model.ts'
import { normalized } from '../nn/normalize.ts'
import { reading } from '../nn/rewrite.ts'
import { concat, slice, transpose } from '../ops/layout.ts'
import { headOf } from './head.ts'
import { forChannels, IMAGENET, type Preparation } from './preparation.ts'

/** Options of `imageClassifier`. */
export interface ClassifierOptions {
  /** What is said beside the file of how its pictures were prepared. @default nothing */
  readonly preparation?: Preparation | undefined
  /**
   * Normalization of pixels in [0, 1]: a mean and deviation per channel, `imagenet`, or `none` where the file takes them as they are.
   * @default what file and `preparation` say; else ImageNet's for 3 channels and none for 1
   */
  readonly normalize?: 'imagenet' | 'none' | Normalization | undefined
  /** Height and width of the pictures, where the file leaves them open. @default what `preparation` says */
  readonly size?: readonly [height: number, width: number] | undefined
}

/** A classifier of pictures that a file holds. */
export interface FileClassifier {
  /** Reads `image`, `[batch, channels, height, width]` with pixels in [0, 1]. */
  readonly model: Model
  /** The number of classes of its output. */
  readonly classes: number
  /** Their names, where they are known. */
  readonly classNames?: readonly string[]
  /** What was assumed, in sentences for the user. */
  readonly notes: readonly string[]
}

type Layout = 'first' | 'last'

interface ImagePort {
  readonly name: string
  readonly layout: Layout
  readonly shape: readonly [channels: number, height: number, width: number]
}

const isChannels = (d: Dim | undefined): boolean => d === 1 || d === 3

/** The image that a file takes. @throws UserError for another input, or sizes that nobody knows */
function portOf(
  path: string,
  inputs: Readonly<Record<string, Tensor>>,
  { size, preparation }: ClassifierOptions,
): ImagePort {
  const all = Object.entries(inputs)
  const shown = all.map(([name, t]) => `${name} ${t.dtype} ${show(t.shape)}`).join(', ') || 'no input'
  const [name, t] = all[0] ?? []
  if (all.length !== 1 || !name || t?.dtype !== 'float32' || t.shape.length !== 4)
    throw new UserError(
      `${path}: takes ${shown}; a classifier of pictures takes one input, float32 [batch, channels, height, width]`,
    )
  if (typeof t.shape[0] === 'number')
    throw new UserError(
      `${path}: takes ${shown}: it was exported for ${t.shape[0]} examples at a time; export it with a dynamic batch, or for one example`,
    )
  const layout: Layout = !isChannels(t.shape[1]) && isChannels(t.shape[3]) ? 'last' : 'first'
  const channels = t.shape[layout === 'last' ? 3 : 1]
  if (typeof channels !== 'number' || !isChannels(channels))
    throw new UserError(`${path}: takes ${shown}; pictures have 1 or 3 channels`)
  const places: Shape = layout === 'last' ? t.shape.slice(1, 3) : t.shape.slice(2)
  const wanted = size ?? preparation?.size
  const sides = places.map((d, i) => {
    if (typeof d === 'number' && d > 0) return d
    if (wanted) return nth(wanted, i)
    throw new UserError(`${path}: takes ${shown}: set the size of its pictures (--image, or the option size)`)
  })
  return { name, layout, shape: [channels, nth(sides, 0), nth(sides, 1)] }
}

/** Mean 0 and deviation 1. */
const plain = (channels: number): Normalization => ({
  mean: Array.from({ length: channels }, () => 0),
  std: Array.from({ length: channels }, () => 1),
})

/** What normalizes pixels before the file reads them, and what was assumed. */
function normalizationOf(
  path: string,
  channels: number,
  { normalize, preparation }: ClassifierOptions,
): { readonly values: Normalization; readonly note?: string } {
  if (typeof normalize === 'object') return { values: normalize }
  if (normalize === 'none') return { values: plain(channels) }
  if (normalize === 'imagenet' && channels !== 3)
    throw new UserError(`${path}: takes 1 channel; the normalization of ImageNet is for 3`)
  const said = normalize ? undefined : forChannels(preparation?.normalization, channels)
  if (said && said.mean.length === channels && said.std.length === channels)
    return { values: said, note: `pixels are normalized as ${preparation?.from.join(' and ')} says` }
  if (said)
    throw new UserError(
      `${path}: takes ${channels} ${channels === 1 ? 'channel' : 'channels'}, but ${preparation?.from.join(' and ')} normalizes ${said.mean.length}; decide it by the option normalize: imagenet, or none`,
    )
  if (normalize === 'imagenet') return { values: IMAGENET }
  return channels === 3
    ? {
        values: IMAGENET,
        note: `${path} does not say how its pictures were normalized: mean and deviation of ImageNet are assumed`,
      }
    : {
        values: plain(channels),
        note: `${path} does not say how its pictures were normalized: pixels in [0, 1] are assumed`,
      }
}

/** {@link loadInfo}; a file of one example may hold that number in more places than its input. */
function loadFreed(info: FileInfo, path: string, options: LoadOptions): Model {
  try {
    return loadInfo(info, path, options)
  } catch (error) {
    const [input] = Object.values(inputsOf(info, path))
    if (!(error instanceof UserError) || input?.shape[0] !== 1) throw error
    throw new UserError(`${error.message}; it was exported for one example: export it with a dynamic batch`, {
      cause: error,
    })
  }
}

/**
 * A file as a classifier of pictures, whatever its layout (channels first or last, RGB or BGR) and normalization: it reads `image` with
 * pixels in [0, 1], as models of onnxgrad do. Its weights are parameters under the names that they have in the file.
 * @param path the file's name in messages
 * @throws UserError when the file takes no picture, or does not classify it
 */
export function imageClassifier(
  info: FileInfo,
  path: string,
  options: ClassifierOptions = {},
): FileClassifier {
  const { preparation } = options
  const port = portOf(path, inputsOf(info, path, { freeBatch: true }), options)
  const [channels, height, width] = port.shape
  const sizes = port.layout === 'last' ? [height, width, channels] : port.shape
  const loaded = loadFreed(info, path, { inputs: { image: { shape: sizes } }, freeBatch: true })
  const { classes } = headOf(loaded)
  if (info.classes && info.classes.length !== classes)
    throw new UserError(`${path}: has ${classes} classes, but its metadata names ${info.classes.length}`)
  // A config.json may be of another model.
  const beside = preparation?.classes
  const others = beside && beside.length !== classes
  const classNames = info.classes ?? (others ? undefined : beside)
  const ignored =
    others && !info.classes
      ? `the ${beside.length} names of classes in config.json are left out: ${path} has ${classes} classes`
      : undefined
  const shared = { classes, ...(classNames ? { classNames } : {}) }
  // The graph normalizes already.
  if (Object.hasOwn(loaded.normalization, 'image'))
    return { ...shared, model: loaded, notes: ignored ? [ignored] : [] }
  const { values, note } = normalizationOf(path, channels, options)
  const bgr = preparation?.bgr === true && channels === 3
  const ordered = (x: AnyTensor): AnyTensor =>
    bgr
      ? concat(
          [2, 1, 0].map(i => slice(x, 1, i, i + 1)),
          1,
        )
      : x
  const turned = (x: AnyTensor): AnyTensor => (port.layout === 'last' ? transpose(x, [0, 2, 3, 1]) : x)
  const isPlain = values.mean.every(m => m === 0) && values.std.every(s => s === 1)
  const net = reading(loaded, 'image', {
    port: imageInput(...port.shape),
    change: x => turned(ordered(x)),
    ...(isPlain ? { normalization: values } : {}),
  })
  const model = isPlain ? net : normalized(net, 'image', values)
  const notes = [
    note,
    bgr && `channels are given in the order blue, green, red, as ${preparation?.from.join(' and ')} says`,
    ignored,
  ]
  return { ...shared, model, notes: notes.flatMap(n => (n ? [n] : [])) }
}
