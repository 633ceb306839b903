import { UserError } from '../graph/errors.ts'
import { type ImageDataset, type ImageSource, imageSource } from './dataset.ts'
import { DIGITS } from './digit.ts'
import { heldOut } from './held-out.ts'
import { idxBytes, idxDataset, idxKind, idxPreprocessing, type NamedBytes } from './idx.ts'
import { joined } from './notice.ts'
import { unpacked } from './unpack-web.ts'

/** Larger files are refused before they are read. */
const MAX_BYTES = 2 ** 30

/**
 * Data in MNIST's IDX files, plain or gzip, as a user chooses or drops them: images and labels to train, and images and
 * labels to test, whose names hold `t10k` or `test`. Of images and labels alone a fifth is held out to test.
 * @param classes name of each label
 * @throws UserError that names the file which is missing, broken or does not fit the others
 */
export async function idxData(
  files: readonly File[],
  classes: readonly string[] = DIGITS,
): Promise<ImageSource> {
  const read = await Promise.all(files.map(readIdxFile))
  const isTest = ({ name }: NamedBytes) => /t10k|(?<![a-z])test/i.test(name)
  const [train, test] = [read.filter(f => !isTest(f)), read.filter(isTest)]
  const from = files.map(f => f.name).join(', ')
  if (!train.length) throw new UserError(`${from || 'no files'}: ${WANTED}`)
  const set = datasetOf('train', train, classes)
  const how = idxPreprocessing(set)
  if (test.length) return imageSource(set, datasetOf('test', test, classes), from, how)
  const parts = heldOut({ ...set, name: 'idx' })
  return { ...imageSource(parts.train, parts.test, from, how), ...joined(parts.notice) }
}

const WANTED =
  "choose MNIST's four IDX files (images and labels to train, and those to test, named t10k or test), or images and labels of which a fifth is held out"

async function readIdxFile(file: File): Promise<NamedBytes> {
  const { name, size } = file
  if (size > MAX_BYTES)
    throw new UserError(`${name}: has ${size} bytes; no IDX file of this kind is so large`)
  const bytes = await file.arrayBuffer().catch(() => {
    throw new UserError(`${name}: the browser cannot read it; choose it again`)
  })
  return unpacked({ name, bytes: new Uint8Array(bytes) }, idxBytes)
}

function datasetOf(part: string, files: readonly NamedBytes[], classes: readonly string[]): ImageDataset {
  const only = (kind: 'images' | 'labels'): NamedBytes => {
    const [file, another] = files.filter(f => idxKind(f) === kind)
    if (!file) throw new UserError(`no ${kind} go with ${files.map(f => f.name).join(', ')}; ${WANTED}`)
    if (another) throw new UserError(`${file.name} and ${another.name} both hold ${kind}; ${WANTED}`)
    return file
  }
  return idxDataset(`idx/${part}`, only('images'), only('labels'), classes)
}
