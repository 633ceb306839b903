import { UserError } from '../graph/errors.ts'
import { type ImageDataset, type ImageSource, imageSource } from './dataset.ts'
import { heldOut } from './held-out.ts'
import { idxDataset, idxKind, idxPreprocessing, type NamedBytes } from './idx.ts'
import { joined } from './notice.ts'

const WANTED =
  "choose MNIST's four IDX files (training images and labels, and test images and labels named t10k or test), or one pair of images and labels, of which a fifth is held out"

/**
 * Data in IDX files that have been read: images and labels to train, and images and labels to test, whose names hold `t10k` or
 * `test`. Of images and labels alone a fifth is held out to test.
 * @throws UserError naming the file that is missing, damaged or does not match the others
 */
export function idxSource(files: readonly NamedBytes[], classes: readonly string[]): ImageSource {
  const isTest = ({ name }: NamedBytes) => /t10k|(?<![a-z])test/i.test(name.replace(/^.*[\\/]/, ''))
  const [train, test] = [files.filter(f => !isTest(f)), files.filter(isTest)]
  const from = files.map(f => f.name).join(', ')
  if (!train.length) throw new UserError(`${from || 'no files'}: ${WANTED}`)
  const set = datasetOf('train', train, classes)
  const how = idxPreprocessing(set)
  if (test.length) return imageSource(set, datasetOf('test', test, classes), from, how)
  const parts = heldOut({ ...set, name: 'idx' })
  return { ...imageSource(parts.train, parts.test, from, how), ...joined(parts.notice) }
}

function datasetOf(part: string, files: readonly NamedBytes[], classes: readonly string[]): ImageDataset {
  const only = (kind: 'images' | 'labels'): NamedBytes => {
    const [file, another] = files.filter(f => idxKind(f) === kind)
    if (file && another) throw new UserError(`${file.name} and ${another.name} both hold ${kind}; ${WANTED}`)
    if (!file) throw new UserError(`no ${kind} among ${files.map(f => f.name).join(', ')}; ${WANTED}`)
    return file
  }
  return idxDataset(`idx/${part}`, only('images'), only('labels'), classes)
}
