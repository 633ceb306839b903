import type { ImageSource } from '../../../src/data/dataset.ts'
import { digits } from '../../../src/data/digits-web.ts'
import { imageFolder } from '../../../src/data/folder-web.ts'
import { idxData } from '../../../src/data/idx-web.ts'
import type { Preprocessing } from '../../../src/data/preprocess.ts'
import type { DataAbout, DataChoice } from '../protocol.ts'

export interface ImageSize {
  readonly channels: number
  readonly side: number
}

const read = (
  choice: DataChoice,
  { channels, side }: ImageSize,
  known?: Preprocessing,
): Promise<ImageSource> => {
  if (choice.kind === 'idx') return idxData(choice.files)
  if (choice.kind === 'folders')
    return imageFolder(choice.files, [channels, side, side], known ?? { kind: choice.preprocess })
  // The worker's script lies elsewhere than the page, whose address is the worker's name.
  return digits(new URL('digits.gz', self.name))
}

/** Equal for equal choices. */
const keyOf = (choice: DataChoice, size: ImageSize): string => {
  const file = ({ name, size, lastModified }: File) => [name, size, lastModified]
  if (choice.kind === 'idx') return JSON.stringify(['idx', choice.files.map(file)])
  if (choice.kind === 'folders')
    return JSON.stringify([
      'folders',
      size,
      choice.preprocess,
      choice.files.map(f => [f.label, file(f.file)]),
    ])
  return 'bundled'
}

/** The data that was asked for last; what is asked for again is not read again. */
export class Data {
  #key = ''
  #source: Promise<ImageSource> | undefined

  /** @param known how the pictures of a run are prepared that is resumed */
  get(choice: DataChoice, size: ImageSize, known?: Preprocessing): Promise<ImageSource> {
    const key = keyOf(choice, size) + JSON.stringify(known ?? null)
    if (key !== this.#key || !this.#source) {
      this.#key = key
      const source = read(choice, size, known)
      // What failed may work the next time, as where a connection broke.
      source.catch(() => {
        if (this.#source === source) this.#source = undefined
      })
      this.#source = source
    }
    return this.#source
  }

  /** What was read last, else the bundled digits. */
  present(): Promise<ImageSource> {
    return this.#source ?? this.get({ kind: 'bundled' }, { channels: 1, side: 28 })
  }
}

export const aboutData = ({ train, test, origin, notice }: ImageSource): DataAbout => ({
  origin,
  ...(notice ? { notice } : {}),
  train: train.size,
  test: test.size,
  shape: train.shape,
  classes: train.classes,
})
