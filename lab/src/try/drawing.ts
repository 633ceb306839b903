import { signal } from '@preact/signals'
import { centreDigit, type Gray, isBlank } from '../../../src/data/digit.ts'
import { type ImageShape, readPicture } from '../../../src/data/image-web.ts'
import type { Board } from './board.ts'

/** The board as it was last drawn on, kept while other views are open; another object for each state. */
export const drawing = signal<{ readonly board: Board } | undefined>(undefined)

/** A picture in the board's place. */
export interface Given {
  readonly name: string
  readonly file: File
}
export const given = signal<Given | undefined>(undefined)

/** The drawing or the picture as the model gets it: `[channels, height, width]`, pixels in [0, 1]. */
export const drawn = signal<Float32Array | undefined>(undefined)

const isDigit = ([channels, height, width]: ImageShape): boolean =>
  channels === 1 && height === 28 && width === 28

/**
 * What a model gets of a drawing, light ink on black; undefined for one without ink. A model of 28 × 28 gray pixels gets an
 * MNIST digit.
 */
export async function prepare(gray: Gray, shape: ImageShape): Promise<Float32Array | undefined> {
  if (isBlank(gray)) return undefined
  if (isDigit(shape)) return centreDigit(gray)
  const { pixels, width, height } = gray
  const picture = new ImageData(width, height)
  pixels.forEach((v, i) => {
    picture.data.set([v, v, v, 255], 4 * i)
  })
  return unit(await readPicture(picture, 'the drawing', shape))
}

/** What a model gets of a picture. @throws UserError when it is none, or blank */
export const prepareFile = async ({ file, name }: Given, shape: ImageShape): Promise<Float32Array> =>
  unit(await readPicture(file, name, shape))

const unit = (bytes: Uint8Array): Float32Array => Float32Array.from(bytes, v => v / 255)
