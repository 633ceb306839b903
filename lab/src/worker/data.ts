import type { ImageSource } from '../../../src/data/dataset.ts'
import { DIGITS_FILE } from '../../../src/data/digits.ts'
import { digits } from '../../../src/data/digits-web.ts'
import { fingerprints } from '../../../src/data/fingerprint.ts'
import { imageFolder } from '../../../src/data/folder-web.ts'
import { idxData } from '../../../src/data/idx-web.ts'
import { joined } from '../../../src/data/notice.ts'
import type { ImageShape, Preprocessing } from '../../../src/data/preprocess.ts'
import type { DataAbout, DataChoice } from '../protocol.ts'

const read = (choice: DataChoice, shape: ImageShape, known?: Preprocessing): Promise<ImageSource> => {
  if (choice.kind === 'idx') return idxData(choice.files)
  if (choice.kind === 'folders')
    return imageFolder(choice.files, shape, {
      preprocessing: known ?? { kind: choice.preprocess },
    }).then(withoutValidation)
  // The worker's script lies elsewhere than the page, whose address is the worker's name.
  return digits(new URL(DIGITS_FILE, self.name))
}

/** A run of the page is judged by the test set, after each epoch. */
function withoutValidation({ val, ...source }: ImageSource): ImageSource {
  if (!val) return source
  const notice = `The ${val.size.toLocaleString('en-US')} pictures of the validation set are not used here`
  return { ...source, ...joined(source.notice, notice) }
}

/** Equal for equal choices. */
const keyOf = (choice: DataChoice, shape: ImageShape): string => {
  const file = ({ name, size, lastModified }: File) => [name, size, lastModified]
  if (choice.kind === 'idx') return JSON.stringify(['idx', choice.files.map(file)])
  if (choice.kind === 'folders')
    return JSON.stringify([
      'folders',
      shape,
      choice.preprocess,
      choice.files.map(f => [f.path, file(f.file)]),
    ])
  return 'bundled'
}

/** Caches the last requested data. */
export class Data {
  #key = ''
  #source: Promise<ImageSource> | undefined

  /** @param known how the pictures of a run are prepared that is resumed */
  get(choice: DataChoice, shape: ImageShape, known?: Preprocessing): Promise<ImageSource> {
    const key = keyOf(choice, shape) + JSON.stringify(known ?? null)
    if (key !== this.#key || !this.#source) {
      this.#key = key
      const source = read(choice, shape, known)
      // What failed may work the next time, as where a connection broke.
      source.catch(() => {
        if (this.#source === source) this.#source = undefined
      })
      this.#source = source
    }
    return this.#source
  }

  /** What was read last, else the bundled digits. */
  current(): Promise<ImageSource> {
    return this.#source ?? this.get({ kind: 'bundled' }, [1, 28, 28])
  }
}

export const aboutData = async (source: ImageSource): Promise<DataAbout> => ({
  ...about(source),
  fingerprints: await fingerprints(source),
})

const about = ({ train, test, origin, notice }: ImageSource) => ({
  origin,
  ...(notice ? { notice } : {}),
  train: train.size,
  test: test.size,
  shape: train.shape,
  classes: train.classes,
})
