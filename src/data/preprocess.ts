import { UserError } from '../graph/errors.ts'
import { printable } from '../graph/printable.ts'
import type { Shape } from '../graph/shape.ts'
import { centreDigit, type Gray, type Ink, inkOf, isBlank } from './digit.ts'
import { type Pixels, resample, type Size } from './resample.ts'

/**
 * How pictures become a model's input. It is part of a model's training data, is recorded in its run and files, and is applied to every picture that
 * the model receives.
 *
 * - `resize`: the shorter side is resized to the input's, and the middle is cropped (torchvision's `Resize(size)`, `CenterCrop(size)`,
 *   `Grayscale`)
 * - `stretch`: resized to the input's height and width, ignoring the aspect ratio (torchvision's `Resize((height, width))`)
 * - `digit`: a drawing becomes a digit as in MNIST: cropped to its ink, scaled, centred by mass, light on dark. `ink` is what most training
 *   pictures have: it decides for drawings whose border does not say clearly what is ink and what is ground.
 */
export type Preprocessing =
  | { readonly kind: 'resize' }
  | { readonly kind: 'stretch' }
  | { readonly kind: 'digit'; readonly ink: Ink }

/** Ways to make a picture the input of a model. */
export type PreprocessingKind = Preprocessing['kind']
export const PREPROCESSING_KINDS = ['resize', 'stretch', 'digit'] as const satisfies PreprocessingKind[]

export const RESIZE: Preprocessing = { kind: 'resize' }
/** How MNIST's digits were made. */
export const MNIST_DIGIT: Preprocessing = { kind: 'digit', ink: 'light' }

/** Without knowing the ink of the training pictures it is MNIST's. */
export const preprocessingOfKind = (kind: PreprocessingKind): Preprocessing =>
  kind === 'digit' ? MNIST_DIGIT : { kind }

/** What a model takes: 1 channel (grayscale) or 3 (RGB). */
export type ImageShape = readonly [channels: number, height: number, width: number]

/** What pictures are made into, and how. */
export interface Target {
  readonly shape: ImageShape
  readonly preprocessing: Preprocessing
}

/** Whether a value, such as one of a file's metadata, is a {@link Preprocessing}. */
export function isPreprocessing(value: unknown): value is Preprocessing {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return false
  if (value.kind === 'digit') return 'ink' in value && (value.ink === 'light' || value.ink === 'dark')
  return value.kind === 'resize' || value.kind === 'stretch'
}

/** A shape as one that pictures can be brought to. @throws UserError when it has another number of channels */
export function imageShape(shape: readonly number[], name: string): ImageShape {
  const [channels = 0, height = 0, width = 0] = shape
  if (shape.length !== 3 || (channels !== 1 && channels !== 3))
    throw new UserError(`${name}: a picture has 1 or 3 channels, but this model takes ${channels}`)
  return [channels, height, width]
}

/** How a picture was prepared: the bytes for the model, and how they came about. */
export interface Preprocessed {
  /** `[channels, height, width]`, 0 … 255. */
  readonly image: Uint8Array
  /** Whether dark ink was made light. */
  readonly inverted: boolean
  /** Whether it is a digit without ink. */
  readonly blank: boolean
}

/** A picture as a model's input. Equal pictures give equal bytes, in Node and in pages. */
export function preprocess(picture: Pixels, how: Preprocessing, shape: ImageShape): Preprocessed {
  const [channels, height, width] = shape
  if (how.kind === 'digit') {
    const drawing = grayscale(picture)
    const ink = inkOf(drawing) ?? how.ink
    const digit: Gray = { data: centreDigit(drawing, ink, { width, height }), width, height, channels: 1 }
    return { image: planes(digit, channels), inverted: ink === 'dark', blank: isBlank(drawing) }
  }
  const resized = (how.kind === 'resize' ? covering : resample)(picture, { width, height })
  return {
    image: planes(channels === 1 ? grayscale(resized) : resized, channels),
    inverted: false,
    blank: false,
  }
}

