/** The parts that a data set may come in. */
export const SPLITS = ['train', 'val', 'test'] as const
export type Split = (typeof SPLITS)[number]

const SYNONYMS: Readonly<Record<Split, readonly string[]>> = {
  train: ['train', 'training', 'trn'],
  val: ['val', 'valid', 'validation', 'validate', 'dev'],
  test: ['test', 'testing', 'tst', 'eval', 'evaluation'],
}

/** What else a folder's name may say without another meaning: `training_set`, `test images`, `val2017`. */
const FILLER = /^(data|dataset|set|split|images?|imgs?|pictures?|pics|photos?|samples?|examples?|\d+)$/
const SUFFIX = /(?<=[a-z])(dataset|data|set|images|imgs|\d+)$/

const BY_NAME = new Map(SPLITS.flatMap(split => SYNONYMS[split].map(name => [name, split] as const)))

/** The split that a folder's name stands for, in any case: `Train`, `TESTING`, `valid`, `training_set`. */
export function splitNamed(folder: string): Split | undefined {
  const words = folder
    .normalize('NFC')
    .toLowerCase()
    .split(/[\s_.-]+/)
  const [word, ...more] = words.filter(word => word && !FILLER.test(word))
  if (word === undefined || more.length) return undefined
  return BY_NAME.get(word) ?? BY_NAME.get(word.replace(SUFFIX, ''))
}

/**
 * What operating systems, cloud drives and editors put into folders. It never counts as data: hidden entries (which start with a dot, as
 * AppleDouble files do), macOS's and Synology's copies of metadata, recycle bins, thumbnails.
 */
export const isSystemEntry = (name: string): boolean => SYSTEM.test(name)

const SYSTEM =
  /^(\..*|__MACOSX|@eaDir|#recycle|#snapshot|\$RECYCLE\.BIN|RECYCLER|System Volume Information|lost\+found|(eh)?Thumbs\.db|desktop\.ini|Icon\r)$/is
