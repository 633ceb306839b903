import { type DataSource, type ImageDataset, type ImageSource, subset } from '../data/dataset.ts'
import { withValidation } from '../data/held-out.ts'
import { type ImagesOptions, loadImages } from '../data/images-node.ts'
import { joined, listed } from '../data/notice.ts'
import type { TextDataset } from '../data/text.ts'
import { loadText } from '../data/text-node.ts'
import { UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import type { ExampleInput } from '../train/classifier.ts'
import { note } from './output.ts'

export interface DataFlags {
  readonly data?: string | undefined
  readonly text?: string | undefined
  /** The first so many training images only. */
  readonly limit?: number | undefined
  /** Of those, what is kept to validate on: a share in (0, 1), or a whole number of examples. */
  readonly valSplit?: number | undefined
  /** Whether pictures that cannot be read are left out. */
  readonly skipBad?: boolean | undefined
}

/** Examples with labels: images, or rows of a text, whose labels are the characters that follow. */
export type LabelledDataset = ImageDataset | TextDataset

/** What the command line trains and tests on. */
export interface LabelledSource extends DataSource {
  readonly train: LabelledDataset
  readonly val?: LabelledDataset | undefined
  readonly test: LabelledDataset
}

/** What is known beside the flags. */
export interface Known extends Pick<ImagesOptions, 'preprocessing' | 'follow'> {
  /** What a model knows already: the names of its classes, a text's characters. */
  readonly classes?: readonly string[] | undefined
}

/**
 * What a model that reads `input` is trained and tested on: images, or a text. Pictures in folders are brought to the input's shape,
 * other images come in their own.
 * @throws UserError when flag and model do not fit, or the data cannot be read
 */
export async function loadData(
  input: ExampleInput,
  { data, text, limit, valSplit, skipBad = false }: DataFlags,
  { classes, ...known }: Known = {},
): Promise<LabelledSource> {
  if (input.kind === 'tokens') {
    if (data !== undefined)
      throw new UserError('--data names images; this model reads text: give --text FILE')
    if (text === undefined) throw new UserError('this model reads text: give --text FILE')
    if (limit !== undefined) throw new UserError('--limit is for images only')
    if (skipBad) throw new UserError('--skip-bad is for images only')
    return loadText(text, nth(input.shape, 0), classes, valSplit)
  }
  if (text !== undefined) throw new UserError('--text is for models that read text (gpt)')
  const asked = { ...(data === undefined ? {} : { data }), ...(classes ? { classes } : {}) }
  const source = await loadImages({ ...asked, ...known, shape: input.shape, skipBad, log: note })
  const limited = limit === undefined ? source : first(source, limit)
  return valSplit === undefined ? limited : withValidation(limited, valSplit)
}

/** The first of the training images. Its notice names the classes that none of them shows. */
function first(source: ImageSource, limit: number): ImageSource {
  const train = subset(source.train, limit)
  const shown = (set: ImageDataset) => new Set(set.labels)
  const [before, now] = [shown(source.train), shown(train)]
  const lost = train.classes.filter((_, label) => before.has(label) && !now.has(label))
  const notice = lost.length
    ? `The first ${limit} images to train on show none of ${lost.length} of ${before.size} classes: ${listed(lost)}`
    : undefined
  return { ...source, train, ...joined(source.notice, notice) }
}