/**
 * {@link preprocess} for a picture that is to be classified.
 * @param name its name in error messages
 * @throws UserError when it is a blank drawing where a digit is wanted
 */
export function preprocessInked(
  name: string,
  picture: Pixels,
  how: Preprocessing,
  shape: ImageShape,
): Omit<Preprocessed, 'blank'> {
  const { blank, ...prepared } = preprocess(picture, how, shape)
  if (blank) throw new UserError(`${name}: is blank: there is no ink to center`)
  return prepared
}

/** In words, what `preprocess` does. */
export function preprocessingInWords({ kind }: Preprocessing, [channels, height, width]: ImageShape): string {
  const size = `${height} × ${width}, ${channels === 1 ? 'grayscale' : 'RGB'}`
  if (kind === 'digit') return `digit: cropped to its ink, centered by mass, light on dark, ${size}`
  const way = kind === 'resize' ? 'shorter side resized, center crop' : 'stretched'
  return `${kind}: ${way} to ${size}`
}

/** How a model's pictures are preprocessed if its file does not record it: digits where it can only be MNIST's, else `resize`. */
export const presumedPreprocessing = (shape: Shape, classes: readonly string[] | undefined): Preprocessing =>
  shape.join() === '1,28,28' && classes?.join() === '0,1,2,3,4,5,6,7,8,9' ? MNIST_DIGIT : RESIZE

/**
 * How pictures become a file's input: as the file records it, else as presumed (files of other programs and of releases up to 0.1.0).
 * @throws UserError when the file names a way that is not known
 */
export function preprocessingOf(
  {
    preprocessing,
    classes,
  }: { readonly preprocessing?: unknown; readonly classes?: readonly string[] | undefined },
  shape: readonly number[],
  name: string,
): Preprocessing {
  if (preprocessing === undefined) return presumedPreprocessing(shape, classes)
  if (isPreprocessing(preprocessing)) return preprocessing
  throw new UserError(
    `${name}: its preprocessing is ${printable(JSON.stringify(preprocessing), 300)}, which this release does not support`,
  )
}

/** ITU-R 601-2 luma, to the bit as Pillow's `convert('L')`. */
export function grayscale({ data, width, height, channels }: Pixels): Gray {
  if (channels === 1) return { data, width, height, channels }
  const gray = new Uint8Array(width * height)
  for (let i = 0, at = 0; i < gray.length; i++, at += 3)
    gray[i] =
      (Number(data[at]) * 19595 + Number(data[at + 1]) * 38470 + Number(data[at + 2]) * 7471 + 0x8000) >> 16
  return { data: gray, width, height, channels: 1 }
}

/** Whether a picture has no colour. */
export function isGray({ data, channels }: Pixels): boolean {
  if (channels === 1) return true
  for (let i = 0; i < data.length; i += 3) {
    if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return false
  }
  return true
}

/** A picture resized to cover `to`, and its middle, with torchvision's rounding. */
function covering(picture: Pixels, to: Size): Pixels {
  const { width, height } = picture
  const byWidth = height * to.width >= width * to.height
  const whole = byWidth
    ? { width: to.width, height: Math.trunc((to.width * height) / width) }
    : { width: Math.trunc((to.height * width) / height), height: to.height }
  const left = halfToEven((whole.width - to.width) / 2)
  const top = halfToEven((whole.height - to.height) / 2)
  return resample(picture, whole, { left, top, ...to })
}

/** Rounds as Python does. */
const halfToEven = (x: number): number => {
  const up = Math.round(x)
  return x % 1 === 0.5 && up % 2 ? up - 1 : up
}

/** Channel after channel. */
function planes({ data, width, height, channels: had }: Pixels, channels: number): Uint8Array {
  const plane = width * height
  const image = new Uint8Array(channels * plane)
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < plane; i++) image[c * plane + i] = Number(data[i * had + (had === 3 ? c : 0)])
  return image
}
