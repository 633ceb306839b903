import { signal } from '@preact/signals'
import { type Gray, isBlank } from '../../../src/data/digit.ts'
import { readPicture } from '../../../src/data/image-web.ts'
import { preprocess } from '../../../src/data/preprocess.ts'
import type { ModelAbout } from '../protocol.ts'
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

type Wanted = Pick<ModelAbout, 'input' | 'preprocessing'>

/** What a model gets of a drawing, light ink on black; undefined for one without ink. */
export const prepare = (drawing: Gray, { input, preprocessing }: Wanted): Float32Array | undefined =>
  isBlank(drawing) ? undefined : unit(preprocess(drawing, preprocessing, input).image)

/** What a model gets of a picture. @throws UserError when it is none, or a digit without ink */
export const prepareFile = async (
  { file, name }: Given,
  { input, preprocessing }: Wanted,
): Promise<Float32Array> => unit(await readPicture(file, name, input, preprocessing))

const unit = (bytes: Uint8Array): Float32Array => Float32Array.from(bytes, v => v / 255)
